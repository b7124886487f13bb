"""Answers that take their time: they come whole, and are counted."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from fixtures.evidence import CLIENT, MAAS, expect
from fixtures.evidence.requirements import requirement
from fixtures.kube import Kube
from suites.hardening.long_answers import LONG_SECONDS, Lasted, lasted
from suites.hardening.test_usage import metered
from suites.hardening.ways import Walker, Way


@dataclass(frozen=True)
class Long:
    """What came of them, which ways were shut from the beginning, and of those that came whole and
    were to be counted, which were not."""

    found: list[Lasted]
    shut: list[str]
    counted: list[str]
    uncounted: list[str]


@pytest.fixture(scope="module")
def long(kube: Kube, talker: Walker, other_talker: Walker, all_ways: list[Way]) -> Long:
    """All at once, and then a question on each way of who has used more than he has."""
    asked = [way for way in all_ways if not way.inner]
    shut = [str(way) for way in asked if way.shut]
    found = lasted(talker, other_talker, [way for way in asked if not way.shut])
    routes = metered(kube)
    counted: list[str] = []
    uncounted: list[str] = []
    for one in (one for one in found if one.is_served and one.way.route in routes):
        status = (other_talker if one.stream else talker).ask(one.way).status
        (counted if status == 429 else uncounted).append(f"{one}, then {status}")
    return Long(found, shut, counted, uncounted)


@requirement("HD-62")
@pytest.mark.window(LONG_SECONDS)
def test_long_answers_are_not_cut(long: Long) -> None:
    """On each way."""
    wrong = [str(one) for one in long.found if not one.is_served]
    expect(bool(long.found), MAAS, "ways to recorders", "none")
    whole = f"whole answers after {LONG_SECONDS} s"
    expect(not (long.shut or wrong), CLIENT, whole, f"{long.shut} {wrong}")


@requirement("HD-55")
@pytest.mark.window(LONG_SECONDS)
def test_usage_of_long_answers_counts(long: Long) -> None:
    """Of those that came, on each way on which tokens are counted."""
    expect(
        bool(long.counted or long.uncounted), MAAS, "long answers that are to be counted", "none"
    )
    expect(not long.uncounted, CLIENT, "429 for who has used all", "; ".join(long.uncounted))
