"""A run on its page in GitHub Actions: Markdown, into the file that `GITHUB_STEP_SUMMARY` names."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

from fixtures.evidence.verdicts import UNDECIDED, Verdict
from fixtures.secrets import redact_prose
from reports.causes import Cause, broken, causes, clipped, ways
from reports.judged import said
from reports.signoff import Facts, decided
from reports.signoff.flows import MARKS, WORST_FIRST

VARIABLE = "GITHUB_STEP_SUMMARY"
CAUSES, IDS = 10, 12  # that are shown


def append(facts: Facts, verdicts: list[Verdict]) -> None:
    """Write it behind what other steps wrote, if the variable is set. Raises OSError."""
    if path := os.environ.get(VARIABLE):
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(markdown(facts, verdicts))


def markdown(facts: Facts, verdicts: list[Verdict]) -> str:
    """May it be released, what is red and why, what is not decided, and what was judged."""
    decision, found = decided(facts, verdicts), causes(verdicts)
    lines = [f"## {decision.word}", "", f"**{_text(decision.sentence)}**", ""]
    lines += _table(verdicts)
    if found:
        lines += ["", f"### {ways(found)}", ""]
        lines += [line for one in found[:CAUSES] for line in _cause(one)]
        lines += [f"- and {len(found) - CAUSES} ways more"] if len(found) > CAUSES else []
    open_ = [v for v in verdicts if v.verdict == UNDECIDED]
    reasons = dict.fromkeys([facts.lost, *facts.unready[:3], *facts.undecided,
                             *(f"{v.requirement.id}: {v.reason}" for v in open_)])  # fmt: skip
    if told := [one for one in reasons if one]:
        lines += ["", "### Not decided", "", *(f"- {_code(one)}" for one in told[:CAUSES])]
    lines += ["", f"Suite {said(facts.suite)}; manifests {facts.kustomization} "
                  f"(`{facts.digest[:19]}`); cluster {facts.cluster}; {facts.date}."]  # fmt: skip
    return redact_prose("\n".join([*lines, "", ""]))


def _table(verdicts: list[Verdict]) -> list[str]:
    """Counts of each profile; verdicts that none has are left out."""
    every = Counter(v.verdict for v in verdicts)
    shown = [one for one in WORST_FIRST if every[one]]
    lines = [f"| Profile | {' | '.join(f'{MARKS[one]} {one}' for one in shown)} |",
             f"|---|{'--:|' * len(shown)}"]  # fmt: skip
    for profile in dict.fromkeys(v.requirement.profile for v in verdicts):
        mine = Counter(v.verdict for v in verdicts if v.requirement.profile == profile)
        lines.append(f"| {profile} | {' | '.join(str(mine[one] or '') for one in shown)} |")
    return lines


def _cause(one: Cause) -> list[str]:
    first = one.verdicts[0].requirement
    lines = [f"- **{_ids(one.verdicts)}** {_text(first.title)}<br>{_code(broken(one.failure))}"]
    if one.follows:
        lines.append(f"  - because of it: {_ids(one.follows)}")
    return lines


def _ids(verdicts: list[Verdict]) -> str:
    more = f" and {len(verdicts) - IDS} more" if len(verdicts) > IDS else ""
    return ", ".join(v.requirement.id for v in verdicts[:IDS]) + more


def _text(text: str) -> str:
    """Not read as Markdown, nor as HTML."""
    for letter in "\\`*_{}[]<>#|":
        text = text.replace(letter, f"\\{letter}")
    return " ".join(text.split())


def _code(text: str) -> str:
    return f"`` {clipped(' '.join(text.replace('`', chr(39)).split()))} ``"
