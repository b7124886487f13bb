"""Whose containers are frozen, by whom, and that they go on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fixtures.clusters.base import Access
from fixtures.stack import paused as module
from fixtures.stack.paused import NodeError, paused

PART = ("kuadrant-system", "authorino")
ACCESS = Access(Path("kubeconfig"), node="kind-node")


class OnePod:
    """A cluster with one Deployment, of one Pod with these containers."""

    def __init__(self, *containers: str) -> None:
        self._statuses = [{"containerID": one} for one in containers]

    def serves(self, *_: str) -> bool:
        return True

    def get(self, *_: str) -> dict[str, Any]:
        return {"spec": {"selector": {"matchLabels": {}}}}

    def all(self, *_: object) -> list[dict[str, Any]]:
        return [{"status": {"containerStatuses": self._statuses}}]


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the node was told."""
    told: list[str] = []
    monkeypatch.setattr(module, "_run", lambda words: told.append(" ".join(words)))
    return told


def test_containerd_freezes_them(ran: list[str]) -> None:
    """All of them, and whatever happens meanwhile they go on."""
    containers: Any = OnePod("containerd://a", "containerd://b")
    with pytest.raises(ZeroDivisionError), paused(containers, ACCESS, PART):
        _ = 1 // len(ran[2:])
    of = "docker exec kind-node ctr -n k8s.io tasks"
    assert ran == [f"{of} pause a", f"{of} pause b", f"{of} resume a", f"{of} resume b"]


@pytest.mark.parametrize(
    ("said", "raises"), [("container a: not found", False), ("permission denied", True)]
)
def test_one_that_is_gone_need_not_go_on(
    monkeypatch: pytest.MonkeyPatch, said: str, raises: bool
) -> None:
    def run(words: list[str]) -> None:
        if "resume" in words:
            raise NodeError(said)

    monkeypatch.setattr(module, "_run", run)
    containers: Any = OnePod("containerd://a")
    if raises:
        with pytest.raises(NodeError, match=said), paused(containers, ACCESS, PART):
            pass
    else:
        with paused(containers, ACCESS, PART):
            pass


def test_nobody_else_can(ran: list[str]) -> None:
    containers: Any = OnePod("cri-o://a")
    with pytest.raises(AssertionError, match="nobody here can pause cri-o://a"):
        paused(containers, ACCESS, PART).__enter__()
    assert ran == []
