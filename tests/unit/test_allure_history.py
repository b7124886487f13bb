"""Every run is a line of Allure's history, as Allure itself would write it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reports import allure_history


def results(folder: Path, run: str, status: str = "passed") -> Path:
    """Of a run of two tests."""
    folder.mkdir()
    for number, name in enumerate(("suites.a#test_a", "suites.b#test_b")):
        one = {
            "uuid": f"{run}-{number}", "name": name.rpartition("#")[2], "fullName": name,
            "status": status if number else "passed", "start": 10, "stop": 30,
            "parameters": [{"name": "z", "value": "1"}, {"name": "case", "value": "'x'"}],
            "statusDetails": {"message": "m" * 9999, "trace": "t"},
        }  # fmt: skip
        (folder / f"{run}-{number}-result.json").write_text(json.dumps(one))
    return folder


def test_each_run_is_a_line_and_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    past = tmp_path / "past"
    monkeypatch.setattr(allure_history, "KEPT", 3)
    for run in ("a", "b", "c", "d", "d"):
        folder = tmp_path / run
        allure_history.keep(folder if folder.exists() else results(folder, run), past)
    lines = (past / "allure.jsonl").read_text().splitlines()
    assert len(lines) == 3
    assert allure_history.before(tmp_path / "d", past) == lines[:2]
    assert allure_history.before(tmp_path / "a", past) == lines
    assert sum(map(len, lines)) < 7000  # messages are clipped
    (tmp_path / "empty").mkdir()
    allure_history.keep(tmp_path / "empty", past)
    assert (past / "allure.jsonl").read_text().splitlines() == lines


def test_a_test_has_the_same_id_in_every_run(tmp_path: Path) -> None:
    """md5 of its full name, and of its parameters by name: as Allure 3.18 wrote it itself."""
    past = tmp_path / "past"
    for run in ("a", "b"):
        allure_history.keep(results(tmp_path / run, run, "failed"), past)
    first, second = (json.loads(x) for x in (past / "allure.jsonl").read_text().splitlines())
    assert first["uuid"] != second["uuid"]
    assert first["testResults"].keys() == second["testResults"].keys()
    found = {one["name"]: one["status"] for one in first["testResults"].values()}
    assert found == {"test_a": "passed", "test_b": "failed"}
