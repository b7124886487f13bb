"""Requests that break the rules of HTTP (RFC 9112)."""

import json
import uuid

import pytest

from fixtures.clusters import Access
from fixtures.evidence import BACKEND, CLIENT, ID_HEADER, Hop, HopMismatch
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


class Wire:
    """Sends a chat completion whose headers and body are bytes as they are."""

    def __init__(self, kube: Kube, access: Access, stack: Stack, user: Identity) -> None:
        self._target = endpoint(kube, access, *MAAS_GATEWAY, "https")
        self._access, self._stack, self._user = access, stack, user

    def send(self, rest: str) -> tuple[int, list[str]]:
        """(status or ENDED, the backends that received it); `|` in `rest` ends a line."""
        request_id = f"conformance-{uuid.uuid4()}"
        lines = [
            f"POST {OPENAI.path}{CHAT} HTTP/1.1",
            f"Host: {self._target.host}",
            f"Authorization: Bearer {self._user.token.reveal()}",
            f"{ID_HEADER}: {request_id}",
            rest.replace("|", "\r\n"),
        ]
        with connect(self._target, self._access) as connection:
            status = status_of(connection, "\r\n".join(lines).encode())
        return status, [record.backend for record in self._stack.records(request_id)]


@pytest.fixture
def wire(kube: Kube, access: Access, stack: Stack, heavy_user: Identity) -> Wire:
    """The MaaS gateway, by a user whose request is served when it is whole: what is refused below
    is not refused for anything else."""
    made = Wire(kube, access, stack, heavy_user)
    body = json.dumps({"model": OPENAI.model, "messages": [{"role": "user", "content": "Hello"}]})
    found = made.send(f"Content-Length: {len(body)}||{body}")
    expect(found == (200, [OPENAI.name]), CLIENT, "a whole request served", f"{found}")
    return made


def expect(holds: bool, where: str, expected: str, observed: str) -> None:
    """As an Exchange's, for requests that are none."""
    if not holds:
        raise HopMismatch(Hop(where, expected, observed), [])


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
    expect(received == [], BACKEND, "no request", f"requests at {received}")
    stack.models(OPENAI, heavy_user).expect_status(200)
