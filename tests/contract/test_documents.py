"""Other people's documents: a folder outside of the project is a profile as ours are."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from fixtures.evidence import mutants
from fixtures.evidence.mutants import Mutant
from fixtures.evidence.requirements import read
from reports.check import judged
from tests.conftest import ROOT

GREETINGS = ROOT / "tests" / "documents" / "greetings"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A team's own, where nothing of the project is."""
    shutil.copytree(GREETINGS, tmp_path / "greetings")
    return tmp_path / "greetings"


def done(folder: Path, *words: str, seconds: float = 600) -> subprocess.CompletedProcess[str]:
    """The console script, from beside a folder."""
    return subprocess.run(
        [sys.executable, "-m", "ai_gateway_conformance", *words], cwd=folder.parent,
        capture_output=True, text=True, timeout=seconds, check=False,
    )  # fmt: skip


def test_it_is_in_all_reports(folder: Path) -> None:
    """Beside ours, by the names of the folder, with what was deployed for it, and the workers know
    it."""
    ended = done(folder, "--documents=greetings", "--requirement=GR-1", "--requirement=GR-3", "-n2")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    out = folder.parent / "reports" / "out"
    report = yaml.safe_load((out / "conformance.yaml").read_text(encoding="utf-8"))
    assert report["manifests"]["kustomization"] == "default+greetings"
    (found,) = [p for p in report["profiles"] if p["name"] == "greetings"]
    one, two, three = found["requirements"]
    assert (one["id"], one["verdict"], one["source"]["line"]) == ("GR-1", "conformant", 7)
    assert one["evidence"][0]["test"].startswith("greetings/test_greetings.py::")
    assert (two["verdict"], three["verdict"]) == ("not run", "gap present")
    assert {p["name"] for p in report["profiles"]} > {"greetings", "mixed_providers", "hardening"}
    traced = (out / "traceability.md").read_text(encoding="utf-8")
    assert "## greetings.md" in traced
    assert "**GR-1** Who has a token is greeted" in traced
    assert "Who has a token is greeted" in (out / "signoff.html").read_text(encoding="utf-8")


def test_its_mutants_are_caught(folder: Path) -> None:
    """And one that its tests cannot see is said to be none."""
    ended = done(folder, "check", "greetings")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.splitlines() == [
        "without a defect: GR-1 conformant, GR-2 conformant, GR-3 present",
        "another-word: caught",
        "open-to-anybody: caught",
        "translated: caught",
    ]


def test_what_a_mutant_should_have_turned_red() -> None:
    mutant = Mutant("m", [{}], caught=["GR-1"], implied=["GR-4"], outcomes={"GR-3": "closed"})
    red = {"GR-1": "nonconformant", "GR-3": "closed", "GR-4": "nonconformant"}
    assert judged(mutant, red) == []
    assert judged(mutant, red | {"GR-1": "conformant"}) == ["GR-1 is not red: conformant"]
    assert judged(mutant, red | {"GR-2": "nonconformant"}) == ["GR-2 is red too"]
    assert judged(mutant, red | {"GR-3": "present"}) == ["GR-3 is decided present, not closed"]


def test_what_is_not_proved_is_told(folder: Path) -> None:
    """A line that nothing quotes, a requirement and a dimension without a defect."""
    assert mutants.lacking(read(folder / "requirements.yaml"), mutants.read(folder)) == []
    document, wanted = folder / "greetings.md", folder / "requirements.yaml"
    document.write_text(document.read_text() + "\nGreetings cost nothing.\n")
    wanted.write_text(
        wanted.read_text().replace(
            "not_over: one language stands for the others", "over: [headers]"
        )
    )
    known = [one for one in mutants.read(folder) if one.name != "open-to-anybody"]
    assert mutants.lacking(read(wanted), known) == [
        "greetings.md:15: nothing quotes it: Greetings cost nothing.",
        "GR-2: no mutant turns it red",
        "GR-3: no mutant breaks one alone of the headers",
    ]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--documents=nowhere"], "there is no requirements.yaml in it"),
        (["--documents=hardening"], "has to be a Python package's, and no other's"),
        (["--documents=greetings", "--mutant=x"], "--mutant=x: unknown; of --documents there are "
         "another-word, open-to-anybody, translated"),
        (["--documents=greetings", "--documents=more/greetings"], "GR-1 is there twice"),
    ],
)  # fmt: skip
def test_wrong_folders_are_one_clear_line(folder: Path, words: list[str], says: str) -> None:
    for name in ("hardening", "more/greetings"):
        shutil.copytree(folder, folder.parent / name)
    ended = done(folder, "--collect-only", *words)
    assert ended.returncode == 4, ended.stdout
    (error,) = [line for line in ended.stderr.splitlines() if line.startswith("ERROR")]
    assert says in error


def test_its_requirements_have_tests(folder: Path) -> None:
    """As ours: one that none cites stops the collection."""
    tests = folder / "test_greetings.py"
    tests.write_text(tests.read_text().replace('@requirement("GR-2")', '@requirement("GR-1")'))
    ended = done(folder, "--documents=greetings", "--collect-only", "-q")
    assert ended.returncode == 4
    assert "requirements without a test: GR-2" in ended.stderr


def test_its_fixtures_are_its_own(folder: Path) -> None:
    """Two teams may call theirs alike: nobody's test finds another's."""
    other = folder.parent / "farewells"
    shutil.copytree(folder, other)
    for path in (one for one in other.iterdir() if one.is_file()):
        text = path.read_text().replace("GR-", "FW-")
        path.write_text(text.replace("from greetings", "from farewells"))
    (folder / "conftest.py").unlink()
    shutil.rmtree(other / "manifests")
    ended = done(folder, "--documents=greetings", "--documents=farewells", "--requirement=GR-2",
                 "--requirement=FW-2", "--setup-plan")  # fmt: skip
    assert "fixture 'stack' not found" in ended.stdout
    assert "greetings/test_greetings.py::test_who_has_none_is_refused" in ended.stdout
    assert "ERROR farewells" not in ended.stdout
