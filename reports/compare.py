"""`python -m reports.compare A B`: what two runs' `conformance.yaml` decided otherwise.

As text, with `--format=markdown` as a table for a pull request, or with `--format=html` as a page.

A is what was known, B what is new. Exit code 0 when nothing differs, or nothing but what a file of
known differences names with its reason (`--known`); 1 otherwise; 2 for a file that is none.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from fixtures.evidence.verdicts import (
    GAP_CLOSED,
    GAP_PRESENT,
    NONCONFORMANT,
    NOT_APPLICABLE,
    NOT_RUN,
    UNDECIDED,
)
from reports import difference
from reports.difference import Difference

KINDS = ("newly red", "mended", "gap closed", "gap open again", "decided otherwise",
         "not run on one")  # fmt: skip


class CompareError(Exception):
    """A file that cannot be compared; one line."""


@dataclass(frozen=True)
class _Seen:
    verdict: str
    outcome: str

    def __str__(self) -> str:
        return f"{self.verdict} ({self.outcome})" if self.outcome else self.verdict


def load(path: Path) -> dict[str, Any]:
    """A conformance.yaml; raises CompareError for anything else."""
    try:
        found = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    except (OSError, yaml.YAMLError) as error:
        raise CompareError(f"{path}: {error}") from error
    if not isinstance(found, dict) or found.get("kind") != "ConformanceReport":
        raise CompareError(f"{path}: not a ConformanceReport, as conformance.yaml is")
    return found


def seen(report: dict[str, Any]) -> dict[str, _Seen]:
    return {
        one["id"]: _Seen(one["verdict"], profile.get("disputed", {}).get(one["id"], ""))
        for profile in report["profiles"]
        for one in profile["requirements"]
    }


def differences(before: dict[str, Any], after: dict[str, Any]) -> list[Difference]:
    """In the second report's order; what only one has is not run on the other."""
    old, new = seen(before), seen(after)
    absent = _Seen(NOT_RUN, "")
    found = []
    for name in [*new, *(n for n in old if n not in new)]:
        a, b = old.get(name, absent), new.get(name, absent)
        if a != b:
            found.append(Difference(name, _kind(a, b), str(a), str(b)))
    return found


def baseline(path: Path) -> set[str]:
    """What was red before: of a conformance.yaml, or of a file of known differences."""
    try:
        differences_known = isinstance(yaml.safe_load(path.read_text(encoding="utf-8")), list)
    except (OSError, yaml.YAMLError) as error:
        raise CompareError(f"{path}: {error}") from error
    if not differences_known:
        return red(load(path))
    return {name for name, (says, _) in known(path).items() if says == NONCONFORMANT}


def red(report: dict[str, Any]) -> set[str]:
    """The requirements that a report says are nonconformant."""
    return {name for name, seen in seen(report).items() if seen.verdict == NONCONFORMANT}


def _kind(a: _Seen, b: _Seen) -> str:
    unseen = (NOT_RUN, NOT_APPLICABLE, UNDECIDED)
    if b.verdict == NONCONFORMANT:
        return "newly red"
    if a.verdict in unseen or b.verdict in unseen:
        return "not run on one"
    if a.verdict == NONCONFORMANT:
        return "mended"
    if (a.verdict, b.verdict) == (GAP_PRESENT, GAP_CLOSED):
        return "gap closed"
    if (a.verdict, b.verdict) == (GAP_CLOSED, GAP_PRESENT):
        return "gap open again"
    return "decided otherwise"


def known(path: Path) -> dict[str, tuple[str, str]]:
    """id → (what the second run says, why), of a file of differences."""
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8")) or []
        return {one["id"]: (one["says"], one["because"]) for one in raw}
    except (OSError, yaml.YAMLError, TypeError, KeyError) as error:
        raise CompareError(f"{path}: wanted a list of id, says, because: {error}") from error


def report(found: list[Difference], explained: dict[str, tuple[str, str]]) -> tuple[str, bool]:
    """(the text, whether all is explained)."""
    lines, open_ = [], 0
    for kind in KINDS:
        mine = [one for one in found if one.kind == kind]
        lines += [f"{kind}:"] if mine else []
        for one in mine:
            says, because = explained.get(one.id, ("", ""))
            fits = says == one.after
            open_ += not fits
            lines.append(f"  {one}" + (f"\n    {because}" if fits else "  (not explained)"))
    gone = sorted(explained.keys() - {one.id for one in found})
    lines += [f"no longer different, and still explained: {', '.join(gone)}"] if gone else []
    return "\n".join(lines) or "no differences", not open_ and not gone


def markdown(found: list[Difference], explained: dict[str, tuple[str, str]]) -> str:
    """The same as a table."""
    if not found:
        return "No differences."
    lines = ["| | Requirement | Before | After | Why |", "|---|---|---|---|---|"]
    for kind in KINDS:
        for one in (one for one in found if one.kind == kind):
            says, because = explained.get(one.id, ("", ""))
            why = because if says == one.after else ""
            cells = (kind, one.id, one.before, one.after, why)
            lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines)


def main(argv: list[str]) -> int:
    """See the module."""
    parser = argparse.ArgumentParser(prog="python -m reports.compare")
    parser.add_argument("before", type=Path, help="a conformance.yaml")
    parser.add_argument("after", type=Path, help="another")
    parser.add_argument("--known", type=Path, help="differences that have their reason")
    parser.add_argument("--format", choices=["text", "markdown", "html"], default="text")
    flags = parser.parse_args(argv)
    try:
        runs = load(flags.before), load(flags.after)
        found = differences(*runs)
        reasons = known(flags.known) if flags.known else {}
        text, explained = report(found, reasons)
        if flags.format == "markdown":
            text = markdown(found, reasons)
        if flags.format == "html":
            by_kind = {kind: [one for one in found if one.kind == kind] for kind in KINDS}
            text = difference.render(runs, by_kind, reasons)
    except CompareError as error:
        print(error, file=sys.stderr)
        return 2
    print(text)
    return 0 if explained else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
