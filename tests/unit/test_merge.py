"""Parts of a run put together are judged as the whole would have been."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from fixtures.evidence import BACKEND, Hop
from fixtures.evidence.verdicts import Failure, TestResult, judge
from fixtures.selection import sharded
from reports import merge
from reports.compare import differences, load
from tests.unit.test_reports import KNOWN, dumped, written

WAY = [Hop("client", "", "sent GET /"), Hop("client", "", "got 200")]


def results() -> list[TestResult]:
    """Two tests for each requirement; MP-28 is red by its second, MP-3 is skipped by its first."""
    found = []
    for one in KNOWN.values():
        outcomes = {one.id: "present"} if one.kind == "gap" else {}
        if one.outcomes:
            outcomes = {one.id: sorted(one.outcomes)[0]}
        for number in (1, 2):
            result = TestResult(f"t::{one.id}[{number}]", [one.id], "passed", 0.5, way=WAY,
                                outcomes=dict(outcomes))  # fmt: skip
            if (one.id, number) == ("MP-28", 2):
                result.outcome = "failed"
                result.failure = Failure(result.nodeid, BACKEND, "path /a", "path /b", "")
            if (one.id, number) == ("MP-3", 1):
                result.outcome, result.reason = "skipped", "there is no GPU"
            found.append(result)
    return found


def parts(folder: Path, of: int = 2, **more: Any) -> list[Path]:
    """Their files: in turns, as the shards have them."""
    every, paths = results(), []
    for number in range(1, of + 1):
        judged = judge(KNOWN, every[number - 1 :: of], dict.fromkeys(KNOWN, 2))
        report = written(judged, shard=(number, of), **more)
        paths.append(folder / f"{number}.yaml")
        paths[-1].write_text(dumped(report))
    return paths


def test_a_part_decides_nothing_but_what_is_red(tmp_path: Path) -> None:
    first, second = (load(path) for path in parts(tmp_path))
    (profile,) = [p for p in second["profiles"] if p["name"] == "mixed_providers"]
    seen = {one["id"]: one for one in profile["requirements"]}
    assert seen["MP-28"]["verdict"] == "nonconformant"
    assert seen["MP-1"]["verdict"] == "not run"
    assert seen["MP-1"]["reason"] == "1 of its 2 tests ran"
    every = [one["verdict"] for p in first["profiles"] for one in p["requirements"]]
    assert set(every) == {"not run"}


def test_the_whole_is_as_if_it_had_run_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = [*map(str, parts(tmp_path, of=3)), f"--out={out}", f"--history={tmp_path / 'past'}"]
    assert merge.main(words) == 1
    for known, code in (("MP-28", 0), ("MP-29", 1)):
        baseline = tmp_path / f"{known}.yaml"
        baseline.write_text(f"[{{id: {known}, says: nonconformant, because: so}}]")
        assert merge.main([*words, f"--baseline={baseline}"]) == code
    assert "red: MP-28" in capsys.readouterr().out
    at_once = written(judge(KNOWN, results()))
    together = load(out / "conformance.yaml")
    assert differences(at_once, together) == []
    assert "shard" not in together
    assert "Do not ship" in (out / "signoff.html").read_text()
    assert len(list((tmp_path / "past").iterdir())) == 1


@pytest.mark.parametrize(("unready", "code"), [([], 0), (["Deployment llm/model"], 2)])
def test_what_was_not_ready_is_said_once_and_fails_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unready: list[str], code: int
) -> None:
    """Where nothing else is red."""
    green = [one for one in results() if one.outcome == "passed"]
    monkeypatch.setattr(sys.modules[__name__], "results", lambda: green)
    files = parts(tmp_path, unready=unready)
    assert merge.main([*map(str, files), f"--out={tmp_path / 'whole'}"]) == code
    assert load(tmp_path / "whole" / "conformance.yaml").get("unready", []) == unready


def test_parts_of_other_runs_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = parts(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    kind = parts(other, cluster="kind")
    whole = tmp_path / "whole.yaml"
    whole.write_text(dumped(written(judge(KNOWN, results()))))
    for words, says in (
        ([first], "each part once is wanted; missing or doubled: 2/2"),
        ([first, first, second], "missing or doubled: 1/2"),
        ([first, kind[1]], "parts of more than one run differ in cluster.name"),
        ([first, whole], "no part of a run: it was not made with --shard=K/N"),
        ([first, tmp_path / "none.yaml"], "none.yaml"),
    ):
        assert merge.main([*map(str, words), f"--out={tmp_path / 'out'}"]) == 4
        assert says in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


class Item:
    """As much of a test as a shard asks for."""

    def __init__(self, name: str, window: bool = False) -> None:
        self.name, self._window = name, window
        self.user_properties: list[tuple[str, object]] = []

    def get_closest_marker(self, _: str) -> object:
        return object() if self._window else None

    def iter_markers(self, _: str) -> list[object]:
        return [pytest.mark.requirement(self.name[0]).mark]


def test_shards_share_out_all_and_the_windows_too() -> None:
    items: Any = [Item(f"{letter}{n}", window=n == 0) for letter in "ab" for n in range(4)]
    shards = [sharded(items, number, 3) for number in (1, 2, 3)]
    assert sorted(one.name for part in shards for one in part) == sorted(i.name for i in items)
    assert [sum(one._window for one in part) for part in shards] == [1, 1, 0]
    assert {len(part) for part in shards} <= {2, 3}
