"""signoff.html: what a release manager reads. One file, no network, printable.

On the first screen: may it be released, what is broken and at which hop, is it new, what was not
looked at. Then what was judged, and what is violated, by cause. All else is folded, and printed
whole: the flows with what was seen at each hop, gaps, disputes, what is not applicable, the trend,
every requirement, the surface, where the time went, and the documents read through.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from fixtures.evidence.requirements import Reading
from fixtures.evidence.verdicts import NOT_APPLICABLE, NOT_RUN, Verdict
from fixtures.secrets import redact_prose
from reports import judged
from reports.causes import causes, ways
from reports.history import Past, read, red_since
from reports.signoff.decision import Decision, decide
from reports.signoff.flows import MARKS, WORST_FIRST, flows
from reports.signoff.times import by_profile, slowest
from reports.surface import rows
from reports.template import slug, template

KINDS = {
    "upstream": "upstream's image",
    "build": "your build",
    "packages": "made of packages",
    "stand-in": "a stand-in of this suite",
}


@dataclass(frozen=True)
class Facts:
    """What ran, beside the verdicts: `date` is in UTC, `digest` that of the manifests;
    `surface` the routes that there were, `past` are earlier runs, `known` what a baseline had red
    (None without one), `lost` why the cluster was no more, `unready` what did not become ready,
    `undecided` what else broke tests off, `unjudged` failed tests that no requirement cites,
    `differs` what of the manifests is not as by default, and `suite` what judged
    (`reports.judged`)."""

    cluster: str
    kustomization: str
    digest: str
    date: str
    seconds: float
    components: dict[str, Any]
    images: list[dict[str, str]]
    past: list[Past]
    known: set[str] | None = None
    lost: str = ""
    unready: list[str] = field(default_factory=list)
    undecided: list[str] = field(default_factory=list)
    unjudged: list[str] = field(default_factory=list)
    surface: list[dict[str, Any]] = field(default_factory=list)
    suite: dict[str, Any] = field(default_factory=dict)
    differs: list[str] = field(default_factory=list)


def facts_of(report: dict[str, Any], history: Path | None, **more: Any) -> Facts:
    """The facts of a `conformance.yaml`; `more` are those that it does not have."""
    cluster, manifests = report["cluster"], report["manifests"]
    names = cluster["name"], manifests["kustomization"]
    past = [one for one in read(history, *names) if one.date < report["date"]] if history else []
    return Facts(*names, manifests["digest"], report["date"], report["durationSeconds"],
                 cluster["components"], cluster.get("images", []), past,
                 lost=report.get("lost", ""),
                 unready=report.get("unready", []), surface=report.get("surface", []),
                 undecided=report.get("undecided", []), unjudged=report.get("unjudged", []),
                 suite=report.get("suite", {}), differs=manifests.get("differs", []),
                 **more)  # fmt: skip


def decided(facts: Facts, verdicts: list[Verdict]) -> Decision:
    """May it be released?"""
    return decide(
        verdicts, facts.lost, facts.unjudged, facts.unready, facts.images, facts.undecided
    )


def render(facts: Facts, readings: list[Reading], verdicts: list[Verdict]) -> str:
    """The page. What tests saw shows as text, whatever is in it."""
    ran = {v.requirement.profile for v in verdicts if v.verdict != NOT_RUN}
    shown = [v for v in verdicts if v.requirement.profile in ran] or verdicts
    found, surface = causes(verdicts), rows(facts.surface, verdicts)
    page = template("page.html.j2").render(
        facts=facts,
        suite=judged.said(facts.suite),
        ran=_ran(facts.images),
        decision=decided(facts, verdicts),
        profiles=list(_profiles(verdicts)),
        causes=found,
        ways=ways(found),
        news=_news(verdicts, facts),
        of={one: [v for v in shown if v.verdict == one] for one in WORST_FIRST},
        disputed=[v for v in shown if v.outcome],
        absent=_by_reason(shown),
        flows=flows(verdicts),
        surface=surface,
        unknown=[row for row in surface if row.is_unknown],
        over={v.requirement.id: ", ".join(v.requirement.over) or "routes" for v in verdicts},
        documents=list(_documents(readings, verdicts)),
        verdicts=sorted(verdicts, key=lambda v: WORST_FIRST.index(v.verdict)),
        trend=_trend(facts, verdicts),
        times=by_profile(verdicts),
        slowest=slowest(verdicts),
        marks=MARKS,
        kinds=KINDS,
        order=WORST_FIRST,
        present=[one for one in WORST_FIRST if one in {v.verdict for v in verdicts}],
        place=place,
        minutes=f"{int(facts.seconds // 60)} min {facts.seconds % 60:.0f} s",
    )
    return redact_prose(page)


def _ran(images: list[dict[str, str]]) -> str:
    """Of how many places which kind, in words."""
    tally = Counter(one["kind"] for one in images)
    return ", ".join(f"{KINDS[kind]} in {tally[kind]}" for kind in KINDS if tally[kind])


def place(verdict: Verdict) -> str:
    """The anchor of a requirement's sentence in its document."""
    return f"{slug(verdict.requirement.document)}-L{verdict.requirement.line}"


def _profiles(verdicts: list[Verdict]) -> Iterator[tuple[str, Counter[str]]]:
    for name, mine in groupby(verdicts, key=lambda v: v.requirement.profile):
        yield name, Counter(v.verdict for v in mine)


def _news(verdicts: list[Verdict], facts: Facts) -> dict[str, str]:
    """Of what is red, whether that is new: requirement → words; none where nobody knows."""
    found = {}
    for one in (v.requirement.id for v in verdicts if v.failed):
        since = red_since(facts.past, one)
        if since:
            found[one] = f"since {since[:10]}"
        elif facts.known is not None:
            found[one] = "in the baseline" if one in facts.known else "new"
        elif facts.past:
            found[one] = "new"
    return found


def _by_reason(verdicts: list[Verdict]) -> list[tuple[str, list[Verdict]]]:
    """What is not applicable, by what the cluster lacks."""
    absent = sorted((v for v in verdicts if v.verdict == NOT_APPLICABLE), key=lambda v: v.reason)
    return [(reason, list(mine)) for reason, mine in groupby(absent, key=lambda v: v.reason)]


def _trend(facts: Facts, verdicts: list[Verdict]) -> list[tuple[str, Counter[str]]]:
    """(date, counts) of the last runs, this one last."""
    now = Counter(v.verdict for v in verdicts)
    return [*((past.date, past.counts) for past in facts.past[-14:]), (facts.date, now)]


def _documents(readings: list[Reading], verdicts: list[Verdict]) -> Iterator[dict[str, Any]]:
    """Each document from top to bottom: section → (anchor, text, verdicts, why none)."""
    by_id = {v.requirement.id: v for v in verdicts}
    for reading in readings:
        document, sections, anchored = reading.document, [], set()
        for title, statements in groupby(reading.statements, key=lambda s: s.section):
            said = []
            for one in statements:
                first = one.lines[0]
                anchor = "" if first in anchored else f"{slug(document.name)}-L{first}"
                anchored.add(first)
                text = "\n".join(document.line(number) for number in one.lines)
                proved = [by_id[name] for name in one.requirements]
                said.append((anchor, first, text, proved, one.not_testable))
            sections.append((title, said))
        mine = [by_id[r.id] for r in reading.requirements]
        yield {
            "name": document.name,
            "sections": sections,
            "counts": Counter(v.verdict for v in mine),
        }
