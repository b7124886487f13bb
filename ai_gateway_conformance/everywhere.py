"""A plugin of the console script, and of its workers: what nobody names is the suite, wherever its
user is.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from ai_gateway_conformance.__main__ import ROOT


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config, args: list[str]) -> None:
    known = early_config.known_args_namespace
    if not known.file_or_dir and ROOT not in (Path.cwd(), *Path.cwd().parents):
        known.file_or_dir.append(str(ROOT / "suites"))
        # Of theirs no conftest.py is read yet: pytest lets those that it reads now be everybody's.
        args += [str(ROOT / "suites"), *map(str, known.documents)]
