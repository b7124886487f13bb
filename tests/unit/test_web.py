"""HTTP servers of the stand-ins."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.responses import PlainTextResponse

from embedded.shared import web

PATIENCE_SECONDS = 60.0  # on a machine that has much else to do


@contextlib.contextmanager
def connected(**more: Any) -> Iterator[socket.socket]:
    """To a server, after its first answer."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = web.server(
        PlainTextResponse("here"), 0, address="127.0.0.1", log_level="warning", **more
    )
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    try:
        with socket.create_connection(listening.getsockname(), PATIENCE_SECONDS) as made:
            assert b"200 OK" in asked(made)
            yield made
    finally:
        server.should_exit = True
        thread.join()


def asked(connection: socket.socket) -> bytes:
    """The answer, of which the server sends the end apart."""
    connection.sendall(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
    answer = b""
    while not answer.endswith(b"here"):
        piece = connection.recv(1000)
        assert piece, f"the server ended the connection after {answer!r}"
        answer += piece
    return answer


def test_idle_connections_stay_as_gos_do() -> None:
    """Longer than uvicorn's own five seconds, which met requests under way."""
    with connected() as connection:
        time.sleep(6)
        assert b"200 OK" in asked(connection)


def test_idle_connections_end_when_they_should() -> None:
    """Whenever that is noticed here: not before their second, and of the server's own accord."""
    with connected(idle=1) as connection:
        began = time.monotonic()
        assert connection.recv(1000) == b""
        assert time.monotonic() - began > 0.9


SERVER = """
import asyncio
import time
from embedded.shared import web

async def main():
    server = web.server(None, 0, log_level="critical")
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.3)
    print("up", flush=True)
    began = time.monotonic()
    END
    await serving
    print("after", time.monotonic() - began)
    print("with", server.server_state.default_headers[0][0].decode())

asyncio.run(main())
"""


@pytest.mark.parametrize("how", ["told", "SIGTERM"])
def test_server_ends_at_once(how: str) -> None:
    """And not with its next look at the clock, a second later; how long the interpreter takes to
    end after it is not the server's."""
    program = SERVER.replace("END", "server.end()" if how == "told" else "pass")
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        env={**os.environ, "POD_IP": "127.0.0.1"},
        stdout=subprocess.PIPE,
    )
    assert process.stdout
    with process.stdout as out:
        assert out.readline() == b"up\n"
        began = time.monotonic()
        if how == "SIGTERM":
            process.send_signal(signal.SIGTERM)
        rest = out.read()
        took = time.monotonic() - began
    assert process.wait() == (0 if how == "told" else -signal.SIGTERM)
    if how == "told":
        after, rest = rest.splitlines()
        took = float(after.removeprefix(b"after "))
    assert took < 0.6, took
    assert rest == (b"with date" if how == "told" else b"")
