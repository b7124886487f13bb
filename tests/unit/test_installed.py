"""`make` asks no index for what is installed, however new a file is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fixtures.installed import lacks

ROOT = Path(__file__).parents[2]
PROJECT: dict[str, object] = {
    "dependencies": ["pytest>=7", "PyYAML"],
    "optional-dependencies": {"more": ["httpx[http2]>=0.1", "no-such-thing"], "old": ["pytest<1"]},
}


@pytest.mark.parametrize(
    ("extras", "found"),
    [([], []), (["more"], ["no-such-thing"]), (["old"], ["pytest<1"]),
     (["more", "old"], ["no-such-thing", "pytest<1"])],
)  # fmt: skip
def test_what_is_lacking(extras: list[str], found: list[str]) -> None:
    assert lacks(PROJECT, extras) == found


@pytest.mark.parametrize("there", [True, False], ids=["all is there", "one is not"])
def test_make_calls_pip_for_what_is_not_there(tmp_path: Path, there: bool) -> None:
    """With a project file that is newer than the mark of the last time."""
    for name in ("Makefile", "fixtures/__init__.py", "fixtures/installed.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    wanted = "PyYAML" if there else "no-such-thing"
    (tmp_path / "pyproject.toml").write_text(
        f'[project]\nname = "x"\ndependencies = ["{wanted}"]\n'
        "[project.optional-dependencies]\nembedded = []\ndev = []\n"
    )
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    (programs / "python").write_text(
        f'#!/bin/sh\ncase "$*" in *pip*) echo called >> {tmp_path}/called;; '
        f'*) exec {sys.executable} "$@";; esac\n'
    )
    shutil.copy(programs / "python", programs / "pip")
    (programs / "pip").write_text(f"#!/bin/sh\necho called >> {tmp_path}/called\n")
    for one in programs.iterdir():
        one.chmod(0o755)
    mark = tmp_path / ".venv" / ".installed"
    mark.touch()
    os.utime(mark, (1, 1))
    env: dict[str, Any] = {**os.environ, "PYTHONPATH": ""}
    done = subprocess.run(
        ["make", "-s", ".venv/.installed", f"PYTHON={sys.executable}"],
        cwd=tmp_path, env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "called").exists() != there
    assert mark.stat().st_mtime > 1
