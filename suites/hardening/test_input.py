"""Requests that break the rules of HTTP (RFC 9112)."""

import uuid

import pytest

from fixtures.clusters import Access
from fixtures.evidence import ID_HEADER
from fixtures.gateways import endpoint
from fixtures.kube import Kube
from fixtures.requirements import requirement
from fixtures.stack import CHAT, MAAS_GATEWAY, Identity, Stack
from suites.hardening.wire import ENDED, connect, status_of
from suites.mixed_providers.providers import OPENAI

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


@requirement("HD-17")
@pytest.mark.parametrize("broken", BROKEN)
def test_broken_requests_are_refused(
    kube: Kube, access: Access, stack: Stack, heavy_user: Identity, broken: str
) -> None:
    target = endpoint(kube, access, *MAAS_GATEWAY, "https")
    request_id = f"conformance-{uuid.uuid4()}"
    lines = [
        f"POST {OPENAI.path}{CHAT} HTTP/1.1",
        f"Host: {target.host}",
        f"Authorization: Bearer {heavy_user.token.reveal()}",
        f"{ID_HEADER}: {request_id}",
        BROKEN[broken].replace("|", "\r\n"),
    ]
    with connect(target, access) as connection:
        status = status_of(connection, "\r\n".join(lines).encode())
    allowed = {ENDED, 501} if broken == UNKNOWN_CODING else {ENDED, *range(400, 500)}
    assert status in allowed, f"status {status}"
    received = stack.records(request_id)
    assert received == [], f"received by {[record.backend for record in received]}"
    stack.models(OPENAI, heavy_user).expect_status(200)
