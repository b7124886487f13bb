"""`make report`: Allure's HTML of a run, in a real browser, from its one file."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from reports import allure_report
from tests.browser.conftest import Opened
from tests.conftest import DEMO, ROOT

QUOTE = "'"  # Allure's, around a text


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a run of two requirements; one of them is a disputed one."""
    folder = tmp_path_factory.mktemp("run") / "reports"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "suites/mixed_providers", "-q", "--cluster=embedded",
         f"--kustomization={DEMO}", f"--reports={folder}", "--requirement=MP-28",
         "--requirement=MP-42"],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return folder


def test_what_each_result_has(reports: Path) -> None:
    """Its place in the tree, severity, sentence, link, and the way of its request."""
    found = [json.loads(path.read_text()) for path in reports.glob("allure-results/*-result.json")]
    one = next(result for result in found if "egress_gateway_strips" in result["name"])
    labels = {(label["name"], label["value"]) for label in one["labels"]}
    assert {
        ("epic", "mixed-providers-demo.md"), ("severity", "critical"), ("tag", "MP-28"),
        ("story", "MP-28 The egress gateway rewrites /openai/* to /*"),
    } <= labels  # fmt: skip
    assert "URL rewrite: /openai/* → /*" in one["description"]
    case = {p["name"]: p["value"] for p in one["parameters"]}["case"]
    assert f"[{case.strip(QUOTE)}]" in one["name"]
    assert one["links"][0]["url"] == "../signoff.html#MP-28"
    texts = {a["name"]: (reports / "allure-results" / a["source"]).read_text()
             for a in one["attachments"]}  # fmt: skip
    assert "egress gateway   received /openai/v1/" in texts["hops"]
    assert "x-conformance-id" in texts["exchange"]
    disputed = next(result for result in found if ("MP-42" in str(result["labels"])))
    assert {"name": "outcome", "value": "disputed"} in disputed["labels"]
    environment = (reports / "allure-results" / "environment.properties").read_text()
    assert "cluster=embedded" in environment


def another(reports: Path, folder: Path) -> Path:
    """The same results as those of another run."""
    shutil.copytree(reports, folder)
    for path in folder.glob("*-result.json"):
        result = json.loads(path.read_text())
        path.write_text(json.dumps({**result, "uuid": f"again-{result['uuid']}"}))
    return folder


def test_report_opens(browser: Browser, reports: Path, tmp_path: Path) -> None:
    """Without a network it shows the tree; each run is once in the history, however often its
    report is made."""
    out, past = tmp_path / "report", tmp_path / "history"
    allure_report.make(reports / "allure-results", out, past)
    folder = another(reports / "allure-results", tmp_path / "run" / "allure-results")
    for _ in range(2):
        page = allure_report.make(folder, out, past)
    assert len((past / "allure.jsonl").read_text().splitlines()) == 2
    assert [path.name for path in folder.parent.iterdir()] == ["allure-results"]
    opened = Opened(browser)
    shown = opened.open(page)
    expect(shown.get_by_text("mixed-providers-demo.md").first).to_be_visible()
    assert [u for u in opened.asked if not u.startswith(("file:", "data:", "blob:"))] == []
    shown.close()


def test_without_results_or_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line that says what to do, and exit code 4."""
    assert allure_report.main([f"--reports={tmp_path}"]) == 4
    assert "has no results of Allure: run the suite first" in capsys.readouterr().err
    (tmp_path / "allure-results").mkdir()
    (tmp_path / "allure-results" / "x-result.json").write_text("{}")
    monkeypatch.setenv("PATH", "")
    assert allure_report.main([f"--reports={tmp_path}"]) == 4
    said = capsys.readouterr().err
    assert "there is no Node here: Node.js 20 or newer" in said
    assert len(said.splitlines()) == 1
