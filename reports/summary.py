"""What a person sees at the end: for each profile what holds, what does not, and where."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from fixtures.chosen import shown
from fixtures.clusters.programs import BUILD, STAND_IN
from fixtures.evidence.verdicts import (
    GAP_CLOSED,
    NOT_APPLICABLE,
    NOT_RUN,
    UNDECIDED,
    Failure,
    Verdict,
)
from fixtures.secrets import redact_prose
from reports.causes import causes, ways
from reports.staged import NAMES
from reports.surface import rows

QUOTED = 240  # letters of a sentence that are shown
GATHERED = 1  # so many that are red are told once more at the end, by what was seen


def write(
    out: pytest.TerminalReporter,
    verdicts: list[Verdict],
    folder: Path,
    restarts: list[str],
    ran: list[dict[str, str]],
    surface: list[dict[str, Any]],
    is_open: bool = False,
    unwritten: str = "",
) -> None:
    """Write the summary of every profile that ran, after the containers that were restarted; at
    the end whose programs they were, of what `ran` (`Program.to_dict`), and which routes of the
    `surface` no document knows. `is_open`: something beside the requirements keeps the run from a
    verdict; `unwritten` says why there are no reports."""
    for line in restarts:
        out.write_line(f"restarted meanwhile: {line}", yellow=True)
    for profile in dict.fromkeys(v.requirement.profile for v in verdicts):
        mine = [v for v in verdicts if v.requirement.profile == profile]
        if any(v.verdict != NOT_RUN or v.reason for v in mine):
            _profile(out, profile, mine, is_open)
    _causes(out, [v for v in verdicts if v.failed])
    out.write_line("")
    for row in (row for row in rows(surface, verdicts) if row.is_unknown):
        out.write_line(f"no document knows the route {row.route} of {row.gateway}: {row.said}",
                       yellow=True)  # fmt: skip
    for one in (one for one in ran if one["kind"] == BUILD):
        out.write_line(f"your build was judged as {one['image']}: {one['what']}", bold=True)
    if count := sum(one["kind"] == STAND_IN for one in ran):
        out.write_line(f"stand-ins of this suite were judged in the place of {count} of {len(ran)} "
                       "images; the sign-off page names them")  # fmt: skip
    if unwritten:
        return out.write_line(unwritten, red=True, bold=True)
    written = ", ".join(name for name in NAMES if (folder / name).exists())
    return out.write_line(f"reports: {_shown(folder)} ({written})")


def _causes(out: pytest.TerminalReporter, red: list[Verdict]) -> None:
    """Of many that are red, what was seen, the most telling first."""
    if len(red) < GATHERED:
        return
    found = causes(red)
    out.section(ways(found), "=", bold=True)
    for cause in found:
        out.write_line(f"  {redact_prose(cause.text)}")
        out.write_line(f"    {_ids(cause.verdicts)}", red=True)
        if cause.follows:
            out.write_line(f"    and because of it {_ids(cause.follows)}")


def _ids(verdicts: list[Verdict]) -> str:
    more = f" and {len(verdicts) - 8} more" if len(verdicts) > 8 else ""
    return ", ".join(v.requirement.id for v in verdicts[:8]) + more


def since_baseline(verdicts: list[Verdict], known: set[str]) -> str:
    """What is red of the verdicts, against what was red before."""
    red = [v.requirement.id for v in verdicts if v.failed]
    newly = [one for one in red if one not in known]
    ran = {v.requirement.id for v in verdicts if v.verdict != NOT_RUN}
    mended = sorted(known & ran - set(red))
    parts = {"newly red": newly, "red as before": [one for one in red if one in known],
             "red no more": mended}  # fmt: skip
    said = [f"{what}: {', '.join(ids)}" for what, ids in parts.items() if ids]
    return f"against the baseline: {'; '.join(said) or 'nothing is red, and nothing was'}"


def _profile(
    out: pytest.TerminalReporter, name: str, verdicts: list[Verdict], is_open: bool
) -> None:
    failed = [v for v in verdicts if v.failed]
    out.section(f"profile {name}", "=", bold=True)
    counts = Counter(v.verdict for v in verdicts)
    line = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
    is_open = is_open or bool(counts[UNDECIDED]) or counts[NOT_RUN] == len(verdicts)
    verdict = "NONCONFORMANT" if failed else "NOT DECIDED" if is_open else "CONFORMANT"
    if counts[NOT_RUN]:
        verdict += " (not all requirements ran)"
    out.write_line(f"{verdict}: {line}", red=bool(failed) or is_open,
                   green=not (failed or is_open), bold=True)  # fmt: skip
    for one in failed:
        _failed(out, one)
    _listed(out, "gaps", [v for v in verdicts if v.requirement.kind == "gap"])
    disputed = [v for v in verdicts if v.outcome]
    if disputed:
        out.write_line("")
        out.write_line("disputed, decided on this cluster:", bold=True)
        for one in disputed:
            requirement = one.requirement
            meaning = requirement.outcomes[one.outcome]
            out.write_line(f"  {requirement.id} {requirement.title}: {one.outcome} ({meaning})")
    _reasons(out, "not applicable here:", [v for v in verdicts if v.verdict == NOT_APPLICABLE])
    _untried(out, verdicts)
    _reasons(out, "not decided:", [v for v in verdicts if v.verdict == UNDECIDED])
    _reasons(out, "in part only, and so not run:", [
        v for v in verdicts if v.verdict == NOT_RUN and v.reason
    ])  # fmt: skip


def _failed(out: pytest.TerminalReporter, verdict: Verdict) -> None:
    one = verdict.requirement
    out.write_line("")
    out.write_line(f"✗ {one.id} {one.title}", red=True, bold=True)
    out.write_line(f"    {one.document}:{one.line}, {one.section!r}")
    out.write_line(f"      says      {redact_prose(_short(one.quote))}")
    out.write_line(f"      so        {one.expects}")
    for failure in verdict.failures:
        _failure(out, failure)


def _failure(out: pytest.TerminalReporter, failure: Failure) -> None:
    out.write_line(f"    {shown(failure.test)}")
    if failure.hop:
        out.write_line(f"      hop       {failure.hop}")
        out.write_line(f"      expected  {failure.expected}")
        out.write_line(f"      observed  {failure.observed}")
    else:
        for line in failure.text.splitlines()[:6]:
            out.write_line(f"      {line}")


def _short(quote: str) -> str:
    return quote if len(quote) <= QUOTED else f"{quote[:QUOTED].rstrip()} …"


def _listed(out: pytest.TerminalReporter, title: str, verdicts: list[Verdict]) -> None:
    if not verdicts:
        return
    out.write_line("")
    out.write_line(f"{title}:", bold=True)
    for v in verdicts:
        news = v.verdict == GAP_CLOSED
        out.write_line(f"  {v.requirement.id} {v.requirement.title}: {v.verdict}", yellow=news)


def _reasons(out: pytest.TerminalReporter, title: str, verdicts: list[Verdict]) -> None:
    if verdicts:
        out.write_line("")
        out.write_line(title, bold=True)
    for v in verdicts:
        out.write_line(f"  {v.requirement.id} {v.requirement.title}: {v.reason}")


def _untried(out: pytest.TerminalReporter, verdicts: list[Verdict]) -> None:
    """Cases of requirements that the others decide."""
    found = [(v.requirement.id, *one) for v in verdicts for one in v.untried.items()]
    if found:
        out.write_line("")
        out.write_line("not tried here, of what other cases decide:", bold=True)
    for name, test, reason in found:
        out.write_line(f"  {name} {test.rpartition('::')[2]}: {reason}")


def _shown(folder: Path) -> str:
    try:
        return str(folder.relative_to(Path.cwd()))
    except ValueError:
        return str(folder)
