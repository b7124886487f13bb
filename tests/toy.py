"""The project with tests of the test's own in the place of its suites': they need no cluster, so
that a run of pytest with the suite's plugins takes a second or two.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent
FILE = "suites/mixed_providers/test_toy.py"
HEAD = """\
import os, signal, sys, time
import pytest

requirement = pytest.mark.requirement
"""
# What a cluster is wanted for is left out.
WITHOUT_CLUSTER = """\
import fixtures.plugin

fixtures.plugin.needs_cluster = lambda config: False
"""


class Toy:
    """A copy in a folder, whose one file of tests has this text."""

    def __init__(self, folder: Path, tests: str, plugin: str = "") -> None:
        self.folder, self.reports = folder / "project", folder / "out"
        left_out = shutil.ignore_patterns("test_*.py", "conftest.py", "__pycache__")
        shutil.copytree(ROOT / "suites", self.folder / "suites", ignore=left_out)
        for name in ("embedded", "fixtures", "manifests", "reports"):
            (self.folder / name).symlink_to(ROOT / name)
        for name in ("conftest.py", "pyproject.toml"):
            shutil.copy(ROOT / name, self.folder / name)
        (self.folder / FILE).write_text(HEAD + tests)
        (self.folder / "toy_plugin.py").write_text(WITHOUT_CLUSTER + plugin)

    def run(
        self, *words: str, env: dict[str, str] | None = None, args: tuple[str, ...] = (FILE,)
    ) -> subprocess.CompletedProcess[str]:
        """pytest on it."""
        return subprocess.run(
            [sys.executable, "-m", "pytest", *args, "-p", "toy_plugin", "-q",
             f"--reports={self.reports}",
             f"--override-ini=cache_dir={self.folder}/cache", *words],
            cwd=self.folder, capture_output=True, text=True, timeout=300, check=False,
            env={**os.environ, **(env or {})},
        )  # fmt: skip

    @property
    def report(self) -> dict[str, Any]:
        """conformance.yaml."""
        text = (self.reports / "conformance.yaml").read_text(encoding="utf-8")
        found: dict[str, Any] = yaml.load(text, Loader=yaml.CSafeLoader)
        return found

    @property
    def verdicts(self) -> dict[str, str]:
        """What is not plainly "not run"."""
        return {
            one["id"]: one["verdict"]
            for profile in self.report["profiles"]
            for one in profile["requirements"]
            if one["verdict"] != "not run" or "reason" in one
        }
