"""While the suite runs: what is under way, how much is done, and how long the longest window still
takes; what breaks is shown at once, with its hop.

On a terminal one line that changes, elsewhere a line now and then. With `-q` or `-v` pytest shows
what it always shows.
"""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from fixtures.chosen import shown
from fixtures.evidence.verdicts import Failure
from reports.causes import broken, signature

EVERY_SECONDS, EVERY_SECONDS_ON_A_TERMINAL = 20.0, 0.2
SHOWN_AT_ONCE = 8  # failures that differ; all of them stand in the summary


class Progress:
    """Counts what the workers report; lives in the controlling process."""

    def __init__(self, out: pytest.TerminalReporter) -> None:
        self._out = out
        self._out.showfspath = False  # nor the files' names
        self._terminal = bool(out._tw.hasmarkup)
        self._total = self._done = self._red = 0
        self._running: dict[str, float] = {}
        self._ends: dict[str, float] = {}  # of windows
        self._shown: set[str] = set()
        self._lock, self._over = threading.Lock(), threading.Event()
        self._every = EVERY_SECONDS_ON_A_TERMINAL if self._terminal else EVERY_SECONDS
        self._thread = threading.Thread(target=self._tell_again, daemon=True)

    # -- what pytest says ---------------------------------------------------------------

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._total = self._total or len(session.items)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        self._total = len(ids)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._running[nodeid] = time.monotonic()
        if not self._thread.is_alive():
            self._thread.start()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        properties = dict(report.user_properties)
        if report.when == "setup" and "window" in properties:
            self._ends[report.nodeid] = time.monotonic() + float(str(properties["window"]))
        if report.failed:
            self._red += 1
            self._show(_failure(report.nodeid, properties, str(report.longrepr)), properties)
        if report.when == "teardown":
            self._done += 1
            self._running.pop(report.nodeid, None)
            self._ends.pop(report.nodeid, None)

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        """No letters between the lines, while there are any."""
        if self._over.is_set():
            return None
        if report.when == "call" or report.outcome != "passed":
            category = "error" if report.failed and report.when != "call" else report.outcome
            return category, "", ""
        return None

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        self._over.set()
        with self._lock:
            self._wipe()

    # -- what is shown ------------------------------------------------------------------

    @property
    def line(self) -> str:
        """What is under way, in one line."""
        now = time.monotonic()
        profiles = sorted({_profile(nodeid) for nodeid in list(self._running)})
        red = f", {self._red} red" if self._red else ""
        text = f"{self._done} of {self._total} tests{red}; under way: {', '.join(profiles)}"
        waits = [(end - now, nodeid) for nodeid, end in list(self._ends.items()) if end > now]
        if waits:
            seconds, nodeid = max(waits)
            name = nodeid.partition("::")[2]
            text += f"; the longest window takes {seconds:.0f} s more ({name})"
        return text

    def _tell_again(self) -> None:
        while not self._over.wait(self._every):
            with self._lock:
                if self._over.is_set():
                    return
                if self._terminal:
                    width = self._out._tw.fullwidth - 1
                    self._out._tw.write(f"\r\x1b[2K{self.line[:width]}", flush=True)
                else:
                    self._out.write_line(f"{time.strftime('%H:%M:%S')} {self.line}")

    def _show(self, failure: Failure, properties: dict[str, Any]) -> None:
        """At once, but what was shown before in other words."""
        if len(self._shown) >= SHOWN_AT_ONCE or signature(failure) in self._shown:
            return
        self._shown.add(signature(failure))
        ids = " ".join(properties.get("requirements") or [])
        with self._lock:
            self._wipe()
            self._out.write_line(f"✗ {ids} {shown(failure.test)}", red=True)
            self._out.write_line(f"    {broken(failure)}", red=True)

    def _wipe(self) -> None:
        if self._terminal:
            self._out._tw.write("\r\x1b[2K", flush=True)


def _failure(nodeid: str, properties: dict[str, Any], text: str) -> Failure:
    where, expected, observed, said = properties.get("failure") or ("", "", "", text)
    return Failure(nodeid, where, expected, observed, said)


def _profile(nodeid: str) -> str:
    """Of a test `suites/PROFILE/…`, or where else it stands."""
    parts = nodeid.split("/")
    return parts[1] if len(parts) > 2 else parts[0]
