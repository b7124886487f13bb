"""Requests that no HTTP library would send: bytes to the MaaS gateway, over TLS."""

from __future__ import annotations

import json
import socket
import ssl
import time
import uuid
import warnings
from typing import Any
from urllib.parse import urlsplit

from fixtures.clusters import Access
from fixtures.evidence import CLIENT, ID_HEADER, Record, expect
from fixtures.kube import Kube
from fixtures.stack import CHAT, WISH_HEADER, Identity, Provider, Stack, Wish
from fixtures.stack.gateways import MAAS_GATEWAY, Endpoint, endpoint
from fixtures.waiting import REQUEST_SECONDS

ENDED = 0  # the gateway ended the connection without an answer


def with_length(body: str) -> str:
    """What follows the first headers of a request that is as it should be."""
    return f"Content-Length: {len(body)}||{body}"


class Wire:
    """Sends chat completions to one provider, whose headers and body are bytes as they are."""

    def __init__(
        self, kube: Kube, access: Access, stack: Stack, user: Identity, provider: Provider
    ) -> None:
        self._target = endpoint(kube, access, *MAAS_GATEWAY, "https")
        self._access, self._stack, self._user, self._provider = access, stack, user, provider

    def body(self, **more: Any) -> str:
        """A question that the provider answers."""
        message = {"role": "user", "content": "Hello"}
        return json.dumps({"model": self._provider.model, "messages": [message], **more})

    def _raw(self, request_id: str, rest: str) -> bytes:
        """The request line and the first headers, and the rest that is the caller's."""
        lines = [
            f"POST {self._provider.path}{CHAT} HTTP/1.1",
            f"Host: {self._target.host}",
            f"Authorization: Bearer {self._user.token.reveal()}",
            f"{ID_HEADER}: {request_id}",
        ]
        return "\r\n".join([*lines, rest.replace("|", "\r\n")]).encode()

    def send(self, rest: str, pieces: int = 1, pause: float = 0.0) -> tuple[int, list[Record]]:
        """(status or ENDED, what backends received); as `ask` has it."""
        status, request_id = self.ask(rest, pieces, pause)
        return status, self._stack.records(request_id)

    def ask(self, rest: str, pieces: int = 1, pause: float = 0.0) -> tuple[int, str]:
        """(status or ENDED, id); `|` in `rest` ends a line, and it goes out in so many `pieces`,
        with pauses of so many seconds between them."""
        request_id = f"conformance-{uuid.uuid4()}"
        raw = self._raw(request_id, rest)
        with connect(self._target, self._access) as connection:
            size = -(-len(raw) // pieces)
            *first, last = (raw[start : start + size] for start in range(0, len(raw), size))
            for piece in first:
                connection.sendall(piece)
                time.sleep(pause)
            return status_of(connection, last), request_id

    def send_under(self, name: str) -> tuple[int, list[Record]]:
        """A whole request on a connection that asked for another name: (status or ENDED, what
        backends received)."""
        request_id = f"conformance-{uuid.uuid4()}"
        body = self.body()
        raw = self._raw(request_id, with_length(body))
        try:
            with connect(self._target, self._access, name) as connection:
                status = status_of(connection, raw)
        except (ssl.SSLError, ConnectionError):
            status = ENDED
        return status, self._stack.records(request_id)

    def cut(self, body: str, recorder: Wish) -> list[Record]:
        """Ask for a stream, go away at its first event, and say what backends had received."""
        request_id = f"conformance-{uuid.uuid4()}"
        with connect(self._target, self._access) as connection:
            wished = f"{WISH_HEADER}: {json.dumps(recorder)}|{with_length(body)}"
            connection.sendall(self._raw(request_id, wished))
            seen = b""
            while b"data: " not in seen:
                piece = connection.recv(4096)
                expect(bool(piece), CLIENT, "a stream of events", f"{seen[:200]!r}")
                seen += piece
        return self._stack.records(request_id)


def connect(
    target: Endpoint,
    access: Access,
    name: str = "",
    protocol: str = "",
    newest: ssl.TLSVersion = ssl.TLSVersion.MAXIMUM_SUPPORTED,
) -> ssl.SSLSocket:
    """A TLS connection to a listener, by way of the cluster's entry if it has one.

    `name` is asked for in SNI in the place of the listener's own, and is not verified; `protocol`
    is offered by ALPN; who wants a `newest` version speaks that alone, with whatever ciphers.
    """
    if access.entry:
        entry = urlsplit(access.entry)
        plain = socket.create_connection((entry.hostname, entry.port), REQUEST_SECONDS)
        _through_socks(plain, target)
    else:
        plain = socket.create_connection((target.address, target.port), REQUEST_SECONDS)
    context = ssl.create_default_context(cafile=str(access.ca) if access.ca else None)
    if newest != ssl.TLSVersion.MAXIMUM_SUPPORTED:
        context.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # that it is old is the point
            context.minimum_version = context.maximum_version = newest
    if protocol:
        context.set_alpn_protocols([protocol])
    if name:
        context.check_hostname = False
    return context.wrap_socket(plain, server_hostname=name or target.host)


def _through_socks(plain: socket.socket, target: Endpoint) -> None:
    """RFC 1928, without authentication, to an IPv4 address."""
    plain.sendall(b"\x05\x01\x00")
    _exactly(plain, 2)
    address = socket.inet_aton(target.address) + target.port.to_bytes(2, "big")
    plain.sendall(b"\x05\x01\x00\x01" + address)
    if (answer := _exactly(plain, 10))[1]:
        raise ConnectionError(f"the cluster's entry refused {target.address}: {answer[1]}")


def _exactly(plain: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        piece = plain.recv(size - len(found))
        if not piece:
            raise ConnectionError("the cluster's entry ended the connection")
        found += piece
    return found


def status_of(connection: ssl.SSLSocket, raw: bytes) -> int:
    """Send bytes; the status of the answer, or ENDED. Raises TimeoutError when nothing comes.

    An interim answer, `100 Continue`, is waited over.
    """
    try:
        connection.sendall(raw)
        answer = b""
        while b"\r\n" not in answer or answer.startswith(b"HTTP/1.1 1"):
            if answer.startswith(b"HTTP/1.1 1") and b"\r\n\r\n" in answer:
                answer = answer.partition(b"\r\n\r\n")[2]
                continue
            piece = connection.recv(4096)
            if not piece:
                return ENDED
            answer += piece
    except (ConnectionResetError, BrokenPipeError, ssl.SSLError):
        return ENDED
    _, _, status = answer[:12].partition(b" ")
    expect(status.isdigit(), CLIENT, "a status line of HTTP/1.1", f"{answer[:40]!r}")
    return int(status)
