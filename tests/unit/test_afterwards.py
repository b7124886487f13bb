"""Tests that ruin the cluster come one at a time, in one worker, when no other is left."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fixtures.afterwards import OneByOneAtTheEnd, _told_key


class Node:
    """A worker as the scheduler knows it: what it was sent, and whether it was told to end."""

    def __init__(self, name: str) -> None:
        self.gateway = SimpleNamespace(id=name)
        self.sent: list[int] = []
        self.shutting_down = False

    def send_runtest_some(self, indices: list[int]) -> None:
        self.sent += indices

    def send_steal(self, indices: list[int]) -> None:
        self.stolen = indices

    def shutdown(self) -> None:
        self.shutting_down = True


def scheduler(folder: Path, workers: int, tests: list[str]) -> tuple[Any, list[Node]]:
    """One that knows which tests ruin, those that begin with `ruin`."""
    ruining = [one for one in tests if one.startswith("ruin")]
    (folder / "gw0.json").write_text(json.dumps(ruining))
    config = SimpleNamespace(stash={_told_key: folder}, option=SimpleNamespace(),
                             getvalue=lambda name: {"tx": [f"{workers}*popen"]}[name])  # fmt: skip
    made = OneByOneAtTheEnd(config)
    nodes = [Node(f"gw{number}") for number in range(workers)]
    for node in nodes:
        made.add_node(node)
        made.add_node_collection(node, tests)
    made.schedule()
    return made, nodes


def run(made: Any, nodes: list[Node]) -> list[tuple[str, str]]:
    """(worker, test) in the order in which they ended; a worker keeps its last test until it hears
    what is next, and has others' back when these steal."""
    order = []
    for _ in range(1000):
        if made.tests_finished:
            for node in nodes:
                node.shutdown()
        steps = [node for node in nodes if node in made.node2pending]
        moved = False
        for node in steps:
            if made.steal_requested_from_node is node:
                gone = [i for i in node.stolen if i in node.sent[1:]]
                node.sent = [i for i in node.sent if i not in gone]
                made.remove_pending_tests_from_node(node, gone)
                moved = True
            elif len(node.sent) > (0 if node.shutting_down else 1):
                index = node.sent.pop(0)
                order.append((node.gateway.id, made.collection[index]))
                made.mark_test_complete(node, index)
                moved = True
            elif node.shutting_down and not node.sent:
                assert made.remove_node(node) is None
                moved = True
        if not made.node2pending:
            return order
        assert moved, f"nobody goes on after {order}"
    raise AssertionError("it has no end")


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("others", [0, 1, 2, 3, 9, 40])
@pytest.mark.parametrize("ruining", [0, 1, 2, 7])
def test_order(tmp_path: Path, workers: int, others: int, ruining: int) -> None:
    tests = [f"test{n}" for n in range(others)] + [f"ruin{n}" for n in range(ruining)]
    made, nodes = scheduler(tmp_path, workers, tests)
    if not tests:
        return
    order = run(made, nodes)
    names = [name for _, name in order]
    assert sorted(names) == sorted(tests)
    assert names[others:] == tests[others:]
    assert len({worker for worker, name in order if name.startswith("ruin")}) <= 1


def test_others_have_ended_before(tmp_path: Path) -> None:
    """With their last tests, and the sessions in which they hold something."""
    made, nodes = scheduler(tmp_path, 2, ["a", "b", "c", "ruin"])
    assert sorted(i for node in nodes for i in node.sent) == [0, 1, 2]
    for node in nodes:
        for index in node.sent[:-1]:
            made.mark_test_complete(node, index)
    ending = [node for node in nodes if node.shutting_down]
    assert len(ending) == 1
    assert not any(3 in node.sent for node in nodes)
    made.mark_test_complete(ending[0], ending[0].sent[-1])
    assert not any(3 in node.sent for node in nodes), "its session has not ended"
    made.remove_node(ending[0])
    (left,) = [node for node in nodes if node not in ending]
    assert left.sent[-1] == 3


def test_a_worker_that_dies_has_another_in_its_place(tmp_path: Path) -> None:
    """Which gets what the first had not begun."""
    made, (node,) = scheduler(tmp_path, 1, ["a", "ruin1", "ruin2", "ruin3"])
    made.mark_test_complete(node, 0)
    assert made.remove_node(node) == "ruin1"
    other = Node("gw1")
    made.add_node(other)
    made.add_node_collection(other, made.collection)
    made.schedule()
    assert other.sent == [2, 3]
