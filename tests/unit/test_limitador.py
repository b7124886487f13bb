"""Limitador's counters, and the usage that they are told of."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from embedded.images.kuadrant.limitador import Limits, Reader
from embedded.images.kuadrant.wasm_shim import SseUsage


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def limits(maximum: int, clock: Clock) -> Limits:
    made = Limits(clock)
    spec = {"namespace": "n", "max_value": maximum, "seconds": 60,
            "conditions": ['descriptors[0]["l"] == "1"'],
            "variables": ['descriptors[0]["user"]']}  # fmt: skip
    made.configure([spec])
    return made


ALICE, BOB = [{"l": "1", "user": "alice"}], [{"l": "1", "user": "bob"}]


def test_limit_at_the_boundary() -> None:
    """At 99 one more is let through and may overshoot; at 100 it is not."""
    made = limits(100, Clock())
    made.add("n", ALICE, 99)
    assert made.within("n", ALICE, 1)
    made.add("n", ALICE, 1)
    assert not made.within("n", ALICE, 1)
    assert made.within("n", BOB, 1)


def test_a_limits_file_that_is_no_good_changes_nothing(tmp_path: Path, capsys: Any) -> None:
    """Not there while it is replaced, no YAML, no limits: what was counted stays counted."""
    made = limits(1, Clock())
    made.add("n", ALICE, 1)
    path = tmp_path / "limits.yaml"
    reader = Reader(path, made)
    reader.read()
    for text in ("- {", "- name: x", "- 3"):
        path.write_text(text)
        reader.read()
        reader.read()
        assert not made.within("n", ALICE, 1)
    assert capsys.readouterr().out.count("its limits stay") == 3
    path.write_text("[]")
    reader.read()
    assert made.within("n", ALICE, 1)


@pytest.mark.parametrize("how", ["replaced", "written"])
def test_another_limits_file_is_read(tmp_path: Path, capsys: Any, how: str) -> None:
    """However old: a volume's files are put in the place of the others, some are written anew."""

    def write(path: Path, text: str, age: int) -> None:
        path.write_text(text)
        os.utime(path, (time.time() - age,) * 2)

    path = tmp_path / "limits.yaml"
    write(path, "[]", 60)
    reader = Reader(path, limits(1, Clock()))
    reader.read()
    if how == "replaced":
        write(tmp_path / "new", "[ ]", 60)
        os.utime(tmp_path / "new", ns=(path.stat().st_mtime_ns,) * 2)
        os.replace(tmp_path / "new", path)
    else:
        write(path, "[ ]", 30)
    reader.read()
    assert capsys.readouterr().out.count("limits loaded") == 2


def test_window_begins_with_the_first_hit() -> None:
    clock = Clock()
    made = limits(1, clock)
    clock.now = 50
    made.add("n", ALICE, 1)
    clock.now = 109.9
    assert not made.within("n", ALICE, 1)
    clock.now = 110
    assert made.within("n", ALICE, 1)


def test_limit_does_not_apply_elsewhere() -> None:
    """Another namespace, a descriptor without the condition, or without the variable."""
    made = limits(0, Clock())
    assert not made.within("n", ALICE, 1)
    assert made.within("other", ALICE, 1)
    assert made.within("n", [{"user": "alice"}], 1)
    assert made.within("n", [{"l": "1"}], 1)


def test_reload_keeps_counters_of_limits_that_stay() -> None:
    made = limits(5, Clock())
    made.add("n", ALICE, 5)
    spec = {"namespace": "n", "max_value": 6, "seconds": 60,
            "conditions": ['descriptors[0]["l"] == "1"'],
            "variables": ['descriptors[0]["user"]']}  # fmt: skip
    assert made.configure([spec]) == []
    assert made.within("n", ALICE, 1)
    assert not made.within("n", ALICE, 2)
    assert made.configure([]) == ["n: ('alice',)"]
    assert made.configure([spec]) == []
    assert made.within("n", ALICE, 6)


@pytest.mark.parametrize(
    ("events", "total"),
    [
        (['data: {"usage":{"total_tokens":7}}\n\n'], 7),
        (['data: {"usage":{"total_tokens":7}}\r\n\r\n', "data: [DONE]\r\n\r\n"], 7),
        (['data: {"usage":{"tot', 'al_tokens":7}}\n\n'], 7),
        (['data:{"usage":{"total_tokens":7}}'], 7),
        (['data: {"usage":null}\n\n', "data: [DONE]\n\n"], None),
        (['data: {"usage":{"total_tokens":3}}\n\ndata: {"usage":{"total_tokens":9}}\n\n'], 9),
    ],
)
def test_usage_in_streams(events: list[str], total: int | None) -> None:
    parser = SseUsage()
    for event in events:
        parser.feed(event.encode())
    found = parser.last_with_usage()
    assert (json.loads(found)["usage"]["total_tokens"] if found else None) == total
