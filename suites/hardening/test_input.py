"""Requests that break the rules of HTTP (RFC 9112), that are unusual, or that ask nothing."""

from collections.abc import Callable

import pytest

from fixtures.clusters import Access
from fixtures.evidence import BACKEND, CLIENT, Record, expect
from fixtures.evidence.requirements import requirement
from fixtures.kube import Kube
from fixtures.stack import CHAT, Identity, Provider, Stack
from suites.hardening.test_way import through
from suites.hardening.wire import ENDED, Wire, with_length

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


@pytest.fixture
def wire(
    kube: Kube, access: Access, stack: Stack, heavy_user: Identity, external: Provider
) -> Wire:
    """The MaaS gateway, by a user whose request is served when it is whole: what is refused below
    is not refused for anything else."""
    made = Wire(kube, access, stack, heavy_user, external)
    status, received = made.send(with_length(made.body()))
    served = (status, [one.backend for one in received])
    expect(served == (200, [external.name]), CLIENT, "a whole request served", f"{served}")
    return made


@requirement("HD-17")
@pytest.mark.parametrize("broken", BROKEN)
def test_broken_requests_are_refused(
    wire: Wire, stack: Stack, heavy_user: Identity, external: Provider, broken: str
) -> None:
    status, received = wire.send(BROKEN[broken])
    unknown = broken == UNKNOWN_CODING
    allowed = {ENDED, 501} if unknown else {ENDED, *range(400, 500)}
    wanted = "501" if unknown else "4xx"
    expect(status in allowed, CLIENT, f"{wanted}, or the end", f"status {status}")
    backends = [one.backend for one in received]
    expect(backends == [], BACKEND, "no request", f"requests at {backends}")
    stack.models(external, heavy_user).expect_status(200)


def chunked(body: str, extension: str = "", trailers: str = "") -> str:
    """The body in two chunks."""
    half = len(body) // 2
    parts = "".join(f"{len(p):x}{extension}|{p}|" for p in (body[:half], body[half:]))
    return f"Transfer-Encoding: chunked||{parts}0|{trailers}|"


UNUSUAL: dict[str, Callable[[str], str]] = {
    "chunked": chunked,
    "extensions": lambda body: chunked(body, extension=";name=value"),
    "trailers": lambda body: chunked(body, trailers="X-Trailer: late|"),
    "expect": lambda body: f"Expect: 100-continue|{with_length(body)}",
    "many-headers": lambda body: "".join(f"X-{n}: a|" for n in range(80)) + with_length(body),
}


@requirement("HD-33")
@pytest.mark.parametrize("unusual", UNUSUAL.values(), ids=UNUSUAL)
def test_unusual_requests_are_served(
    wire: Wire, external: Provider, unusual: Callable[[str], str]
) -> None:
    """What RFC 9112 allows, and few clients send."""
    body = wire.body()
    expect_served(wire.send(unusual(body)), external, body)


@requirement("HD-33")
def test_requests_in_pieces_are_served(wire: Wire, external: Provider) -> None:
    """Twenty of them, for a second."""
    body = wire.body()
    expect_served(wire.send(with_length(body), pieces=20, pause=0.05), external, body)


def expect_served(answer: tuple[int, list[Record]], by: Provider, body: str) -> None:
    status, received = answer
    expect(status == 200, CLIENT, "status 200", f"status {status}")
    bodies = [(one.backend, one.body) for one in received]
    expect(bodies == [(by.name, body)], BACKEND, "the body, once", f"{bodies}")


# One level more than the most patient parser here takes: Go's, which maas-api reads with, nests
# ten thousand, and reads such a body as a question.
DEEP = 10_001
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
@through
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
    headers = {"content-type": "application/json"}
    sent = NO_QUESTIONS[asked]
    stack.send("POST", "/maas-api/v1/tokens", user, sent, headers).expect_status(400)
    stack.mint(user).expect_status(201)
