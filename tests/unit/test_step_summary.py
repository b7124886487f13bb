"""A run's verdict on its page in GitHub Actions."""

from __future__ import annotations

from pathlib import Path

import pytest

from fixtures.evidence import BACKEND
from fixtures.evidence.verdicts import TestResult, judge
from reports import signoff, step_summary
from tests.unit.test_reports import KNOWN, written
from tests.unit.test_signoff import failure, judged

RED = {
    "MP-28": failure(BACKEND, "path /v1", "path `<b>`"),
    "MP-29": failure(BACKEND, "key a", "key b"),
}


def test_it_is_written_behind_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the variable is set; else nowhere."""
    verdicts, file = judged(RED), tmp_path / "summary.md"
    facts = signoff.facts_of(written(verdicts), None)
    step_summary.append(facts, verdicts)
    assert list(tmp_path.iterdir()) == []
    file.write_text("another step's\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(file))
    step_summary.append(facts, verdicts)
    text = file.read_text()
    assert text.startswith("another step's\n## Do not ship\n")
    for said in ("### 2 requirements are red, in 2 ways", "| mixed_providers | 2 |", "**MP-28**",
                 "`` backend: expected path /v1, observed path '<b>' ``",
                 "1.2.3, commit 000000000000; manifests default"):  # fmt: skip
        assert said in text


def test_what_is_not_decided_is_said() -> None:
    results = [TestResult("t::a", ["MP-1"], "undecided", reason="etcdserver: leader changed")]
    verdicts = judge(KNOWN, results)
    facts = signoff.facts_of(written(verdicts, undecided=["a worker crashed"]), None)
    text = step_summary.markdown(facts, verdicts)
    assert text.startswith("## No verdict\n")
    assert "### Not decided\n\n- `` a worker crashed ``\n- `` MP-1: etcdserver" in text
    assert "red" not in text
