"""Collects results while the suites run; at the end writes the reports and the summary."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import allure_commons
import pytest
from _pytest.junitxml import xml_key
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from fixtures import spaces
from fixtures.again import by_environment
from fixtures.evidence import HopMismatch, trace
from fixtures.evidence.requirements import cited
from fixtures.evidence.verdicts import GAP_CLOSED, UNDECIDED, Verdict, judge
from fixtures.invocation import ROOT, SUITES, is_judged, judges, others, runs_suites
from fixtures.kube import Kube
from fixtures.plugin import access_key, known_key, seen_surface, unready
from fixtures.secrets import redact
from reports import allure_results, compare, diagnostics, exits, summary, written
from reports.collected import BROKEN, PASSED_OVER, Collected, Collector
from reports.progress import Progress
from reports.restarts import restarts
from reports.staged import Staged
from reports.written import DEFAULT_OUT

PYTESTS_OWN = "fE"  # the default of pytest's -r: a line FAILED for each test
_found_key = pytest.StashKey[Collected]()
_staged_key = pytest.StashKey[Staged]()
_elsewhere_key = pytest.StashKey[frozenset[str]]()  # reports that were asked for elsewhere
_began_key = pytest.StashKey[float]()
_problem_key = pytest.StashKey[str]()
_unwritten_key = pytest.StashKey[str]()
_baseline_key = pytest.StashKey[set[str]]()
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
    config.stash[_found_key], config.stash[_began_key] = Collected(), time.time()
    if baseline := config.getoption("--baseline"):
        try:
            config.stash[_baseline_key] = compare.baseline(baseline)
        except compare.CompareError as error:
            raise pytest.UsageError(f"--baseline: {error}") from error
    if judges(config):
        if config.option.reportchars == PYTESTS_OWN:
            config.option.reportchars = ""  # the summary by cause is what is seen last
        allure_commons.plugin_manager.register(allure_results.Redacted())
        if hasattr(config, "workerinput"):
            if _has_allure(config):
                config.option.allure_report_dir = config.workerinput["allure"]
        else:
            _stage(config)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """xdist: workers parse the command line anew; tell one where Allure's files belong."""
    node.workerinput["allure"] = getattr(node.config.option, "allure_report_dir", None)


def _stage(config: pytest.Config) -> None:
    """Whatever writes reports does so beside those of the run before."""
    out: Path = config.getoption("--reports")
    try:
        config.stash[_staged_key] = staged = Staged(out)
    except OSError as error:
        why = "it is a file" if out.is_file() else error.strerror
        raise pytest.UsageError(f"--reports={out}: wanted is a folder: {why}") from error
    elsewhere = set()
    for option, name in (("allure_report_dir", "allure-results"), ("xmlpath", "junit.xml")):
        asked = getattr(config.option, option, "")
        if asked and Path(asked).resolve() != (out / name).resolve():
            elsewhere.add(name)
        elif hasattr(config.option, option):  # a plugin that is switched off has none
            setattr(config.option, option, str(staged.folder / name))
    config.stash[_elsewhere_key] = frozenset(elsewhere)


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
        if why := by_environment(error):
            item.user_properties.append((BROKEN, redact(why)))
        broken = ["", "", ""]
        if isinstance(error, HopMismatch):
            broken = [error.broken.where, error.broken.expected, error.broken.observed]
        text = redact(str(error)).strip() or type(error).__name__
        properties = [*broken, text]
        report.user_properties = [*item.user_properties, ("failure", properties)]
    if call.excinfo and report.skipped and not _is_ours(item.config, call.excinfo):
        report.user_properties = [*item.user_properties, (PASSED_OVER, True)]
    if report.longrepr is not None and report.failed:
        report.longrepr = redact(str(report.longrepr))
    report.sections = [(title, redact(text)) for title, text in report.sections]
    return report


def _is_ours(config: pytest.Config, skipped: pytest.ExceptionInfo[BaseException]) -> bool:
    """Whether the suite itself said that a test is not applicable, and not a plugin."""
    said = [entry.path for entry in skipped.traceback if "_pytest" not in Path(entry.path).parts]
    ours = {SUITES, ROOT / "fixtures", *others(config)}
    return bool(said) and bool(ours & {*Path(said[-1]).parents})


@pytest.hookimpl(tryfirst=True)
def pytest_internalerror(excrepr: Any) -> None:
    """Of a run that dies itself no secret is told either."""
    for one, *_ in getattr(excrepr, "chain", []) or [(excrepr.reprtraceback,)]:
        for entry in one.reprentries:
            entry.lines[:] = [redact(line) for line in entry.lines]


def pytest_runtest_setup(item: pytest.Item) -> None:
    if is_judged(item.config, item.path) and _has_allure(item.config):
        known = item.config.stash[known_key]
        allure_results.label(item, [known[one] for one in cited(item)])


def _has_allure(config: pytest.Config) -> bool:
    """Not with `-p no:allure_pytest`."""
    return hasattr(config.option, "allure_report_dir")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Any:
    """What fixtures asked before is not this test's; what it asks itself goes to Allure too."""
    trace.forget()
    try:
        return (yield)
    finally:
        if is_judged(item.config, item.path) and _has_allure(item.config):
            allure_results.tell(trace.telling(), item.user_properties)


@pytest.hookimpl(wrapper=True)
def pytest_sessionstart(session: pytest.Session) -> Any:
    """Whatever the run comes to, until its end the reports are those of the run before."""
    config = session.config
    if hasattr(config, "workerinput"):
        return (yield)
    config.pluginmanager.register(Collector(session, config.stash[_found_key]))
    out = config.pluginmanager.get_plugin("terminalreporter")
    if out and runs_suites(config) and config.get_verbosity() == 0:
        config.pluginmanager.register(Progress(out))
    return (yield)


@pytest.hookimpl(wrapper=True, trylast=True)  # when all others have written theirs
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> Any:
    config = session.config
    try:
        yield
    except OSError as error:  # JUnit's, on a full disk
        _unwritten(config, error)
    if not _is_reported(config):
        return
    verdicts = _verdicts(config)
    _report(config, verdicts, exitstatus)
    found, red = config.stash[_found_key], {v.requirement.id for v in verdicts if v.failed}
    ended = exits.Ended(
        pytest_says=int(exitstatus),
        red=red,
        unjudged=found.unjudged,
        known=config.stash.get(_baseline_key, None),
        closed=config.getoption("--strict-gaps") and any(v.verdict == GAP_CLOSED for v in verdicts),
        undecided=bool(
            found.lost or found.undecided or unready(config) or _unwritten_key in config.stash
        ) or any(v.verdict == UNDECIDED for v in verdicts),
        wrong=_problem_key in config.stash,
    )  # fmt: skip
    session.exitstatus = exits.code(ended)


def _report(config: pytest.Config, verdicts: list[Verdict], exitstatus: int) -> None:
    """Write everything, and put it in the place of what was there."""
    staged, found = config.stash[_staged_key], config.stash[_found_key]
    known, began = config.stash.get(_baseline_key, None), config.stash[_began_key]
    try:
        if problem := written.write(config, staged.folder, found, verdicts, known, began):
            said = f"conformance.yaml is not what its schema says: {problem}"
            config.stash[_problem_key] = said
        failed = exitstatus != 0 or any(v.failed for v in verdicts)
        if failed and access_key in config.stash and not found.lost:
            _diagnose(config, staged.folder / "diagnostics", began)
        if _unwritten_key not in config.stash:
            staged.publish(config.stash[_elsewhere_key])
            if (junit := config.stash.get(xml_key, None)) and (
                "junit.xml" not in config.stash[_elsewhere_key]
            ):
                junit.logfile = str(staged.out / "junit.xml")  # which it names at the end
            written.remember(config, staged.out, found.lost, verdicts)
    except OSError as error:
        _unwritten(config, error)
    staged.discard()


def _diagnose(config: pytest.Config, folder: Path, began: float) -> None:
    """What the cluster says of it, if it still says anything."""
    try:
        kube = Kube(config.stash[access_key].kubeconfig)
        readable = spaces.namespaces(kube, config.stash[access_key])
        diagnostics.write(kube, folder, readable)
        config.stash[_restarts_key] = restarts(spaces.pods(kube, readable), began)
    except (ApiException, HTTPError) as error:
        folder.mkdir(exist_ok=True)
        why = by_environment(error) or str(error)
        (folder / "unread.txt").write_text(redact(f"{why}\n"), encoding="utf-8")


def _unwritten(config: pytest.Config, error: OSError) -> None:
    """Reports that are not whole are none: those of the run before stay."""
    why = f"{error.strerror or error}: {error.filename or config.getoption('--reports')}"
    config.stash.setdefault(_unwritten_key, f"no reports were written: {why}")


def pytest_unconfigure(config: pytest.Config) -> None:
    if _staged_key in config.stash:
        config.stash[_staged_key].discard()


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    if not _is_reported(config):
        if _staged_key in config.stash or getattr(config.option, "setuponly", False):
            terminalreporter.write_line("no test ran: nothing was decided, nothing reported")
        return
    ended = config.stash.get(_restarts_key, [])
    verdicts, found = _verdicts(config), config.stash[_found_key]
    ran = config.stash[access_key].ran if access_key in config.stash else []
    folder, routes = config.getoption("--reports"), seen_surface(config)
    is_open = bool(found.lost or found.undecided or found.unjudged or unready(config))
    unwritten = config.stash.get(_unwritten_key, "")
    summary.write(
        terminalreporter, verdicts, folder, ended, ran, routes, is_open=is_open, unwritten=unwritten
    )
    if _baseline_key in config.stash:
        known = config.stash[_baseline_key]
        terminalreporter.write_line(summary.since_baseline(verdicts, known))
    lines = [config.stash.get(_problem_key, "")]
    if left := unready(config):
        lines.append("\n".join(["not everything that was deployed became ready:", *left]))
    for one in found.instead:
        terminalreporter.write_line(one, yellow=True)
    lines += [*(f"not decided: {why}" for why in found.undecided), found.lost]
    for line in filter(None, lines):
        terminalreporter.write_line(line, red=True, bold=True)


def _verdicts(config: pytest.Config) -> list[Verdict]:
    found = config.stash[_found_key]
    return judge(config.stash[known_key], found.ended, found.tests)


def _is_reported(config: pytest.Config) -> bool:
    found = config.stash[_found_key]
    return _staged_key in config.stash and bool(found.ended or found.undecided)
