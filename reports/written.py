"""Writes a run's reports: conformance.yaml, traceability.md, signoff.html, and the run among the
last ones."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from fixtures.evidence.verdicts import NOT_RUN, Verdict
from fixtures.invocation import HOME
from fixtures.plugin import DEMO, access_key, readings_key, seen_surface, unready
from reports import (
    allure_history,
    allure_results,
    compare,
    conformance,
    history,
    judged,
    signoff,
    step_summary,
    traceability,
)
from reports.collected import Collected

DEFAULT_OUT = HOME / "reports" / "out"


def write(
    config: pytest.Config,
    out: Path,
    found: Collected,
    verdicts: list[Verdict],
    known: set[str] | None,
    began: float,
) -> str:
    """Write them into a folder that there is; what their schema has against the first, "" for
    nothing. `known` is what a baseline had red, None without one, and `began` is Unix time.
    Raises OSError."""
    folder = config.getoption("--kustomization")
    run = conformance.Run(
        cluster=config.getoption("--cluster"),
        manifests=judged.manifests(folder, DEMO),
        suite=judged.suite(),
        components=_components(config),
        images=config.stash[access_key].ran if access_key in config.stash else [],
        date=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(began)),
        seconds=time.time() - began,
        lost=found.lost,
        unready=unready(config),
        undecided=found.undecided,
        instead=found.instead,
        unjudged=found.unjudged,
        surface=seen_surface(config),
        shard=config.getoption("--shard"),
    )
    text = conformance.render(run, verdicts)
    (out / "conformance.yaml").write_text(text, encoding="utf-8")
    readings = config.stash[readings_key]
    traced = traceability.render(readings, verdicts)
    (out / "traceability.md").write_text(traced, encoding="utf-8")
    report = compare.load(out / "conformance.yaml")
    facts = signoff.facts_of(report, history_of(config), known=known)
    ran = {one["image"]: f"{one['kind']}: {one['what']}" for one in run.images}
    facts_of_it = {**report["manifests"], **report["cluster"]["components"], **ran}
    environment = {"cluster": run.cluster, "suite": judged.said(run.suite), **facts_of_it}
    if allure := getattr(config.option, "allure_report_dir", None):
        allure_results.write(Path(allure), environment)
    page = signoff.render(facts, readings, verdicts)
    (out / "signoff.html").write_text(page, encoding="utf-8")
    step_summary.append(facts, verdicts)
    return conformance.problem(text)


def remember(config: pytest.Config, out: Path, lost: str, verdicts: list[Verdict]) -> None:
    """Keep the report that was written among the last ones, if it is of a whole run; Allure's, of
    every run."""
    kept = history_of(config)
    allure = getattr(config.option, "allure_report_dir", None)
    if kept and allure:
        elsewhere = Path(allure)  # as was asked for; else they have been published by now
        allure_history.keep(elsewhere if elsewhere.exists() else out / "allure-results", kept)
    whole = lost or all(v.verdict != NOT_RUN for v in verdicts)
    if kept and (whole or config.getoption("--history")):
        text = (out / "conformance.yaml").read_text(encoding="utf-8")
        report = compare.load(out / "conformance.yaml")
        history.keep(kept, text, report["date"], report["cluster"]["name"])


def history_of(config: pytest.Config) -> Path | None:
    """Where the last runs are: what was asked for, or the project's own beside its own reports."""
    asked: Path | None = config.getoption("--history")
    own = config.getoption("--reports") == DEFAULT_OUT
    return asked or (history.FOLDER if own else None)


def _components(config: pytest.Config) -> dict[str, Any]:
    """Versions of what was found on the cluster, and what the user said of it."""
    found: dict[str, Any] = {}
    if access_key in config.stash:
        found |= config.stash[access_key].components
    if claimed := config.getoption("--capability"):
        found["claimedCapabilities"] = claimed
    return found
