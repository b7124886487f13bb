"""What is asked on any way, by whatever operation and method, is with the model as it was sent, and
what the model answers is with the client as it was said."""

from __future__ import annotations

import gzip
import hashlib
import json

import pytest

from fixtures.evidence import BACKEND, CLIENT, Exchange, Record, unchanged
from fixtures.evidence.bodies import filled
from fixtures.evidence.requirements import requirement
from fixtures.kube import Kube
from fixtures.stack import CHAT, ECHO, STREAMED, Wish
from fixtures.stack.gateways import MAAS_GATEWAY
from manifests import Object
from suites.hardening.routes import ROUTE, ROUTER
from suites.hardening.test_every_way import record_of, told
from suites.hardening.ways import COMPLETIONS, EMBEDDINGS, Walker, Way, expect_on_each, question

RESPONSES = "/v1/responses"
QUERY = "?api-version=2024-10-21&x=%2Fa%20b%2B&empty=&Again=1&Again=2"
# What each operation has for itself, in words and numbers that tempt to be written anew.
SAID: dict[str, Object] = {
    CHAT: {
        "n": 2, "seed": 2**53 + 1, "logprobs": True, "top_logprobs": 3, "store": False,
        "parallel_tool_calls": False, "service_tier": "auto", "logit_bias": {"50256": -100},
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}],
        "response_format": {"type": "json_object"}, "temperature": 0.70, "x_unknown": None,
    },
    COMPLETIONS: {
        "n": 2, "best_of": 2, "logprobs": 3, "echo": True, "suffix": "é", "seed": 2**53 + 1,
        "logit_bias": {"50256": -100}, "stop": ["\n", "é"], "x_unknown": [True, {}],
    },
    EMBEDDINGS: {"input": ["Hello", ""], "encoding_format": "base64", "dimensions": 256},
    RESPONSES: {"input": "Hello", "instructions": "é", "reasoning": {"effort": "low"}},
}  # fmt: skip
# Headers that gateways, policies and routers bring, beside those of every request.
_BROUGHT = ("x-provider-api-key", "x-vsr-", "x-selected-model")


def asked_of(way: Way) -> dict[str, str]:
    """A router answers with a stream whom it takes for one who wants one."""
    accept = {"accept": "application/json"} if way.model == ROUTER else {}
    return unchanged.ASKED | accept


def expect_headers(exchange: Exchange, record: Record, sent: dict[str, str]) -> None:
    """The model has each once and as it was sent, and none that nobody sent."""
    for name, text in sent.items():
        found = record.headers.all(name)
        same = found == [text] or (
            name == "traceparent" and len(found) == 1 and found[0].startswith(unchanged.TRACE)
        )
        exchange.expect(BACKEND, same, f"{name}: {text}, once", f"{found}")
    unchanged.expect_no_others(exchange, record, sent, *_BROUGHT)


def operations(way: Way, is_open: bool) -> list[tuple[str, bool]]:
    """Each, whole, and as a stream where it has one."""
    whole = [*way.questions, RESPONSES] if is_open else way.operations
    return [*((one, False) for one in whole), *((one, True) for one in way.operations)]


@requirement("HD-105")
def test_operations_pass_unchanged(
    walker: Walker, all_ways: list[Way], open_ways: list[Way]
) -> None:
    """Query, headers and bytes there, status, headers and bytes back."""

    def problem(way: Way) -> None:
        for path, stream in operations(way, way in open_ways):
            more = STREAMED if stream else {}
            asked = question(path) if path in (CHAT, COMPLETIONS) else {}
            said = {"model": way.model, **asked, **SAID[path], **more}
            body = json.dumps(said, ensure_ascii=False, indent=1).encode() + b"\n"
            sent, wish = (
                asked_of(way),
                {"usage": {"total_tokens": 1}, "headers": unchanged.ANSWERED},
            )
            target = way.route.path + path + QUERY
            exchange = walker.stack.send("POST", target, walker.user, body, sent, recorder=wish)
            record = record_of(walker, way, exchange.expect_status(200))
            where = (record.method, record.path)
            exchange.expect(BACKEND, where == ("POST", path + QUERY), path + QUERY, f"{where}")
            if way.model != ROUTER:  # which writes anew what it routes (DG-18)
                unchanged.expect_body_kept(exchange, record)
            expect_headers(exchange, record, sent)
            kind = unchanged.EVENTS if stream else unchanged.JSON
            unchanged.expect_answered(exchange, record, kind, "x-vsr-", "x-echo")

    expect_on_each(all_ways, "each operation as it was asked and answered", told(problem))


def _behind_inner_gateways(kube: Kube) -> set[str]:
    """The paths of routes that hang on no gateway of the users'."""
    return {
        match["path"]["value"].rstrip("/")
        for route in kube.all(*ROUTE)
        if all(ref["name"] != MAAS_GATEWAY[1] for ref in route["spec"].get("parentRefs") or [])
        for rule in route["spec"].get("rules") or []
        for match in rule.get("matches") or []
        if match.get("path", {}).get("type") == "PathPrefix"
    }


@pytest.fixture
def open_ways(kube: Kube, all_ways: list[Way]) -> list[Way]:
    """Those that lead to their model for whatever is asked of it: beside the router's, and those of
    which an inner gateway's route has but some paths."""
    prefixes = tuple(path for path in _behind_inner_gateways(kube) if path)
    return [
        way
        for way in all_ways
        if way.route.path and (not way.inner or way.route.path.endswith(prefixes))
    ]


PACKED = gzip.compress(b'{"input": "Hello"}')
FORM = b"------AaB03xZz\r\nContent-Disposition: form-data; name=x\r\n\r\ny\r\n------AaB03xZz--\r\n"
# Method, content type, further headers, body.
SENT: dict[str, tuple[str, str, dict[str, str], bytes]] = {
    "form": ("POST", "multipart/form-data; boundary=----AaB03xZz", {}, FORM),
    "packed": ("POST", "application/json", {"content-encoding": "gzip"}, PACKED),
    "sound": ("PUT", "audio/wav", {}, bytes(range(256)) * 32),
    "spaces": ("PATCH", "application/json", {}, b' {"a": 1} \n\n'),
    "delete": ("DELETE", "application/json", {}, b"{}"),
    "page": ("PUT", "application/octet-stream", {}, filled(65_537)),
}


@requirement("HD-105")
def test_bodies_and_methods_pass_unchanged(walker: Walker, open_ways: list[Way]) -> None:
    """To an operation that answers with what it was asked."""

    def problem(way: Way) -> None:
        for method, kind, more, body in SENT.values():
            sent, target = {"content-type": kind, **more}, way.route.path + ECHO + QUERY
            exchange = walker.stack.send(method, target, walker.user, body, sent)
            record = record_of(walker, way, exchange.expect_status(200))
            digest = hashlib.sha256(body).hexdigest()
            found = (record.method, record.path)
            exchange.expect(BACKEND, found == (method, ECHO + QUERY), f"{method} {ECHO}{QUERY}",
                            f"{found}")  # fmt: skip
            exchange.expect(BACKEND, record.digest == digest, f"{len(body)} bytes, {kind}",
                            f"{record.size} bytes, others")  # fmt: skip
            for name, text in sent.items():
                values = record.headers.all(name)
                exchange.expect(BACKEND, values == [text], f"{name}: {text}", f"{values}")
            back = (exchange.response.headers.get("content-type"), exchange.response.content)
            exchange.expect(CLIENT, back == (kind, body), f"{kind}, as sent", f"{back[0]}")

    expect_on_each(open_ways, "each body and method as it was sent", told(problem))


# Operations that no recorder has, and it says so itself: whose names have escapes, too.
BESIDE = [
    ("GET", "/v1/models/Qwen%2FQwen3-0.6B"), ("DELETE", "/v1/files/a%20b%2Bc"),
    ("POST", "/v1/messages"), ("POST", "/v1/images/generations"), ("POST", "/v1/audio/speech"),
    ("POST", "/v1/batches"), ("HEAD", "/v1/models"), ("OPTIONS", "/v1/files"),
]  # fmt: skip


@requirement("HD-105")
def test_whatever_is_asked_is_the_models_to_answer(walker: Walker, open_ways: list[Way]) -> None:
    def problem(way: Way) -> None:
        for method, path in BESIDE:
            body = {"model": way.model} if method == "POST" else None
            target = way.route.path + path + QUERY
            exchange = walker.stack.send(method, target, walker.user, body)
            record = record_of(walker, way, exchange)
            found = (record.method, record.path)
            exchange.expect(BACKEND, found == (method, path + QUERY), f"{method} {path}{QUERY}",
                            f"{found}")  # fmt: skip
            digest = hashlib.sha256(exchange.response.content).hexdigest()
            same = digest == record.answer if method != "HEAD" else not exchange.response.content
            exchange.expect(CLIENT, same and exchange.status == 404, "the model's own 404",
                            f"{exchange.status}")  # fmt: skip

    expect_on_each(open_ways, "each operation at the model", told(problem))


LARGE = [[f"x-large-{number}", "a" * 400] for number in range(30)]
STATUSES = (201, 202, 206, 301, 302, 307, 308, 409, 422, 451)


@requirement("HD-105")
@pytest.mark.parametrize("status", STATUSES)
def test_statuses_come_back(walker: Walker, all_ways: list[Way], status: int) -> None:
    """With the model's headers, one of which leads elsewhere: nobody follows it but the client."""
    places = [f"https://{walker.stack.host}/external/openai/v1/models",
              "http://elsewhere.example/openai/v1/models"]  # fmt: skip

    def problem(way: Way) -> None:
        for place in places if status in (302, 307) else places[:1]:
            headers = [["location", place], *LARGE]
            exchange = walker.ask(way, {"status": status, "headers": headers})
            record = record_of(walker, way, exchange.expect_status(status))
            for name, text in headers:
                found = exchange.response.headers.get_list(name)
                exchange.expect(CLIENT, found == [text], f"{name}: {text}", f"{found}")
            same = hashlib.sha256(exchange.response.content).hexdigest() == record.answer
            exchange.expect(CLIENT, same, "the model's own words", exchange.response.text[:200])

    expect_on_each(all_ways, f"the model's own {status}", told(problem))


@requirement("HD-105")
def test_packed_answers_and_comments_come_back(walker: Walker, all_ways: list[Way]) -> None:
    """gzip as it is, and a stream with the lines that are no data."""

    def problem(way: Way) -> None:
        exchange = walker.ask(way, {"encoding": "gzip"}, {"accept-encoding": "gzip"})
        record_of(walker, way, exchange.expect_status(200))
        coding = exchange.response.headers.get("content-encoding")
        exchange.expect(CLIENT, coding == "gzip", "content-encoding: gzip", f"{coding}")
        exchange.expect(
            CLIENT, "choices" in exchange.json, "the answer, unpacked", "something else"
        )
        streamed = walker.ask(way, {"sse": "named"}, stream=True).expect_status(200)
        record = record_of(walker, way, streamed)
        same = hashlib.sha256(streamed.response.content).hexdigest() == record.answer
        shown = streamed.response.text[:200]
        streamed.expect(CLIENT, same, "every line of the stream", shown)

    expect_on_each(all_ways, "packed answers and comments as they were", told(problem))


# What clients take: Go's and curl's, OpenAI's and Anthropic's libraries with and without brotli and
# Zstandard, browsers', Node's, Ruby's.
TAKEN = (
    "gzip", "br", "zstd", "gzip, deflate", "gzip, deflate, br", "gzip, deflate, br, zstd",
    "br, gzip, deflate", "gzip;q=1.0,deflate;q=0.6,*;q=0.3",
)  # fmt: skip


@requirement("HD-105")
def test_nobody_on_the_way_packs_answers(walker: Walker, all_ways: list[Way]) -> None:
    """Whatever a client takes, the model is told so, and what it says is with him as it is: a whole
    answer that were worth it, and a stream."""

    def problem(way: Way) -> None:
        for taken in TAKEN:
            sent = {"accept-encoding": taken}
            whole = walker.ask(way, {"letters": 5_000}, sent).expect_status(200)
            streamed = walker.ask(way, {"headers": unchanged.ANSWERED}, sent, **STREAMED)
            for exchange in (whole, streamed.expect_status(200)):
                record = record_of(walker, way, exchange)
                found = record.headers.all("accept-encoding")
                exchange.expect(BACKEND, found == [taken], f"accept-encoding: {taken}", f"{found}")
                coding = exchange.response.headers.get_list("content-encoding")
                exchange.expect(CLIENT, not coding, f"no coding for {taken}", f"{coding}")
                same = hashlib.sha256(exchange.response.content).hexdigest() == record.answer
                exchange.expect(CLIENT, same, f"the model's own bytes for {taken}", "others")
            vary = whole.response.headers.get_list("vary")
            whole.expect(CLIENT, not vary, "no Vary that nobody sent", f"{vary}")
            unchanged.expect_answered(streamed, record, unchanged.EVENTS, "x-vsr-")

    expect_on_each(all_ways, "answers that nobody packed", told(problem))


# Beyond every buffer but the router's own, in one piece, and in many.
LONG_ANSWERS: dict[str, Wish] = {
    "whole": {"letters": 300_000},
    "one event": {"letters": 300_000},
    "many events": {"text": "word " * 500},
}


@requirement("HD-105")
@pytest.mark.parametrize("kind", LONG_ANSWERS)
def test_large_answers_come_back(walker: Walker, all_ways: list[Way], kind: str) -> None:
    """Every byte of them."""
    more = {} if kind == "whole" else STREAMED

    def problem(way: Way) -> None:
        for operation in way.operations:
            wish = {**LONG_ANSWERS[kind], "usage": {"total_tokens": 1}}
            exchange = walker.ask(way, wish, operation=operation, **more).expect_status(200)
            record = record_of(walker, way, exchange)
            same = hashlib.sha256(exchange.response.content).hexdigest() == record.answer
            shown = f"{len(exchange.response.content)} bytes, others"
            exchange.expect(CLIENT, same, "the model's own bytes", shown)

    expect_on_each(all_ways, "each large answer as it was said", told(problem))
