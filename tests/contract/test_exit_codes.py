"""Each exit code of the table in docs/ci.md, and the words that go with it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.toy import Toy

PASSES = """
@requirement("MP-1")
def test_one(): pass
"""
FAILS = PASSES.replace("pass", "assert False")
# What the client raises of an API server.
RAISES = """
from kubernetes.client.exceptions import ApiException

@requirement("MP-2")
def test_two(): raise ApiException(STATUS, "Away")
"""
INTERRUPTED = """
@requirement("MP-2")
def test_two(): raise KeyboardInterrupt
"""
BROKEN_PLUGIN = """
def pytest_runtestloop(session): raise RuntimeError("of a plugin")
"""
EXPIRED, AWAY = RAISES.replace("STATUS", "401"), RAISES.replace("STATUS", "503")


@pytest.mark.parametrize(
    ("tests", "plugin", "words", "code", "said"),
    [
        (PASSES, "", [], 0, "CONFORMANT"),
        (FAILS, "", [], 1, "NONCONFORMANT"),
        (FAILS + AWAY, "", [], 1, "not decided:"),
        (PASSES + AWAY, "", [], 2, "the API server answered 503, 10 times: Away"),
        (PASSES + EXPIRED, "", [], 2, "has expired or is unknown there: log in again"),
        (PASSES + INTERRUPTED, "", [], 2, "KeyboardInterrupt"),
        (PASSES, BROKEN_PLUGIN, [], 3, "RuntimeError: of a plugin"),
        (PASSES, "", ["--requirement=MP-999"], 4, "--requirement=MP-999: unknown"),
        (PASSES, "", ["-k", "nothing"], 5, "no test ran"),
    ],
    ids=["conformant", "nonconformant", "red beside undecided", "the API failed",
         "the login expired", "interrupted", "internal", "usage", "none chosen"],
)  # fmt: skip
def test_exit_codes(
    tmp_path: Path, tests: str, plugin: str, words: list[str], code: int, said: str
) -> None:
    done = Toy(tmp_path, tests, plugin).run(*words)
    assert done.returncode == code, done.stdout + done.stderr
    assert said in done.stdout + done.stderr


def test_the_table_has_each_code() -> None:
    table = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| (\d) \|", table, re.MULTILINE) == [*"012345"]
