"""Where a run's time went: by profile, and its slowest tests."""

from __future__ import annotations

from dataclasses import dataclass

from fixtures.evidence.verdicts import TestResult, Verdict

SHOWN = 10


@dataclass(frozen=True)
class Time:
    """Of a profile: how many tests, how many seconds they took together, and the slowest one."""

    profile: str
    tests: int
    seconds: float
    slowest: TestResult


def by_profile(verdicts: list[Verdict]) -> list[Time]:
    """Those of which something ran, the longest first. A test counts once, however many
    requirements it proves, for the profile of the first of them."""
    mine: dict[str, dict[str, TestResult]] = {}
    seen: set[str] = set()
    for verdict in verdicts:
        for result in verdict.results:
            if result.nodeid not in seen:
                seen.add(result.nodeid)
                mine.setdefault(verdict.requirement.profile, {})[result.nodeid] = result
    found = [
        Time(name, len(some), sum(one.seconds for one in some.values()),
             max(some.values(), key=lambda one: one.seconds))
        for name, some in mine.items()
    ]  # fmt: skip
    return sorted(found, key=lambda one: -one.seconds)


def slowest(verdicts: list[Verdict]) -> list[TestResult]:
    """The tests that took longest."""
    every = {one.nodeid: one for verdict in verdicts for one in verdict.results}
    return sorted(every.values(), key=lambda one: -one.seconds)[:SHOWN]
