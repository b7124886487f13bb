"""What the node says of containers that end, and of a demo that does not become ready."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from fixtures.kube import Kube
from fixtures.waiting import until
from tests.conftest import ROOT, Cluster

IMAGE = "docker.io/library/python:3.11-slim"
ENDS = {"name": "ends", "image": IMAGE, "command": ["python", "-c", "raise SystemExit(1)"]}
ENDS_WELL = {"name": "ends-well", "image": IMAGE, "command": ["python", "-c", ""]}
STAYS = {
    "name": "stays",
    "image": IMAGE,
    "command": ["python", "-c", "import time; time.sleep(600)"],
}
RESTARTED_SECONDS = 15.0
WHY = "HTTPRoute default/vllm-route: ResolvedRefs=False"


def status(cluster: Cluster, namespace: str, spec: dict[str, Any], which: str) -> Any:
    """Apply a Pod; a reader of the first of these container statuses."""
    kube, metadata = Kube(cluster.state.kubeconfig), {"name": "one", "namespace": namespace}
    kube.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})

    def read() -> dict[str, Any]:
        found = kube.get("v1", "Pod", namespace, "one") or {}
        return next(iter(found.get("status", {}).get(which, [])), {})

    return read


PROBES = {"none": {}, "tcp": {"tcpSocket": {"port": 9}}, "exec": {"exec": {"command": ["false"]}}}


@pytest.mark.parametrize("probe", PROBES.values(), ids=PROBES)
def test_a_container_that_ends_is_restarted(
    cluster: Cluster, namespace: str, probe: dict[str, Any]
) -> None:
    """However it is probed meanwhile: a probe that goes on keeps it "running" for ever."""
    probes = {"readinessProbe": probe, "livenessProbe": probe} if probe else {}
    read = status(cluster, namespace, {"containers": [{**ENDS, **probes}]}, "containerStatuses")
    until("two restarts", read, lambda one: one.get("restartCount", 0) >= 2, RESTARTED_SECONDS)
    found = until("its back-off", read, lambda one: "waiting" in one["state"], RESTARTED_SECONDS)
    assert found["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert found["lastState"]["terminated"]["exitCode"] == 1
    assert not found["ready"]


def test_an_init_container_that_fails_is_restarted(cluster: Cluster, namespace: str) -> None:
    spec = {"initContainers": [ENDS], "containers": [STAYS]}
    read = status(cluster, namespace, spec, "initContainerStatuses")
    until("two restarts", read, lambda one: one.get("restartCount", 0) >= 2, RESTARTED_SECONDS)


def test_an_init_container_that_ended_well_is_ready(cluster: Cluster, namespace: str) -> None:
    spec = {"initContainers": [ENDS_WELL], "containers": [STAYS]}
    read = status(cluster, namespace, spec, "initContainerStatuses")
    found = until("its end", read, lambda one: "terminated" in one.get("state", {}),
                  RESTARTED_SECONDS)  # fmt: skip
    assert (found["ready"], found["restartCount"]) == (True, 0)


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """The demo, but that the egress route to vLLM names a port which its backend has not."""
    folder = tmp_path / "broken"
    folder.mkdir()
    patch = [{"op": "replace", "path": "/spec/rules/0/backendRefs/0/port", "value": 8001}]
    target = {"kind": "HTTPRoute", "name": "vllm-route"}
    demo = ROOT / "manifests" / "mixed-providers" / "overlays" / "recording"
    made = {"resources": [str(demo)], "patches": [{"target": target, "patch": yaml.dump(patch)}]}
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(made))
    return folder


def run(broken: Path, reports: Path, *more: str) -> tuple[int, str, dict[str, Any]]:
    """The suite on it: (exit code, output, conformance.yaml)."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--cluster=embedded", f"--kustomization={broken}", "-q",
         f"--reports={reports}", *more],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert "NOT everything is ready" in done.stdout
    assert "not everything that was deployed became ready:" in done.stdout
    report = yaml.safe_load((reports / "conformance.yaml").read_text())
    assert report["unready"][0].startswith(WHY)
    assert WHY in (reports / "signoff.html").read_text()
    return done.returncode, done.stdout, report


def verdicts(report: dict[str, Any]) -> dict[str, str]:
    return {one["id"]: one["verdict"] for p in report["profiles"] for one in p["requirements"]}


def test_what_is_not_ready_is_told_and_the_rest_is_decided(broken: Path, tmp_path: Path) -> None:
    code, output, report = run(broken, tmp_path, "--requirement=MP-28", "--requirement=MP-34")
    assert code == 1, output[-3000:]
    found = verdicts(report)
    assert found["MP-34"] == "nonconformant"  # vLLM's path is one of its cases
    assert found["MP-28"] == "conformant"


@pytest.mark.parametrize("baseline", [False, True], ids=["alone", "baseline"])
def test_what_is_not_ready_fails_the_run(broken: Path, tmp_path: Path, baseline: bool) -> None:
    """Where each requirement that was asked for holds, and whatever was red before."""
    known = tmp_path / "known.yaml"
    known.write_text("{kind: ConformanceReport, profiles: []}")
    more = [f"--baseline={known}"] if baseline else []
    code, output, report = run(broken, tmp_path / "out", "--requirement=MP-28", *more)
    assert code == 2, output[-3000:]
    assert set(verdicts(report).values()) == {"conformant", "not run"}
