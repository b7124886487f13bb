"""`--keep-cluster`: the next run has the cluster of the last one, or of `python -m embedded up`,
deploys what has changed, and never judges what somebody altered."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from embedded.running.state import State
from fixtures.kube import Kube
from tests.conftest import ROOT
from tests.contract.test_command_line import suite
from tests.contract.test_lifecycle import embedded

ROUTE = ("gateway.networking.k8s.io/v1", "HTTPRoute", "default", "openai-route")


@pytest.fixture
def name() -> Iterator[str]:
    found = f"kept-{os.getpid()}"
    yield found
    embedded("down", "--name", found)


class Run:
    """Runs of one requirement's tests on a kept cluster, with manifests that may be edited."""

    def __init__(self, name: str, folder: Path) -> None:
        self.state, self._folder = State(name), folder
        shutil.copytree(ROOT / "manifests", folder / "manifests")
        self.kustomization = folder / "manifests" / "mixed-providers" / "overlays" / "recording"
        self.routes = folder / "manifests" / "mixed-providers" / "base" / "routes.yaml"
        self.said = ""

    def __call__(self) -> str:
        """MP-28's verdict."""
        out = self._folder / "out"
        done = suite("--cluster=embedded", "--keep-cluster", f"--cluster-name={self.state.name}",
                     f"--kustomization={self.kustomization}", "--requirement=MP-28",
                     f"--reports={out}", "-q")  # fmt: skip
        self.said = done.stdout + done.stderr
        profiles = yaml.safe_load((out / "conformance.yaml").read_text())["profiles"]
        (found,) = [r["verdict"] for p in profiles for r in p["requirements"] if r["id"] == "MP-28"]
        return str(found)

    @property
    def pid(self) -> int:
        info = self.state.info()
        assert info is not None, self.said
        return info.pid

    def versions(self) -> dict[str, str]:
        kube = Kube(self.state.kubeconfig)
        found = kube.all("gateway.networking.k8s.io/v1", "HTTPRoute")
        return {r["metadata"]["name"]: str(r["metadata"]["generation"]) for r in found}


def test_kept_clusters_have_what_was_deployed_last(name: str, tmp_path: Path) -> None:
    run = Run(name, tmp_path)
    up = embedded("up", f"--name={name}", "-k", str(run.kustomization))
    assert up.returncode == 0, up.stderr
    pid, route = run.pid, run.versions()
    assert run() == "conformant", run.said
    assert (run.pid, run.versions()) == (pid, route), run.said

    right = run.routes.read_text()
    begin, end = (
        right.index("    filters:\n"),
        right.index("    backendRefs", right.index("filters")),
    )
    run.routes.write_text(right[:begin] + right[end:])
    assert run() == "nonconformant", run.said
    changed = run.versions()
    assert run.pid == pid
    assert {one for one in route if route[one] != changed[one]} == {ROUTE[3]}

    run.routes.write_text(right)
    assert run() == "conformant", run.said
    assert run.pid == pid
    Kube(run.state.kubeconfig).annotate(*ROUTE, {"somebody": "was here"})
    assert run() == "conformant", run.said
    assert f"cluster {name} is made anew: somebody altered HTTPRoute default/" in run.said
    assert run.pid != pid
    assert embedded("down", f"--name={name}").returncode == 0
    assert run.state.info() is None
