"""Preflight's one request: by which certificate, and what is said where it comes to nothing."""

from __future__ import annotations

import http.server
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from fixtures.clusters import Access
from fixtures.clusters.certificates import issue
from fixtures.clusters.openshift import _request
from fixtures.kube import Kube

HOST = "maas.example"


class FakeKube:
    """A cluster with the MaaS gateway at this port."""

    def __init__(self, port: int) -> None:
        self._port = port

    def get(self, *_: str) -> dict[str, Any]:
        listener = {"name": "https", "hostname": HOST, "protocol": "HTTPS", "port": self._port}
        status = {"addresses": [{"value": "127.0.0.1"}]}
        return {"spec": {"listeners": [listener]}, "status": status}


class Refuses(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(401)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@pytest.fixture
def gateway(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """(port, who signed the certificate) of a gateway with a certificate for that name."""
    authority, own, key = issue([request.param])
    for name, text in (("ca.crt", authority), ("tls.crt", own), ("tls.key", key)):
        (tmp_path / name).write_bytes(text)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "tls.crt", tmp_path / "tls.key")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refuses)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1], tmp_path / "ca.crt"
    server.shutdown()
    server.server_close()


def asked(port: int, ca: Path | None) -> tuple[str, str, bool]:
    found = _request(cast(Kube, FakeKube(port)), Access(Path("none"), ca=ca))
    return found.found, found.problem, found.needed


@pytest.mark.parametrize("gateway", [HOST], indirect=True)
def test_a_certificate_that_is_vouched_for(gateway: tuple[int, Path]) -> None:
    found, problem, _ = asked(*gateway)
    assert "GET /v1/models at openshift-ingress/maas-default-gateway: 401" in found
    assert problem == ""


@pytest.mark.parametrize("gateway", [HOST], indirect=True)
def test_a_certificate_that_nobody_vouches_for(gateway: tuple[int, Path], tmp_path: Path) -> None:
    """By another than is named, and by nobody whom this machine trusts."""
    port, _ = gateway
    theirs = tmp_path / "another.crt"
    theirs.write_bytes(issue([HOST])[0])
    for one in (theirs, None):
        _, problem, needed = asked(port, one)
        assert "the MaaS gateway cannot be reached: " in problem
        assert "CERTIFICATE_VERIFY_FAILED" in problem
        assert problem.endswith("see --ca")
        assert needed


@pytest.mark.parametrize("gateway", ["another.example"], indirect=True)
def test_a_certificate_for_another_name(gateway: tuple[int, Path]) -> None:
    _, problem, needed = asked(*gateway)
    assert "CERTIFICATE_VERIFY_FAILED" in problem
    assert needed


def test_a_gateway_that_is_not_there() -> None:
    with socket.socket() as taken:  # bound, and not listening
        taken.bind(("127.0.0.1", 0))
        _, problem, needed = asked(taken.getsockname()[1], None)
    assert "refused" in problem
    assert needed
