"""Exit codes that a nightly can tell apart (docs/ci.md)."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

OK, NONCONFORMANT, NOT_DECIDED = 0, 1, 2
INTERNAL = int(pytest.ExitCode.INTERNAL_ERROR)


@dataclass(frozen=True)
class Ended:
    """How a run ended: pytest's own exit code, what is `red`, failed tests of no requirement, what
    a baseline has red (None without one), whether a gap that has closed counts, whether something
    is not decided or not reported, and whether the reports are `wrong`."""

    pytest_says: int
    red: set[str]
    unjudged: list[str]
    known: set[str] | None
    closed: bool
    undecided: bool
    wrong: bool


def code(ended: Ended) -> int:
    """What is nonconformant counts for more than what is not decided."""
    if ended.pytest_says not in (OK, NONCONFORMANT, NOT_DECIDED):
        return ended.pytest_says
    if ended.wrong:
        return INTERNAL
    if ended.unjudged or ended.red - (ended.known or set()):
        return NONCONFORMANT
    if ended.undecided or ended.pytest_says == NOT_DECIDED:
        return NOT_DECIDED
    if ended.closed:
        return NONCONFORMANT
    return OK if ended.known is not None else ended.pytest_says
