"""Requests that break the rules of HTTP (RFC 9112), that are unusual, or that ask nothing."""

from typing import Any

import pytest

from fixtures.clusters import Access
from fixtures.evidence import BACKEND, CLIENT
from fixtures.kube import Kube
from fixtures.requirements import requirement
from fixtures.stack import CHAT, Identity, Provider, Stack
from suites.hardening.wire import ENDED, Wire, expect
from suites.mixed_providers.providers import LOCAL, OPENAI

# What follows the request line, Host, Authorization and the id; `|` ends a line.
UNKNOWN_CODING = "unknown-coding"  # 501, says RFC 9112, section 6.1
BROKEN = {
    "length-and-chunked": "Content-Length: 4|Transfer-Encoding: chunked||0||",
    "two-lengths": "Content-Length: 2|Content-Length: 3||{}",
    "length-is-no-number": "Content-Length: 2x||{}",
    "length-below-zero": "Content-Length: -1||{}",
    "length-too-large": "Content-Length: 99999999999999999999999||{}",
    "chunk-is-no-number": "Transfer-Encoding: chunked||zz|{}|0||",
    "space-before-colon": "Content-Length : 2||{}",
    "no-colon": "nothing|Content-Length: 2||{}",
    "zero-in-header": "X-Zero: a\0b|Content-Length: 2||{}",
    "two-hundred-headers": "".join(f"X-{n}: a|" for n in range(200)) + "Content-Length: 2||{}",
    UNKNOWN_CODING: "Transfer-Encoding: gzip, identity||{}",
    "huge-header": f"X-Huge: {'a' * 100_000}|Content-Length: 2||{{}}",
}


def whole(wire: Wire) -> str:
    """What follows the head of a request that is as it should be."""
    body = wire.body()
    return f"Content-Length: {len(body)}||{body}"


@pytest.fixture
def wire(kube: Kube, access: Access, stack: Stack, heavy_user: Identity) -> Wire:
    """The MaaS gateway, by a user whose request is served when it is whole: what is refused below
    is not refused for anything else."""
    made = Wire(kube, access, stack, heavy_user, OPENAI)
    status, received = made.send(whole(made))
    served = (status, [one.backend for one in received])
    expect(served == (200, [OPENAI.name]), CLIENT, "a whole request served", f"{served}")
    return made


@requirement("HD-17")
@pytest.mark.parametrize("broken", BROKEN)
def test_broken_requests_are_refused(
    wire: Wire, stack: Stack, heavy_user: Identity, broken: str
) -> None:
    status, received = wire.send(BROKEN[broken])
    unknown = broken == UNKNOWN_CODING
    allowed = {ENDED, 501} if unknown else {ENDED, *range(400, 500)}
    wanted = "501" if unknown else "4xx"
    expect(status in allowed, CLIENT, f"{wanted}, or the end", f"status {status}")
    backends = [one.backend for one in received]
    expect(backends == [], BACKEND, "no request", f"requests at {backends}")
    stack.models(OPENAI, heavy_user).expect_status(200)


def chunked(body: str, extension: str = "", trailers: str = "") -> str:
    """The body in two chunks."""
    half = len(body) // 2
    parts = "".join(f"{len(p):x}{extension}|{p}|" for p in (body[:half], body[half:]))
    return f"Transfer-Encoding: chunked||{parts}0|{trailers}|"


UNUSUAL = ["chunked", "extensions", "trailers", "expect", "pieces", "many-headers"]


@requirement("HD-33")
@pytest.mark.parametrize("unusual", UNUSUAL)
def test_unusual_requests_are_served(wire: Wire, unusual: str) -> None:
    """What RFC 9112 allows, and few clients send."""
    body = wire.body()
    plain = f"Content-Length: {len(body)}||{body}"
    rest = {
        "chunked": chunked(body),
        "extensions": chunked(body, extension=";name=value"),
        "trailers": chunked(body, trailers="X-Trailer: late|"),
        "expect": f"Expect: 100-continue|{plain}",
        "pieces": plain,
        "many-headers": "".join(f"X-{n}: a|" for n in range(80)) + plain,
    }[unusual]
    in_pieces = {"pieces": 20, "pause": 0.05} if unusual == "pieces" else {}
    status, received = wire.send(rest, **in_pieces)  # type: ignore[arg-type]
    expect(status == 200, CLIENT, "status 200", f"status {status}")
    bodies = [(one.backend, one.body) for one in received]
    expect(bodies == [(OPENAI.name, body)], BACKEND, "the body, once", f"{bodies}")


DEEP = 10_000
NO_QUESTIONS: dict[str, bytes] = {
    "empty": b"",
    "half": b'{"model": "gpt-4", ',
    "list": b"[]",
    "word": b'"gpt-4"',
    "no-utf-8": b'{"model": "\xff\xfe"}',
    "deep-lists": b"[" * DEEP,
    "deep-objects": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "a-megabyte-of-nothing": b" " * (1 << 20),
}


@requirement("HD-34")
@pytest.mark.parametrize("asked", NO_QUESTIONS)
@pytest.mark.parametrize("provider", [LOCAL, OPENAI], ids=str)
def test_what_asks_nothing_is_refused(
    stack: Stack, heavy_user: Identity, provider: Provider, asked: str
) -> None:
    """By the provider, which sees it as it was sent; and the next is served."""
    sent = NO_QUESTIONS[asked]
    headers = {"content-type": "application/json"}
    exchange = stack.send("POST", provider.path + CHAT, heavy_user, sent, headers)
    refused = 400 <= exchange.status < 500
    exchange.expect(CLIENT, refused, "a refusal, 4xx", f"status {exchange.status}")
    record = exchange.expect_backend_received(provider.name)
    exchange.expect(BACKEND, record.size == len(sent), f"{len(sent)} bytes", f"{record.size} bytes")
    stack.chat(provider, heavy_user).expect_status(200)


@requirement("HD-34")
@pytest.mark.parametrize("asked", ["half", "list", "word", "deep-lists", "deep-objects"])
def test_what_asks_maas_api_nothing_is_refused(stack: Stack, asked: str) -> None:
    user = stack.cluster_identity()
    headers: dict[str, Any] = {"content-type": "application/json"}
    sent = NO_QUESTIONS[asked]
    stack.send("POST", "/maas-api/v1/tokens", user, sent, headers).expect_status(400)
    stack.mint(user).expect_status(201)
