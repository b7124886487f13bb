"""Waiting for a demo that does not become ready: how long, and what is said of it."""

from __future__ import annotations

import time
from typing import Any

import pytest

from fixtures import waiting
from fixtures.clusters.progress import RESTARTS, coming
from fixtures.stack import readiness
from fixtures.stack.readiness import Readiness

LACK = "Deployment llm/model: 0 of 1 available"
OBJECT = {"apiVersion": "apps/v1", "kind": "Deployment",
          "metadata": {"name": "model", "namespace": "llm"}}  # fmt: skip


def container(ready: bool = False, restarts: int = 0, **state: Any) -> dict[str, Any]:
    return {"name": "main", "ready": ready, "restartCount": restarts, "state": state}


READY = container(ready=True, running={})
STARTING = container(running={})
PULLING = container(waiting={"reason": "ContainerCreating"})
ABSENT = container(waiting={"reason": "ImagePullBackOff", "message": "no such image"})
CRASHED_ONCE = container(restarts=1, waiting={"reason": "CrashLoopBackOff"})
CRASHING = container(restarts=RESTARTS, waiting={"reason": "CrashLoopBackOff"})


class FakeKube:
    """Pods of one namespace, and what is not ready at the first, second … look."""

    def __init__(self, looks: list[dict[str, Any]], *pods: list[dict[str, Any]]) -> None:
        self.looks, self.pods = looks, pods

    def lacks(self, _: list[Any]) -> dict[str, Any]:
        return self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]

    def all(self, _: str, kind: str, __: str) -> list[dict[str, Any]]:
        pods = [{"metadata": {"name": f"pod-{n}"}, "status": {"containerStatuses": one}}
                for n, one in enumerate(self.pods)]  # fmt: skip
        return pods if kind == "Pod" else []

    def pod_log(self, *_: Any) -> str:
        return "out of memory"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "STUCK_SECONDS", 0.2)
    monkeypatch.setattr(readiness, "DEPLOYED_SECONDS", 1.0)
    monkeypatch.setattr(readiness, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(waiting, "SELDOM_SECONDS", 0.05)


def waited(kube: Any) -> tuple[list[str], float]:
    """(what is not ready, after how many seconds that is known)."""
    began = time.monotonic()
    return Readiness(kube, []).unready(), time.monotonic() - began


@pytest.mark.parametrize(
    ("pods", "expected"),
    [
        ([], False),
        ([[READY]], False),
        ([[STARTING]], True),
        ([[READY, PULLING]], True),
        ([[CRASHED_ONCE]], True),
        ([[CRASHING]], False),
        ([[STARTING, CRASHING]], False),
        ([[ABSENT]], False),
        ([[ABSENT], [STARTING]], True),
    ],
)
def test_what_is_on_its_way(pods: list[list[dict[str, Any]]], expected: bool) -> None:
    kube: Any = FakeKube([{}], *pods)
    assert coming(kube, {"llm"}) is expected


def test_what_is_ready_is_not_waited_for() -> None:
    lines, seconds = waited(FakeKube([{LACK: OBJECT}, {LACK: OBJECT}, {}], [CRASHING]))
    assert lines == []
    assert seconds < 0.2


@pytest.mark.parametrize(
    ("pod", "why"),
    [(CRASHING, ["  Pod llm/pod-0, main: CrashLoopBackOff", "    out of memory"]),
     (ABSENT, ["  Pod llm/pod-0, main: ImagePullBackOff no such image"]),
     (READY, [])],
    ids=["crashing", "no image", "no container"],
)  # fmt: skip
def test_what_will_not_be_ready_is_given_up_early(pod: dict[str, Any], why: list[str]) -> None:
    lines, seconds = waited(FakeKube([{LACK: OBJECT}], [pod]))
    assert lines == [LACK, *why]
    assert 0.2 <= seconds < 0.6


def test_what_is_being_started_is_waited_for() -> None:
    lines, seconds = waited(FakeKube([{LACK: OBJECT}], [STARTING]))
    assert lines == [LACK, "  Pod llm/pod-0, main: not ready", "    out of memory"]
    assert seconds >= 1.0


def test_change_is_waited_for() -> None:
    """As long as something becomes ready, nothing is stuck."""
    looks = [{f"{LACK} {n // 3}": OBJECT} for n in range(15)]
    lines, seconds = waited(FakeKube([*looks, {}], [CRASHING]))
    assert lines == []
    assert seconds > 0.6


class Flapping(FakeKube):
    """Two objects, of which only those asked for are told; the second lacks later."""

    def lacks(self, asked: list[Any]) -> dict[str, Any]:
        found = super().lacks(asked)
        return {line: one for line, one in found.items() if one in asked}


@pytest.mark.parametrize("recovers", [True, False])
def test_what_was_ready_and_is_so_no_longer(recovers: bool) -> None:
    """It is waited for as the rest is, and told, though looks are at what lacked alone."""
    first, second = ({**OBJECT, "metadata": {"name": n, "namespace": "llm"}} for n in "ab")
    later = [{"b": second}] * 3 + [{} if recovers else {"b": second}]
    kube: Any = Flapping([{"a": first}, {"a": first, "b": second}, *later], [CRASHING])
    lines = Readiness(kube, [first, second]).unready()
    assert lines[:1] == ([] if recovers else ["b"])


def test_all_that_is_not_ready_is_told() -> None:
    """What has stopped being ready too, while the rest never became so."""
    first, second = ({**OBJECT, "metadata": {"name": n, "namespace": "llm"}} for n in "ab")
    kube: Any = Flapping([{"a": first}, {"a": first, "b": second}], [CRASHING])
    assert Readiness(kube, [first, second]).unready()[:2] == ["a", "b"]
