"""The documented flows as pictures: hops, what was seen at each, and the requirements they bear.

A requirement stands at the hop that it judges: where it broke, or else by its kind.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, field

from fixtures.evidence import BACKEND, CLIENT, EGRESS, MAAS, ROUTER, Hop
from fixtures.evidence.verdicts import (
    CONFORMANT,
    GAP_CLOSED,
    GAP_PRESENT,
    NONCONFORMANT,
    NOT_APPLICABLE,
    NOT_RUN,
    UNDECIDED,
    Failure,
    Verdict,
)

CLUSTER = "cluster's objects"  # what is no hop of a request: topology
# What a flow is between, and what its last hop is called there.
_FLOWS = {
    "mixed_providers": (EGRESS, "provider or local model"),
    "external_models": (EGRESS, "external model"),
    "dual_gateway": (ROUTER, "model"),
    "maas_gateway": ("", "maas-api or model"),
    "hardening": (EGRESS, "provider"),
}
_BY_KIND = {
    "authentication": MAAS, "rbac": MAAS, "limit": MAAS, "listing": CLIENT, "injection": BACKEND,
    "flow": BACKEND, "topology": CLUSTER,
}  # fmt: skip
# The worst first: a hop has the colour of the worst that stands there.
WORST_FIRST = (
    NONCONFORMANT, UNDECIDED, GAP_CLOSED, GAP_PRESENT, CONFORMANT, NOT_APPLICABLE, NOT_RUN,
)  # fmt: skip
MARKS = {
    NONCONFORMANT: "✗", GAP_CLOSED: "◆", GAP_PRESENT: "◇", CONFORMANT: "✓", NOT_APPLICABLE: "–",
    NOT_RUN: "·", UNDECIDED: "?",
}  # fmt: skip
COLUMN_LETTERS = 36  # of what was seen, in a line below its hop
LINES, OF_ONE = 8, 3  # below a hop in all, and of one thing that was seen there


@dataclass
class Stop:
    """A hop of a flow in a run: its name here, the verdicts that stand there, what was `seen`
    there of one request, and what broke."""

    hop: str
    name: str
    anchor: str
    verdicts: list[Verdict] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    @property
    def verdict(self) -> str:
        found = {v.verdict for v in self.verdicts}
        return next((one for one in WORST_FIRST if one in found), NOT_RUN)

    @property
    def lines(self) -> list[str]:
        """What was seen, broken into lines that fit below a hop, and clipped where it is long."""
        found = [line for text in self.seen for line in _lines(text)]
        if len(found) <= LINES:
            return found
        return [*found[: LINES - 1], f"… {len(found) - LINES + 1} lines more"]

    @property
    def counts(self) -> str:
        tally = {v: sum(one.verdict == v for one in self.verdicts) for v in WORST_FIRST}
        return "  ".join(f"{MARKS[v]} {n}" for v, n in tally.items() if n)


@dataclass
class Flow:
    """A profile's flow: its stops in the request's order, and beside them the cluster's objects;
    `test` is the one whose request is shown."""

    profile: str
    stops: list[Stop]
    beside: Stop
    test: str = ""

    @property
    def every(self) -> list[Stop]:
        return [*self.stops, self.beside]


def _lines(text: str) -> list[str]:
    lines = textwrap.wrap(text, COLUMN_LETTERS, subsequent_indent="  ") or [""]
    if len(lines) <= OF_ONE:
        return lines
    return [*lines[: OF_ONE - 1], f"  … ({len(text)} letters)"]


def flows(verdicts: list[Verdict]) -> list[Flow]:
    """One for each profile of which something ran."""
    found = []
    for profile in dict.fromkeys(v.requirement.profile for v in verdicts):
        mine = [v for v in verdicts if v.requirement.profile == profile]
        if any(v.verdict != NOT_RUN for v in mine):
            found.append(_flow(profile, mine))
    return found


def _flow(profile: str, verdicts: list[Verdict]) -> Flow:
    inner, last = _FLOWS.get(profile, (EGRESS, BACKEND))
    names = {CLIENT: CLIENT, MAAS: MAAS, **({inner: inner} if inner else {}), BACKEND: last}
    stops = {
        hop: Stop(hop, name, f"hop-{profile}-{number}")
        for number, (hop, name) in enumerate(names.items(), 1)
    }
    beside = Stop(CLUSTER, CLUSTER, f"hop-{profile}-0")
    for verdict in verdicts:
        for hop in _hops(verdict, inner or BACKEND):
            stop = stops.get(hop, beside)
            stop.verdicts.append(verdict)
            stop.failures += [f for f in verdict.failures if f.hop == hop]
    test, way = _shown(verdicts)
    for stop in (*stops.values(), beside):
        stop.failures.sort(key=lambda failure: failure.test != test)
    for one in way:
        if one.where in stops:
            stops[one.where].seen += one.observed.split("; ")
        if one.where == CLIENT and one.observed.startswith("sent "):
            stops[MAAS].seen.append(one.observed.replace("sent", "received", 1))
    return Flow(profile, list(stops.values()), beside, test)


def _hops(verdict: Verdict, inner: str) -> list[str]:
    """Where a requirement stands."""
    if broke := [f.hop for f in verdict.failures if f.hop]:
        return list(dict.fromkeys(broke))
    kind = verdict.requirement.kind
    if kind == "rewrite":
        return [inner]
    return [_BY_KIND.get(kind, MAAS)]


def _shown(verdicts: list[Verdict]) -> tuple[str, list[Hop]]:
    """(test, way): a request that broke if there is one, behind the client by preference; else the
    one that was seen at the most hops, of a flow by preference."""
    inside = {f.test for v in verdicts for f in v.failures if f.hop not in ("", CLIENT)}
    ways = [
        (
            (result.nodeid in inside) + (result.outcome == "failed"),
            len(result.way),
            v.requirement.kind == "flow",
            result,
        )
        for v in verdicts
        for result in v.results
        if result.way
    ]
    if not ways:
        return "", []
    *_, best = max(ways, key=lambda one: one[:3])
    return best.nodeid, best.way
