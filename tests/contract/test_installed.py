"""The project as an installed program: a wheel in an environment of its own, used from an empty
folder."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
import yaml

from ai_gateway_conformance.__main__ import TOOLS
from tests.conftest import ROOT

PACKAGE = "ai_gateway_conformance"
FOLDERS = ("embedded", "fixtures", "kind", "manifests", "reports", "suites")
FILES = ("conftest.py", "pyproject.toml")


def done(*words: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """A program, which knows nothing of the checkout, nor of what its own tests ask of pytest."""
    ours = ("PYTHONPATH", "PYTEST_ADDOPTS")
    env = {name: value for name, value in os.environ.items() if name not in ours}
    return subprocess.run(
        [str(word) for word in words], cwd=cwd, env=env, capture_output=True, text=True,
        timeout=300, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `pip install .` builds, with the build backend that is here."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    built = done(*pip, "--no-index", "--wheel-dir", folder, ROOT)
    assert built.returncode == 0, built.stderr
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def program(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`ai-gateway-conformance` of a fresh environment, which has what the project depends on from
    this one, so that nothing asks the network."""
    folder = tmp_path_factory.mktemp("installed")
    made = done(sys.executable, "-m", "venv", "--without-pip", folder)
    assert made.returncode == 0, made.stderr
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-index"]
    installed = done(*pip, "--no-deps", wheel)
    assert installed.returncode == 0, installed.stderr
    theirs = Path(
        done(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").stdout.strip()
    )
    (theirs / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    return folder / "bin" / "ai-gateway-conformance"


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """A folder of somebody's with nothing in it."""
    return tmp_path


def test_wheel_has_all_that_a_checkout_has(wheel: Path) -> None:
    """Every file of the folders that users run, in the package's own folder, and no other."""
    listed = done("git", "ls-files", "-co", "--exclude-standard", *FOLDERS, PACKAGE, *FILES)
    assert listed.returncode == 0, listed.stderr
    wanted = {
        name if name.startswith(f"{PACKAGE}/") else f"{PACKAGE}/{name}"
        for name in listed.stdout.splitlines()
    }
    with zipfile.ZipFile(wheel) as archive:
        there = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert there == wanted


def test_it_judges_from_an_empty_folder(program: Path, empty: Path) -> None:
    """Workers too are the installed ones; reports are in the current folder, with all profiles."""
    ended = done(program, "--cluster=embedded", "--requirement=MP-8", "-n2", "-v", cwd=empty)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert f"rootdir: {program.parent.parent}" in ended.stdout
    assert [path.name for path in empty.iterdir()] == ["reports"]
    assert (empty / "reports" / "out" / ".cache").is_dir(), "what --lf knows is elsewhere"
    text = (empty / "reports" / "out" / "conformance.yaml").read_text(encoding="utf-8")
    report = yaml.load(text, Loader=yaml.CSafeLoader)
    verdicts = {one["id"]: one for profile in report["profiles"] for one in profile["requirements"]}
    assert verdicts["MP-8"]["verdict"] == "conformant"
    assert verdicts["MP-8"]["evidence"][0]["test"].startswith("suites/mixed_providers/")
    assert {id_[:2] for id_ in verdicts} == {"DG", "EM", "HD", "MG", "MP"}


def test_folders_are_taken_as_they_are_named(program: Path, empty: Path) -> None:
    """What stands in the current folder is the user's own, and its tests are not the suite's."""
    (empty / "test_own.py").write_text("def test_own(): pass\n")
    named = done(program, "--collect-only", "-q", "test_own.py", cwd=empty)
    assert "::test_own" in named.stdout
    assert "1 test collected" in named.stdout
    unnamed = done(program, "--collect-only", "-q", "--requirement=MP-8", cwd=empty)
    assert "suites/mixed_providers/test_listing.py::" in unnamed.stdout
    assert "test_own" not in unnamed.stdout


@pytest.mark.parametrize("tool", TOOLS)
def test_tools_are_there(program: Path, empty: Path, tool: str) -> None:
    """Each says how it is called."""
    ended = done(program, tool, "--help", cwd=empty)
    assert "usage: " in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr


def test_script_is_pytest_in_a_checkout() -> None:
    """With the suite's options, and the checkout's tests."""
    ended = done(sys.executable, ROOT / PACKAGE / "__main__.py", "--co", "-q", "--requirement=MP-8")
    assert "suites/mixed_providers/test_listing.py::" in ended.stdout, ended.stderr
