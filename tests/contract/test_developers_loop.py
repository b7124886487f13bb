"""What a developer does many times a day: run what was red once more, choose by a requirement or a
pasted name, watch, and read what there is to prove."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fixtures.chosen import shown
from fixtures.secrets import redact
from tests.conftest import ROOT
from tests.contract.test_command_line import suite
from tests.toy import FILE, Toy

REMEMBERS = {"PYTEST_ADDOPTS": ""}
SOME = """
@requirement("MP-1")
@pytest.mark.parametrize("path", ["/v1/models/llama:7b@main;a=1", "/v1/files/a%20b/c"])
def test_way(path): pass

@requirement("MP-2")
def test_red(): assert not os.path.exists("red")

@requirement("MP-28", "MP-29")
def test_green(): pass
"""


def ran(done: subprocess.CompletedProcess[str]) -> list[str]:
    """The tests that ran, with `-v` and without workers, in their order."""
    found = re.findall(r"::(test_.+?) (?:PASSED|FAILED)", done.stdout)
    return [str(one) for one in found]


def tried(toy: Toy, *words: str, workers: tuple[str, ...] = ()) -> list[str]:
    """The tests that decided something."""
    toy.run(*words, *workers, env=REMEMBERS)
    tests = {
        evidence["test"]
        for profile in toy.report["profiles"]
        for one in profile["requirements"]
        for evidence in one["evidence"]
    }
    return sorted(one.partition("::")[2] for one in tests)


@pytest.mark.parametrize("workers", [(), ("-n2",)], ids=["alone", "xdist"])
def test_what_failed_last_runs_alone(tmp_path: Path, workers: tuple[str, ...]) -> None:
    toy = Toy(tmp_path, SOME)
    (toy.folder / "red").touch()
    assert len(tried(toy, workers=workers)) == 4
    assert tried(toy, "--lf", workers=workers) == ["test_red"]
    (toy.folder / "red").unlink()
    assert tried(toy, "--lf", workers=workers) == ["test_red"]
    assert len(tried(toy, "--lf", workers=workers)) == 4


def test_what_failed_last_runs_first_and_new_files_too(tmp_path: Path) -> None:
    toy = Toy(tmp_path, SOME)
    (toy.folder / "red").touch()
    toy.run(env=REMEMBERS)
    assert ran(toy.run("--ff", "-vv", env=REMEMBERS))[0] == "test_red"
    new = toy.folder / "suites" / "mixed_providers" / "test_new.py"
    new.write_text('import pytest\n@pytest.mark.requirement("MP-3")\ndef test_new(): pass\n')
    both = (FILE, "suites/mixed_providers/test_new.py")
    assert ran(toy.run("--nf", "-vv", env=REMEMBERS, args=both))[0] == "test_new"


@pytest.mark.parametrize("workers", [(), ("-n1",)], ids=["alone", "xdist"])
def test_stepwise_goes_on_where_it_stopped(tmp_path: Path, workers: tuple[str, ...]) -> None:
    toy = Toy(tmp_path, SOME)
    (toy.folder / "red").touch()
    assert "test_red" in tried(toy, "--sw", workers=workers)
    (toy.folder / "red").unlink()
    assert tried(toy, "--sw", workers=workers) == ["test_green", "test_red"]


def test_the_cache_is_where_git_ignores_it() -> None:
    done = suite("--cache-show", "nothing", "-q", more=REMEMBERS)
    (folder,) = re.findall(r"^cachedir: (.+)$", done.stdout, re.MULTILINE)
    ignored = subprocess.run(["git", "check-ignore", "-q", folder], cwd=ROOT, check=False)
    assert ignored.returncode == 0, folder


@pytest.mark.parametrize(
    ("words", "chosen"),
    [
        (["--requirement=mp-28"], ["test_green"]),
        (["--requirement=MP-2?"], ["test_green"]),
        (["--requirement=mp-[12]"], ["test_red", "test_way[/v1/files/a%20b/c]",
                                     "test_way[/v1/models/llama:7b@main;a=1]"]),
        (["-k", "test_toy.py::test_way[/v1/models/llama:7b@main;a=1]"],
         ["test_way[/v1/models/llama:7b@main;a=1]"]),
        (["-k", "test_way[/v1/files/a%20b/c]"], ["test_way[/v1/files/a%20b/c]"]),
        (["-k", "green or red"], ["test_green", "test_red"]),
    ],
    ids=["any case", "glob", "set", "name with its file", "name", "expression"],
)  # fmt: skip
def test_tests_are_chosen(tmp_path: Path, words: list[str], chosen: list[str]) -> None:
    assert tried(Toy(tmp_path, SOME), *words) == chosen


def test_files_that_name_no_chosen_requirement_are_passed_over(tmp_path: Path) -> None:
    """And count all the same where their tests are wanted for a verdict."""
    toy = Toy(tmp_path, SOME)
    other = toy.folder / "suites" / "hardening" / "test_other.py"
    other.write_text('raise ValueError("imported")\nrequirement("MP-3")\n')
    done = toy.run("--requirement=MP-2", args=("suites",))
    assert done.returncode == 0, done.stdout
    assert toy.verdicts == {"MP-2": "conformant"}
    assert "imported" in toy.run("--requirement=MP-3", args=("suites",)).stdout


def test_every_citation_is_found_in_its_file() -> None:
    """As it is looked for where `--requirement` passes over files; and no name of a test is told
    otherwise than it is."""
    program = (
        "import pytest\nfrom fixtures.evidence.requirements import cited\n"
        "class Tell:\n"
        "    def pytest_collection_finish(self, session):\n"
        "        for item in session.items:\n"
        "            text = item.path.read_text()\n"
        "            for one in cited(item):\n"
        "                print('CITES', item.nodeid, one, f'\"{one}\"' in text)\n"
        "pytest.main(['--co', '-q', 'suites'], plugins=[Tell()])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    told = [line for line in done.stdout.splitlines() if line.startswith("CITES ")]
    assert len(told) > 900
    assert [line for line in told if not line.endswith(" True")] == []
    assert [line for line in told if redact(line) != line] == []


def test_a_red_run_ends_with_its_causes(tmp_path: Path) -> None:
    """Names whole, no line FAILED for each test, the causes after all that is not red."""
    red = """
@requirement("MP-1")
@pytest.mark.parametrize("path", [f"/v1/models/{n}" for n in range(40)])
def test_way(path): assert not path

@requirement("MP-2")
def test_green(): pass
"""
    done = Toy(tmp_path, red).run()
    assert done.returncode == 1
    assert "FAILED suites/" not in done.stdout
    assert "    test_toy.py::test_way[/v1/models/39]" in done.stdout
    screen = done.stdout.splitlines()[-12:]
    assert any("red, in 1 way" in line for line in screen), screen
    assert "    MP-1" in screen
    assert "FAILED suites/" in Toy(tmp_path / "asked", red).run("-rf").stdout


def test_list_has_the_last_runs_verdicts_and_takes_filters(tmp_path: Path) -> None:
    toy = Toy(tmp_path, SOME)
    (toy.folder / "red").touch()
    toy.run()
    found = {row.split()[0]: row for row in listed(toy)}
    assert list(found) == ["MP-1", "MP-2", "MP-28", "MP-29"]
    assert found["MP-2"].split()[1] == "nonconformant"
    assert re.fullmatch(
        r"MP-28 +conformant +rewrite +mixed-providers-demo\.md:437 +"
        r"The egress gateway rewrites /openai/\* to /\*", found["MP-28"]
    )  # fmt: skip
    assert [row.split()[0] for row in listed(toy, "-k", "way")] == ["MP-1"]
    assert [row.split()[0] for row in listed(toy, "--requirement=mp-28")] == ["MP-28"]


def listed(toy: Toy, *words: str) -> list[str]:
    return [row for row in toy.run("--list", *words).stdout.splitlines() if row]


def test_explain_says_what_a_requirement_rests_on() -> None:
    done = suite("--explain=mp-28")
    assert done.returncode == 0, done.stderr
    assert "cluster embedded" not in done.stdout
    for part in (
        "MP-28 The egress gateway rewrites /openai/* to /*",
        "  >  437   │  2. URL rewrite: /openai/* → /*",
        "     438   │  3. Resolves XBackendDestination",
        "so        the OpenAI simulator receives /v1/chat/completions",
        "  backend: backend received ",
        "  test_rewrites.py::test_egress_gateway_strips_the_provider[openai-chat]",
        "  egress-doubles-slash: red",
    ):
        assert part in done.stdout
    releases = suite("--explain=MP-35").stdout
    assert "known of upstream's releases:\n  wasm-shim 0.11: conformant" in releases
    assert "wants     real_vllm" in suite("--explain=MP-53").stdout


def test_slips_are_told_with_the_nearest() -> None:
    for option in ("--requirement", "--explain"):
        done = suite(f"{option}=PM-28")
        assert done.returncode == 4
        assert done.stderr.startswith(f"ERROR: {option}=PM-28: unknown; the nearest: MP-28, ")


def test_names_are_shown_whole() -> None:
    assert shown("suites/a/test_b.py::test_c[x-/v1/a::b]") == "test_b.py::test_c[x-/v1/a::b]"


def test_watch_runs_again(tmp_path: Path) -> None:
    """When a test changes, and when the program of an `--image` does; Ctrl-C ends it."""
    toy, program = Toy(tmp_path, SOME), tmp_path / "program"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    log = tmp_path / "log"
    with log.open("w") as out:
        watching = subprocess.Popen(
            [sys.executable, "-m", "pytest", FILE, "-p", "toy_plugin", "-q", "--watch",
             f"--reports={toy.reports}", f"--image=quay.io/kuadrant/limitador={program} --x"],
            cwd=toy.folder, stdout=out, stderr=out, start_new_session=True,
        )  # fmt: skip
    try:
        waited(log, "-- waiting for a change", 1)
        (toy.folder / FILE).write_text("import pytest\n")
        waited(log, "test_toy.py: again", 1)
        waited(log, "-- waiting for a change", 2)
        program.write_text("#!/bin/sh\nexit\n")
        waited(log, f"{program}: again", 1)
        waited(log, "-- waiting for a change", 3)
    finally:
        os.killpg(watching.pid, signal.SIGINT)
        assert watching.wait(60) == 5  # what the last run, of no tests, ended with
    text = log.read_text()
    assert "4 passed" in text
    assert "Traceback" not in text


def waited(log: Path, words: str, times: int) -> None:
    """Until the log has these words so often."""
    deadline = time.monotonic() + 120
    while log.read_text().count(words) < times:
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)
