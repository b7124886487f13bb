"""What the tests said, as it comes in: in the process that controls the workers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from fixtures.counted import COUNT
from fixtures.disposables import PUT_BACK
from fixtures.evidence import Hop
from fixtures.evidence.verdicts import Failure, TestResult
from fixtures.plugin import lost

BROKEN, PASSED_OVER = "undecided", "passed over"  # properties: the environment's, a plugin's doing


@dataclass
class Collected:
    """Results by test, how many tests each requirement has, failed tests that no requirement
    cites, why the cluster is no more, and what else broke tests off."""

    results: dict[str, TestResult] = field(default_factory=dict)
    tests: dict[str, int] = field(default_factory=dict)
    unjudged: list[str] = field(default_factory=list)
    undecided: list[str] = field(default_factory=list)
    instead: list[str] = field(default_factory=list)  # who was asked in whose place
    lost: str = ""

    @property
    def ended(self) -> list[TestResult]:
        """Of those that ran to an end."""
        return [one for one in self.results.values() if one.outcome]


class Collector:
    """Gathers reports."""

    def __init__(self, session: pytest.Session, into: Collected) -> None:
        self._session, self._into = session, into

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and (why := lost(self._session.config)):
            # Says nothing of the stack: the test, and those after it, have not run.
            self._into.results.pop(report.nodeid, None)
            self._into.lost = why
            raise self._session.Interrupted(why)
        if report.failed and report.when not in ("setup", "call", "teardown"):
            return self._crashed(report)
        properties = dict(report.user_properties)
        ids = properties.get("requirements")
        if not isinstance(ids, list):
            if report.failed:  # no requirement can be known to be red for it
                self._into.unjudged.append(report.nodeid)
            return None
        result = self._into.results.setdefault(report.nodeid, TestResult(report.nodeid, ids, ""))
        result.seconds += report.duration
        self._told(result, report.user_properties)
        return _ended(result, report, properties)

    def _crashed(self, report: pytest.TestReport) -> None:
        """The process that ran it is no more: xdist says so in a report of its own, which knows
        nothing of the test."""
        why = f"{report.nodeid}: {' '.join(str(report.longrepr).split())}"
        if found := self._into.results.get(report.nodeid):
            found.outcome, found.reason = "undecided", why
        self._into.undecided.append(why)

    def _told(self, result: TestResult, properties: list[tuple[str, Any]]) -> None:
        """What the test, and the suite of it, wrote into its properties."""
        for name, value in properties:
            if name == "outcome" and isinstance(value, list | tuple):
                result.outcomes[value[0]] = value[1]
            if name == COUNT and isinstance(value, dict):
                self._into.tests.update(value)
            if name == "way" and isinstance(value, list | tuple):
                result.way = [Hop(where, "", observed) for where, observed in value]
            if name == "instead" and value not in self._into.instead:
                self._into.instead.append(str(value))
            if name == PUT_BACK and isinstance(value, list | tuple):
                result.put_back = list(value)
            if name == "tried" and isinstance(value, dict):
                result.tried = dict(value)
            if name == "failure" and isinstance(value, list | tuple):
                result.failure = Failure(result.nodeid, *value)


def _ended(result: TestResult, report: pytest.TestReport, properties: dict[str, Any]) -> None:
    """How far it came: only a call that ended well has passed."""
    if report.failed and BROKEN in properties and result.outcome != "failed":
        result.outcome, result.reason = "undecided", str(properties[BROKEN])
        result.failure = None
    elif report.failed:
        result.outcome = "failed"
        text = str(report.longrepr)
        result.failure = result.failure or Failure(report.nodeid, "", "", "", text)
    elif report.skipped and not (PASSED_OVER in properties or hasattr(report, "wasxfail")):
        result.outcome = "skipped"
        reason = report.longrepr
        text = str(reason[2] if isinstance(reason, tuple) else reason)
        result.reason = text.removeprefix("Skipped: ")
    elif report.passed and report.when == "call" and not result.outcome:
        result.outcome = "passed"
