"""Locales, options and folders that are not as usual: what was decided is told in one line or more,
and no half of a report is left."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.contract.test_nothing_without_tests import before, there
from tests.toy import Toy

ONE = """
@requirement("MP-1")
def test_one(): pass
"""
WORDS = """
@requirement("MP-1")
def test_one(): assert False, "Größe → ∞ 模型"
"""
LOCALES = [
    {"LC_ALL": "de_DE.ISO-8859-1", "PYTHONUTF8": "0"},
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "latin-1"},
]
FULL = """
import errno, os, pathlib
from reports import written

def full(path):
    raise OSError(errno.ENOSPC, "No space left on device", str(path))

ends = os.environ["FULL"]
real = pathlib.Path.write_text

def write_text(self, text, *more, **words):
    if self.name == ends:
        real(self, text[:10], *more, **words)
        full(self)
    return real(self, text, *more, **words)

pathlib.Path.write_text = write_text
if ends == "junit.xml":
    import builtins
    def opened(path, *more, open=builtins.open, **words):
        return full(path) if str(path).endswith("junit.xml") else open(path, *more, **words)
    builtins.open = opened
if ends == "rename":
    kept, counted = pathlib.Path.rename, []
    def rename(self, target):
        counted.append(target)
        return full(target) if len(counted) == 3 else kept(self, target)
    pathlib.Path.rename = rename
"""


@pytest.mark.parametrize("locale", LOCALES, ids=["latin-1", "ascii", "latin-1 out"])
def test_reports_are_utf_8_whatever_the_locale(tmp_path: Path, locale: dict[str, str]) -> None:
    """The run starts, and what it writes and prints says the same as elsewhere."""
    toy = Toy(tmp_path, WORDS)
    done = toy.run(env=locale)
    assert done.returncode == 1, done.stdout + done.stderr
    assert toy.verdicts == {"MP-1": "nonconformant"}
    for name in ("conformance.yaml", "signoff.html", "traceability.md", "junit.xml"):
        assert (toy.reports / name).read_bytes().decode("utf-8")
    assert "Größe → ∞ 模型" in (toy.reports / "signoff.html").read_text(encoding="utf-8")
    assert "INTERNALERROR" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    "where", ["conformance.yaml", "traceability.md", "signoff.html", "junit.xml", "rename"]
)
def test_a_full_disk(tmp_path: Path, where: str) -> None:
    """Wherever it becomes full: the verdict is printed, one line says why there are no reports, and
    those of the run before are whole."""
    kept = before(tmp_path / "out")
    toy = Toy(tmp_path, ONE, FULL)
    done = toy.run(env={"FULL": where})
    assert done.returncode == 2, done.stdout + done.stderr
    assert "INTERNALERROR" not in done.stdout + done.stderr
    assert "1 conformant" in done.stdout
    (line,) = [one for one in done.stdout.splitlines() if "no reports were written" in one]
    assert "No space left on device: " in line
    assert there(toy.reports) == kept


@pytest.mark.parametrize("what", ["a file", "below a file", "nobody may write"])
def test_a_folder_that_cannot_be_made(tmp_path: Path, what: str) -> None:
    """One line, before any test runs."""
    toy = Toy(tmp_path, "def test_one(): open(os.environ['RAN'], 'w')\n")
    toy.reports = tmp_path / "taken"
    toy.reports.write_text("before")
    if what != "a file":
        toy.reports = tmp_path / "taken" / "out"
    if what == "nobody may write":
        toy.reports = Path("/proc/reports")
    ran = tmp_path / "ran"
    done = toy.run(env={"RAN": str(ran)})
    assert done.returncode == 4, done.stdout
    said = (done.stdout + done.stderr).strip().splitlines()
    assert said == [f"ERROR: --reports={toy.reports}: wanted is a folder: "
                    + said[0].rpartition(": ")[2]]  # fmt: skip
    assert not ran.exists()
    assert (tmp_path / "taken").read_text() == "before"


@pytest.mark.parametrize(
    ("plugin", "missing"), [("allure_pytest", "allure-results"), ("junitxml", "junit.xml")]
)
@pytest.mark.parametrize("workers", [[], ["-n1"]], ids=["alone", "xdist"])
def test_without_a_plugin(tmp_path: Path, plugin: str, missing: str, workers: list[str]) -> None:
    """Its report is not written, and the others are; nothing of the run before stays for it."""
    before(tmp_path / "out")
    toy = Toy(tmp_path, ONE)
    done = toy.run("-p", f"no:{plugin}", *workers)
    assert done.returncode == 0, done.stdout + done.stderr
    assert toy.verdicts == {"MP-1": "conformant"}
    names = {"conformance.yaml", "signoff.html", "traceability.md", "junit.xml", "allure-results"}
    assert set(os.listdir(toy.reports)) == names - {missing}
