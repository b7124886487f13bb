"""Sources and programs as they are released, for a Kind cluster of upstream's images."""

from __future__ import annotations

import io
import os
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from kind import KindError, released
from kind.components import Module, table


def archive(**files: str) -> bytes:
    """As GitHub packs a tag: everything in one folder."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as made:
        for name, text in files.items():
            entry = tarfile.TarInfo(f"x-1.2.3/{name}")
            entry.size, entry.mode = len(text), 0o755
            made.addfile(entry, io.BytesIO(text.encode()))
    return out.getvalue()


class Server(HTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        found = self.server.files.get(self.path)
        self.send_response(404 if found is None else 200)
        self.end_headers()
        self.wfile.write(found or b"")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    made = Server()
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


def module(server: Server) -> Module:
    url = f"{server.url}/x/{{version}}.tar.gz"
    return Module("x", "example.com/x", "v9", archive=url, released="1.2.3")


def test_a_modules_source_is_got_once(server: Server) -> None:
    server.files["/x/1.2.3.tar.gz"] = archive(**{"charts/a/Chart.yaml": "name: a"})
    for _ in range(2):
        folder = released.folder(module(server))
        assert (folder / "charts/a/Chart.yaml").read_text() == "name: a"
    assert server.asked == ["/x/1.2.3.tar.gz"]


@pytest.mark.parametrize(
    "found",
    [None, b"no archive", archive(a="b")[:60]],
    ids=["not-there", "no-archive", "half-an-archive"],
)
def test_a_source_that_cannot_be_got(server: Server, found: bytes | None) -> None:
    """One line with the place, and nothing half-got."""
    if found is not None:
        server.files["/x/1.2.3.tar.gz"] = found
    with pytest.raises(KindError, match=r"x-1.2.3 could not be got from http://127") as error:
        released.folder(module(server))
    assert "\n" not in str(error.value)
    server.files["/x/1.2.3.tar.gz"] = archive(a="b")
    assert (released.folder(module(server)) / "a").read_text() == "b"


def test_kind_is_got_as_pytest_kind_gets_it(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setenv("KIND_DOWNLOAD_URL", f"{server.url}/kind")
    server.files["/kind"] = b"#!/bin/sh\n"
    found = released.kind()
    assert (found.read_bytes(), found.stat().st_mode & 0o777) == (b"#!/bin/sh\n", 0o755)
    assert released.kind() == found
    assert server.asked == ["/kind"]


def test_helm_is_got_out_of_its_release(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr(released, "_HELM", f"{server.url}/helm-{{version}}-{{machine}}.tar.gz")
    version = table().modules["helm"].version
    server.files[f"/helm-{version}-{released.machine('-')}.tar.gz"] = archive(helm="#!/bin/sh\n")
    found = released.helm()
    assert os.access(found, os.X_OK)
    assert found.read_text() == "#!/bin/sh\n"


def test_programs_on_path_come_first(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("kind", "helm"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert (released.kind(), released.helm()) == (tmp_path / "kind", tmp_path / "helm")
    assert server.asked == []


def test_what_has_charts_or_crds_has_an_archive() -> None:
    wanted = {"gateway-api", "metallb", "istio", "kuadrant", "authorino-operator",
              "limitador-operator", "kserve", "lws"}  # fmt: skip
    assert {name for name, one in table().modules.items() if one.archive} == wanted


def test_no_image_is_the_latest_but_where_a_document_says_so() -> None:
    """Upstream publishes no other tag of those, as far as is known, or the document's sentence
    names it."""
    named = [one.image.rpartition(":") for one in table().images]
    latest = {name for name, _, tag in named if tag.endswith("latest")}
    assert latest == {
        "docker.io/envoyproxy/envoy",
        "quay.io/opendatahub/odh-model-controller",
        "quay.io/opendatahub/maas-api",
        "quay.io/opendatahub/opendatahub-operator",
        "ghcr.io/nerdalert/provider-sim",
        "ghcr.io/nerdalert/wg-ai-gateway",
    }
