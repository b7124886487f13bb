"""The SOCKS proxy that leads to a shared cluster's addresses."""

from __future__ import annotations

import socketserver
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from fixtures.clusters.existing import entry as module
from fixtures.clusters.existing.entry import Entry

SILENT_SECONDS = 0.6
BALANCED = "192.0.2.7"  # of nobody (RFC 5737)


class Pod(socketserver.ThreadingTCPServer):
    """Answers one request of HTTP, after a silence."""

    daemon_threads = True

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while self.rfile.readline().strip():
                pass
            time.sleep(SILENT_SECONDS)
            self.wfile.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhello")

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), self.Handler)


class FakeKube:
    """One Service, by which the Pod is reached."""

    looked = 0
    ready = True
    port = 0

    def __init__(self, _: Path) -> None:
        pass

    def all(self, _: str, kind: str, *__: Any) -> list[dict[str, Any]]:
        if kind == "Service":
            FakeKube.looked += 1
            spec = {"clusterIP": "192.0.2.1", "ports": [{"name": "web", "port": 80}]}
            status = {"loadBalancer": {"ingress": [{"ip": BALANCED}]}}
            return [{"metadata": {"name": "some", "namespace": "here"}, "spec": spec,
                     "status": status}]  # fmt: skip
        ports = [{"name": "status", "port": 1}, {"name": "web", "port": FakeKube.port}]
        conditions = {"ready": FakeKube.ready}
        pod = {"addresses": ["127.0.0.1"], "conditions": conditions, "targetRef": {"name": "pod"}}
        return [{"ports": ports, "endpoints": [pod]}]


@pytest.fixture
def entry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Entry]:
    monkeypatch.setattr(module, "Kube", FakeKube)
    monkeypatch.setattr(module, "CONNECT_SECONDS", SILENT_SECONDS / 3)
    with Pod() as pod:
        threading.Thread(target=pod.serve_forever, daemon=True).start()
        FakeKube.port, FakeKube.ready, FakeKube.looked = pod.server_address[1], True, 0
        made = Entry(tmp_path / "kubeconfig", inside=False)
        yield made
        made.close()
        pod.shutdown()


def ask(entry: Entry, url: str) -> str:
    with httpx.Client(proxy=entry.url, trust_env=False) as client:
        return client.get(url).text


@pytest.mark.parametrize("host", [BALANCED, "192.0.2.1"], ids=["balanced", "cluster-ip"])
def test_a_services_address_is_its_pods(entry: Entry, host: str) -> None:
    """And a connection may be silent for longer than it took to be made."""
    assert ask(entry, f"http://{host}/") == "hello"


def test_services_are_looked_up_once(entry: Entry) -> None:
    for _ in range(3):
        ask(entry, f"http://{BALANCED}/")
    assert FakeKube.looked == 1


@pytest.mark.parametrize("url", ["http://192.0.2.9/", f"http://{BALANCED}:81/"])
def test_an_address_of_nobody(entry: Entry, url: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(httpx.ProxyError):
        ask(entry, url)
    assert "no Service has the address" in capsys.readouterr().err


def test_no_pod_is_ready(entry: Entry, capsys: pytest.CaptureFixture[str]) -> None:
    """And the next time it is looked up anew."""
    ask(entry, f"http://{BALANCED}/")
    FakeKube.ready = False
    with pytest.raises(httpx.ProxyError):
        ask(entry, f"http://{BALANCED}/")
    assert "no Pod of Service here/some is ready" in capsys.readouterr().err
    FakeKube.ready = True
    assert ask(entry, f"http://{BALANCED}/") == "hello"
    assert FakeKube.looked == 2


def test_a_loopback_that_no_service_has(entry: Entry) -> None:
    assert ask(entry, f"http://127.0.0.1:{FakeKube.port}/") == "hello"
