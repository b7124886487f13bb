"""A proxy before an API server that fails as real ones do now and then: one call in 25 is answered
500, one in 90 answered 429 with Retry-After, one in 60 loses its connection."""

from __future__ import annotations

import base64
import contextlib
import http.server
import itertools
import json
import socket
import ssl
import struct
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import urllib3
import yaml

RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing resets


class Flaky:
    """Every so many calls one fails; `seen` counts how."""

    def __init__(self, fails: int = 25, is_busy: int = 90, resets: int = 60) -> None:
        self.every = {"500": fails, "429": is_busy, "reset": resets}
        self.seen: Counter[str] = Counter()
        self.denied = ""  # a method and the end of a path that are always answered 500
        self.unauthorized = False
        self._numbers = itertools.count(1)

    def fate(self, method: str, path: str) -> str:
        number = next(self._numbers)
        if self.unauthorized:
            return "401"
        if self.denied and f"{method} {path.partition('?')[0]}".endswith(self.denied):
            return "500"
        found = next((how for how, every in self.every.items() if not number % every), "")
        self.seen[found] += 1
        return found


@contextlib.contextmanager
def before(kubeconfig: Path, token: str, out: Path, flaky: Flaky) -> Iterator[Path]:
    """A kubeconfig of a login by token, by way of such a proxy."""
    made = yaml.safe_load(kubeconfig.read_text())
    server = made["clusters"][0]["cluster"]["server"]
    authority = base64.b64decode(made["clusters"][0]["cluster"]["certificate-authority-data"])
    context = ssl.create_default_context(cadata=authority.decode())
    pool = urllib3.PoolManager(ssl_context=context, maxsize=20, retries=False)

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            fate = flaky.fate(self.command, self.path)
            if fate == "reset":
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                self.connection.close()
                self.close_connection = True
                return
            if fate:
                words = {"500": "etcdserver: leader changed", "429": "too many requests",
                         "401": "Unauthorized"}[fate]  # fmt: skip
                status = {"kind": "Status", "apiVersion": "v1", "message": words}
                more = {"retry-after": "1"} if fate == "429" else {}
                self._answer(int(fate), more, json.dumps(status).encode())
                return
            headers = {k: v for k, v in self.headers.items() if k.lower() != "host"}
            found = pool.request(self.command, server + self.path, body=body, headers=headers)
            kept = {"content-type": found.headers.get("content-type", "application/json")}
            self._answer(found.status, kept, found.data)

        def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in {**headers, "content-length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = _serve

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, *_: Any) -> None:
            """A connection that was reset."""

    proxy = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    made["clusters"][0]["cluster"] = {"server": f"http://127.0.0.1:{proxy.server_address[1]}"}
    made["users"][0]["user"] = {"token": token}
    out.write_text(yaml.safe_dump(made))
    try:
        yield out
    finally:
        proxy.shutdown()
        proxy.server_close()
