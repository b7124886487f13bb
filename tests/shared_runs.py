"""Runs of the suite on the tests' cluster as if it were others': with which options, what they
decided, and that they left nothing."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from fixtures.kube import Kube
from fixtures.snapshot import differences, taken
from fixtures.waiting import until
from tests.conftest import Cluster

REST_SECONDS = 20.0
UNDER_WAY_SECONDS = 180.0  # with other tests beside it


def at_rest(kube: Kube) -> dict[str, Any]:
    """What is deployed, once controllers have nothing more to make of it."""
    seen = [taken(kube)]

    def changes() -> list[str]:
        seen.append(taken(kube))
        return differences(*seen[-2:])

    until("the cluster to be at rest", changes, lambda found: not found, REST_SECONDS,
          in_a_row=2, every=0.3)  # fmt: skip
    return seen[-1]


@contextlib.contextmanager
def unchanged(cluster: Cluster) -> Iterator[None]:
    """Nothing is more, less or other afterwards than it was before."""
    kube = Kube(cluster.state.kubeconfig)
    before = at_rest(kube)
    yield
    found = differences(before, taken(kube))
    assert not found, "\n".join(found)


def options(cluster: Cluster, reports: Path) -> list[str]:
    ca = cluster.state.folder / "ca.crt"
    return [sys.executable, "-m", "pytest", "-q", "--cluster=openshift", f"--ca={ca}",
            f"--reports={reports}"]  # fmt: skip


def verdicts(reports: Path) -> dict[str, str]:
    found = yaml.safe_load((reports / "conformance.yaml").read_text())
    return {
        one["id"]: one["verdict"]
        for profile in found["profiles"]
        for one in profile["requirements"]
        if one["verdict"] != "not run"
    }
