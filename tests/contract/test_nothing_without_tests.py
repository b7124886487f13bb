"""A verdict comes from tests that ran, however pytest was called; and reports are replaced by runs
that had some to report."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract.test_command_line import suite
from tests.toy import FILE, Toy

TWO = """
@requirement("MP-1")
def test_one(): pass

@requirement("MP-1", "MP-2")
def test_two(): pass
"""


def before(folder: Path) -> dict[str, str]:
    """Reports of a run before."""
    for name in (
        "conformance.yaml",
        "junit.xml",
        "diagnostics/events.txt",
        "allure-results/a.json",
    ):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("before")
    return there(folder)


def there(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_text() for path in files}


@pytest.mark.parametrize(
    "option",
    ["--co", "--setup-plan", "--fixtures", "--fixtures-per-test", "--markers", "--help"],
)
def test_what_only_tells_starts_and_reports_nothing(tmp_path: Path, option: str) -> None:
    kept = before(tmp_path)
    done = suite("suites", "--requirement=MP-28", f"--reports={tmp_path}", option)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "cluster embedded: up" not in done.stdout
    assert "CONFORMANT" not in done.stdout
    assert there(tmp_path) == kept
    assert {one.name for one in tmp_path.iterdir()} == {name.split("/")[0] for name in kept}


def test_fixtures_that_were_set_up_are_no_test(tmp_path: Path) -> None:
    """On a cluster: `--setup-only` does what they do."""
    kept = before(tmp_path)
    done = suite("suites", "--requirement=MP-28", f"--reports={tmp_path}", "--setup-only")
    assert done.returncode == 0, done.stdout
    assert "no test ran: nothing was decided, nothing reported" in done.stdout
    assert "CONFORMANT" not in done.stdout
    assert there(tmp_path) == kept


def test_preflight_reports_nothing(tmp_path: Path) -> None:
    kept = before(tmp_path)
    nowhere = tmp_path / "nowhere"
    done = suite("suites", "--cluster=openshift", "--preflight", f"--reports={tmp_path}",
                 f"--context={nowhere}")  # fmt: skip
    assert done.returncode != 0
    assert there(tmp_path) == kept


SKIPS = """
import pytest

def pytest_runtest_setup(item):
    if "one" in item.name:
        pytest.skip("not today")
"""
PASSES_OVER = """
def pytest_runtest_protocol(item):
    return True if "one" in item.name else None
"""
DROPS = """
import pytest

@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    items[:] = [one for one in items if "one" not in one.name]
"""
EXPECTS_FAILURE = """
import pytest

def pytest_collection_modifyitems(items):
    for one in items:
        if "one" in one.name:
            one.add_marker(pytest.mark.xfail(run=False))
"""


@pytest.mark.parametrize(
    ("plugin", "words"),
    [
        (SKIPS, []), (PASSES_OVER, []), (DROPS, []), (EXPECTS_FAILURE, []),
        ("", [f"--deselect={FILE}::test_one"]), ("", ["-k", "two"]),
    ],
    ids=["skips", "passes over", "drops", "expects failure", "deselect", "k"],
)  # fmt: skip
@pytest.mark.parametrize("workers", [[], ["-n1"]], ids=["alone", "xdist"])
def test_some_of_its_tests_decide_nothing(
    tmp_path: Path, plugin: str, words: list[str], workers: list[str]
) -> None:
    toy = Toy(tmp_path, TWO, plugin)
    done = toy.run(*words, *workers)
    assert done.returncode == 0, done.stdout
    assert toy.verdicts == {"MP-1": "not run", "MP-2": "conformant"}
    assert "1 of its 2 tests ran" in done.stdout


@pytest.mark.parametrize("option", ["-x", "--maxfail=1"])
def test_what_comes_after_the_first_failure_is_not_run(tmp_path: Path, option: str) -> None:
    text = """
@requirement("MP-1")
def test_a(): pass

@requirement("MP-2")
def test_b(): assert False

@requirement("MP-1")
def test_c(): pass
"""
    toy = Toy(tmp_path, text)
    done = toy.run(option)
    assert done.returncode == 1
    assert toy.verdicts == {"MP-1": "not run", "MP-2": "nonconformant"}


def test_tests_of_files_that_nobody_asked_for_count(tmp_path: Path) -> None:
    toy = Toy(tmp_path, TWO)
    other = toy.folder / "suites" / "hardening" / "test_other.py"
    other.write_text('import pytest\n@pytest.mark.requirement("MP-2")\ndef test(): pass\n')
    toy.run()
    assert toy.verdicts == {"MP-1": "conformant", "MP-2": "not run"}
    toy.run(f"{FILE}::test_two")
    assert toy.verdicts == {"MP-1": "conformant", "MP-2": "not run"}
    toy.run(f"{FILE}::test_two", args=())
    assert toy.verdicts == {"MP-1": "not run", "MP-2": "not run"}


def test_a_run_replaces_all_reports_at_its_end(tmp_path: Path) -> None:
    """Until then those of the run before are there, and nothing of them is left afterwards."""
    before(tmp_path / "out")
    text = f"""
@requirement("MP-1")
def test_one():
    assert open("{tmp_path}/out/junit.xml").read() == "before"
    assert os.listdir("{tmp_path}/out/allure-results") == ["a.json"]
"""
    toy = Toy(tmp_path, text)
    done = toy.run()
    assert done.returncode == 0, done.stdout
    assert {one.name for one in toy.reports.iterdir()} == {
        "conformance.yaml", "signoff.html", "traceability.md", "junit.xml", "allure-results",
    }  # fmt: skip
    assert "before" not in there(toy.reports).values()
    assert f"reports: {toy.reports} (signoff.html, " in done.stdout


@pytest.mark.parametrize("workers", [[], ["-n1"]], ids=["alone", "xdist"])
def test_who_was_asked_in_anothers_place_is_told(tmp_path: Path, workers: list[str]) -> None:
    """Once, however many tests leaned on it, on the terminal and in the report."""
    text = """
@pytest.fixture(autouse=True)
def external(request):
    request.node.user_properties.append(("instead", "b was asked in the place of a (404)"))
"""
    toy = Toy(tmp_path, text + TWO)
    done = toy.run(*workers)
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines().count("b was asked in the place of a (404)") == 1
    assert toy.report["instead"] == ["b was asked in the place of a (404)"]
