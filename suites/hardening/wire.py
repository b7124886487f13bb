"""Requests that no HTTP library would send: bytes to the MaaS gateway, over TLS."""

from __future__ import annotations

import socket
import ssl
from urllib.parse import urlsplit

from fixtures.clusters import Access
from fixtures.gateways import Endpoint
from fixtures.waiting import REQUEST_SECONDS

ENDED = 0  # the gateway ended the connection without an answer
_ANSWER_BYTES = 65536


def connect(target: Endpoint, access: Access) -> ssl.SSLSocket:
    """A TLS connection to a listener, by way of the cluster's entry if it has one."""
    if access.entry:
        entry = urlsplit(access.entry)
        plain = socket.create_connection((entry.hostname, entry.port), REQUEST_SECONDS)
        _through_socks(plain, target)
    else:
        plain = socket.create_connection((target.address, target.port), REQUEST_SECONDS)
    context = ssl.create_default_context(cafile=str(access.ca) if access.ca else None)
    return context.wrap_socket(plain, server_hostname=target.host)


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
    """Send bytes; the status of the answer, or ENDED. Raises TimeoutError when nothing comes."""
    try:
        connection.sendall(raw)
        answer = b""
        while b"\r\n" not in answer and len(answer) < _ANSWER_BYTES:
            piece = connection.recv(4096)
            if not piece:
                return ENDED
            answer += piece
    except (ConnectionResetError, BrokenPipeError, ssl.SSLError):
        return ENDED
    return int(answer.split()[1])
