"""HTTP servers of the stand-ins."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest
from starlette.responses import PlainTextResponse

from embedded import web


@pytest.fixture(params=[{}, {"idle": 1}], ids=["as Go's", "of a second"])
def connection(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[socket.socket]:
    """To a server, after its first answer."""
    monkeypatch.setenv("POD_IP", "127.0.0.1")
    listening = socket.create_server(("127.0.0.1", 0))
    server = web.server(PlainTextResponse("here"), 0, log_level="warning", **request.param)
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    with socket.create_connection(listening.getsockname(), 5) as made:
        assert b"200 OK" in asked(made)
        yield made
    server.should_exit = True
    thread.join()


def asked(connection: socket.socket) -> bytes:
    connection.sendall(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
    return connection.recv(1000)


def test_idle_connections_end_when_they_should(
    connection: socket.socket, request: pytest.FixtureRequest
) -> None:
    """Longer than uvicorn's own five seconds, which met requests under way."""
    time.sleep(6)
    answer = asked(connection)
    assert bool(answer) == ("Go" in request.node.name), answer
