"""Collects results while the suites run; at the end writes the reports and the summary."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import allure_commons
import pytest

from fixtures import spaces
from fixtures.evidence import Hop, HopMismatch, trace
from fixtures.evidence.requirements import cited
from fixtures.evidence.verdicts import GAP_CLOSED, NOT_RUN, Failure, TestResult, Verdict, judge
from fixtures.kube import Kube
from fixtures.plugin import (
    DEMO,
    SUITES,
    access_key,
    known_key,
    lost,
    readings_key,
    runs_suites,
    seen_surface,
    unready,
)
from fixtures.secrets import redact
from reports import (
    allure_results,
    compare,
    conformance,
    diagnostics,
    history,
    signoff,
    summary,
    traceability,
)
from reports.progress import Progress
from reports.restarts import restarts

DEFAULT_OUT = Path(__file__).parent / "out"
_WRITTEN = (
    "signoff.html", "conformance.yaml", "traceability.md", "junit.xml", "allure-results",
    "diagnostics",
)  # fmt: skip
_results_key = pytest.StashKey[dict[str, TestResult]]()
_tests_key = pytest.StashKey[dict[str, int]]()
_began_key = pytest.StashKey[float]()
_lost_key = pytest.StashKey[str]()
_problem_key = pytest.StashKey[str]()
_baseline_key = pytest.StashKey[set[str]]()
_unjudged_key = pytest.StashKey[list[str]]()
_restarts_key = pytest.StashKey[list[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("conformance").addoption(
        "--reports",
        type=Path,
        default=DEFAULT_OUT,
        metavar="FOLDER",
        help="write the reports there (default: reports/out)",
    )
    parser.getgroup("conformance").addoption(
        "--baseline",
        type=Path,
        metavar="FILE",
        help="a conformance.yaml, or known differences as kind/differences.yaml has them: fail "
        "only for what is not nonconformant there",
    )
    parser.getgroup("conformance").addoption(
        "--history",
        type=Path,
        metavar="FOLDER",
        help="keep this run's conformance.yaml there, beside the last ones, and tell the trend "
        "(default: reports/history, for whole runs whose reports are in reports/out)",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Switch Allure and JUnit on for runs of the suites, unless they are asked for elsewhere."""
    config.stash[_results_key], config.stash[_began_key] = {}, time.time()
    config.stash[_tests_key] = {}
    if baseline := config.getoption("--baseline"):
        try:
            config.stash[_baseline_key] = compare.baseline(baseline)
        except compare.CompareError as error:
            raise pytest.UsageError(f"--baseline: {error}") from error
    if not runs_suites(config) or config.option.collectonly:
        return
    out: Path = config.getoption("--reports")
    allure_commons.plugin_manager.register(allure_results.Redacted())
    if not config.option.allure_report_dir:
        config.option.allure_report_dir = str(out / "allure-results")
    if not config.option.xmlpath:
        config.option.xmlpath = str(out / "junit.xml")


@pytest.hookimpl(wrapper=True, trylast=True)  # before Allure reads it
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Where the test runs: keep the broken hop and the way of its request, and leave no secret in
    the report."""
    if call.when == "call" and (telling := trace.telling()):
        way = [[hop.where, hop.observed] for hop in telling.seen()]
        item.user_properties.append(("way", way))
    report = yield
    if call.excinfo and report.failed:
        error = call.excinfo.value
        broken = ["", "", ""]
        if isinstance(error, HopMismatch):
            broken = [error.broken.where, error.broken.expected, error.broken.observed]
        text = redact(str(error)).strip() or type(error).__name__
        properties = [*broken, text]
        report.user_properties = [*item.user_properties, ("failure", properties)]
    if report.longrepr is not None and report.failed:
        report.longrepr = redact(str(report.longrepr))
    report.sections = [(title, redact(text)) for title, text in report.sections]
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_internalerror(excrepr: Any) -> None:
    """Of a run that dies itself no secret is told either."""
    for one, *_ in getattr(excrepr, "chain", []) or [(excrepr.reprtraceback,)]:
        for entry in one.reprentries:
            entry.lines[:] = [redact(line) for line in entry.lines]


def pytest_runtest_setup(item: pytest.Item) -> None:
    if SUITES in item.path.parents:
        known = item.config.stash[known_key]
        allure_results.label(item, [known[one] for one in cited(item)])


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Any:
    """What fixtures asked before is not this test's; what it asks itself goes to Allure too."""
    trace.forget()
    try:
        return (yield)
    finally:
        if SUITES in item.path.parents:
            allure_results.tell(trace.telling(), item.user_properties)


class _Collector:
    """Gathers reports in the controlling process."""

    def __init__(self, session: pytest.Session) -> None:
        self._session, self._results = session, session.config.stash[_results_key]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and (why := lost(self._session.config)):
            # Says nothing of the stack: the test, and those after it, have not run.
            self._results.pop(report.nodeid, None)
            self._session.config.stash[_lost_key] = why
            raise self._session.Interrupted(why)
        properties = report.user_properties
        ids = next((value for name, value in properties if name == "requirements"), None)
        if not isinstance(ids, list):
            if report.failed:  # no requirement can be known to be red for it
                self._session.config.stash.setdefault(_unjudged_key, []).append(report.nodeid)
            return
        result = self._results.setdefault(report.nodeid, TestResult(report.nodeid, ids, "passed"))
        result.seconds += report.duration
        for name, value in properties:
            if name == "outcome" and isinstance(value, list | tuple):
                result.outcomes[value[0]] = value[1]
            if name == "tests" and isinstance(value, dict):
                self._session.config.stash[_tests_key].update(value)
            if name == "way" and isinstance(value, list | tuple):
                result.way = [Hop(where, "", observed) for where, observed in value]
            if name == "tried" and isinstance(value, dict):
                result.tried = dict(value)
            if name == "failure" and isinstance(value, list | tuple):
                result.failure = Failure(report.nodeid, *value)
        if report.failed:
            result.outcome = "failed"
            text = str(report.longrepr)
            result.failure = result.failure or Failure(report.nodeid, "", "", "", text)
        elif report.skipped and result.outcome == "passed":
            result.outcome = "skipped"
            reason = report.longrepr
            text = str(reason[2] if isinstance(reason, tuple) else reason)
            result.reason = text.removeprefix("Skipped: ")


@pytest.hookimpl(wrapper=True)
def pytest_sessionstart(session: pytest.Session) -> Any:
    """A word mistyped on the command line costs nobody the reports of the run before; once a
    cluster was up they are gone, so that none is taken for this run's."""
    config = session.config
    if hasattr(config, "workerinput"):
        return (yield)
    config.pluginmanager.register(_Collector(session))
    out = config.pluginmanager.get_plugin("terminalreporter")
    if out and runs_suites(config) and config.get_verbosity() == 0:
        config.pluginmanager.register(Progress(out))
    try:
        return (yield)
    finally:
        if access_key in config.stash:
            _clear(config)


def _clear(config: pytest.Config) -> None:
    """Remove what the run before wrote; Allure's plugin has made its folder, and wants it."""
    out: Path = config.getoption("--reports")
    for name in _WRITTEN:
        shutil.rmtree(out / name, ignore_errors=True)
        (out / name).unlink(missing_ok=True)
    Path(config.option.allure_report_dir).mkdir(parents=True, exist_ok=True)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    config = session.config
    if not _is_reported(config):
        return
    verdicts = _verdicts(config)
    write(config, verdicts)
    closed = any(v.verdict == GAP_CLOSED for v in verdicts)
    disagreeing = any(v.failed for v in verdicts)
    failed = exitstatus != 0 or disagreeing
    if failed and access_key in config.stash and _lost_key not in config.stash:
        kube = Kube(config.stash[access_key].kubeconfig)
        readable = spaces.namespaces(kube, config.stash[access_key])
        diagnostics.write(kube, config.getoption("--reports") / "diagnostics", readable)
        began = config.stash[_began_key]
        config.stash[_restarts_key] = restarts(spaces.pods(kube, readable), began)
    disagreeing |= _problem_key in config.stash or bool(unready(config))
    strict = closed and config.getoption("--strict-gaps")
    if exitstatus == 0 and (disagreeing or strict):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    if exitstatus in (0, pytest.ExitCode.TESTS_FAILED) and _as_before(config, verdicts):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED if strict else pytest.ExitCode.OK


def _as_before(config: pytest.Config, verdicts: list[Verdict]) -> bool:
    """Whether nothing is red that was not in the baseline; False without one."""
    known = config.stash.get(_baseline_key, None)
    if known is None or config.stash.get(_unjudged_key, []) or _problem_key in config.stash:
        return False
    if unready(config):
        return False
    return {v.requirement.id for v in verdicts if v.failed} <= known


def write(config: pytest.Config, verdicts: list[Verdict]) -> None:
    """conformance.yaml, traceability.md, signoff.html, and the run among the last ones."""
    out: Path = config.getoption("--reports")
    out.mkdir(parents=True, exist_ok=True)
    folder, began = config.getoption("--kustomization"), config.stash[_began_key]
    run = conformance.Run(
        cluster=config.getoption("--cluster"),
        manifests=conformance.manifests(folder, is_default=folder == DEMO),
        components=_components(config),
        images=config.stash[access_key].ran if access_key in config.stash else [],
        date=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(began)),
        seconds=time.time() - began,
        lost=config.stash.get(_lost_key, ""),
        unready=unready(config),
        surface=seen_surface(config),
        shard=config.getoption("--shard"),
    )
    text = conformance.render(run, verdicts)
    (out / "conformance.yaml").write_text(text)
    if problem := conformance.problem(text):
        config.stash[_problem_key] = f"conformance.yaml is not what its schema says: {problem}"
    readings = config.stash[readings_key]
    (out / "traceability.md").write_text(traceability.render(readings, verdicts))
    report = compare.load(out / "conformance.yaml")
    kept = _history(config)
    facts = signoff.facts_of(
        report,
        kept,
        known=config.stash.get(_baseline_key, None),
        unjudged=config.stash.setdefault(_unjudged_key, []),
    )
    ran = {one["image"]: f"{one['kind']}: {one['what']}" for one in run.images}
    facts_of_it = {**report["manifests"], **report["cluster"]["components"], **ran}
    environment = {"cluster": run.cluster, **facts_of_it}
    allure_results.write(Path(config.option.allure_report_dir), environment)
    (out / "signoff.html").write_text(signoff.render(facts, readings, verdicts))
    whole = run.lost or all(v.verdict != NOT_RUN for v in verdicts)
    if kept and (whole or config.getoption("--history")):
        history.keep(kept, text, report["date"], run.cluster)


def _components(config: pytest.Config) -> dict[str, Any]:
    """Versions of what was found on the cluster, and what the user said of it."""
    found: dict[str, Any] = {}
    if access_key in config.stash:
        found |= config.stash[access_key].components
    if claimed := config.getoption("--capability"):
        found["claimedCapabilities"] = claimed
    return found


def _history(config: pytest.Config) -> Path | None:
    """Where the last runs are: what was asked for, or the project's own beside its own reports."""
    asked: Path | None = config.getoption("--history")
    own = config.getoption("--reports") == DEFAULT_OUT
    return asked or (history.FOLDER if own else None)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    if _is_reported(config):
        ended = config.stash.get(_restarts_key, [])
        verdicts = _verdicts(config)
        ran = config.stash[access_key].ran if access_key in config.stash else []
        folder, routes = config.getoption("--reports"), seen_surface(config)
        summary.write(terminalreporter, verdicts, folder, ended, ran, routes)
        if _baseline_key in config.stash:
            known = config.stash[_baseline_key]
            terminalreporter.write_line(summary.since_baseline(verdicts, known))
        if _problem_key in config.stash:
            terminalreporter.write_line(config.stash[_problem_key], red=True, bold=True)
        if lines := unready(config):
            what = "\n".join(["not everything that was deployed became ready:", *lines])
            terminalreporter.write_line(what, red=True, bold=True)
        if _lost_key in config.stash:
            terminalreporter.write_line(config.stash[_lost_key], red=True, bold=True)


def _verdicts(config: pytest.Config) -> list[Verdict]:
    results = list(config.stash[_results_key].values())
    return judge(config.stash[known_key], results, config.stash[_tests_key])


def _is_reported(config: pytest.Config) -> bool:
    return (
        not hasattr(config, "workerinput")
        and not config.option.collectonly
        and bool(config.stash[_results_key])
    )
