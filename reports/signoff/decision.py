"""May this be released? One word, one sentence, and the reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fixtures.clusters.programs import STAND_IN
from fixtures.evidence import verdicts as kinds
from fixtures.evidence.verdicts import GAP_CLOSED, GAP_PRESENT, NOT_APPLICABLE, NOT_RUN, Verdict
from reports.causes import causes, clipped, ways

SHIP, REFUSE, LIMITED, UNDECIDED = "Ship", "Do not ship", "Ship with known defects", "No verdict"
# What holds of stand-ins says nothing of the programs that would be released.
REHEARSED = {SHIP: "Stand-ins conform", LIMITED: "Stand-ins conform, with known defects"}
_UNREADY = "Not everything that was deployed became ready."


@dataclass(frozen=True)
class Decision:
    """`kind` is for the eye: good, bad, or open."""

    word: str
    sentence: str
    reason: str
    kind: str


def decide(
    verdicts: list[Verdict],
    lost: str,
    unjudged: list[str],
    unready: Sequence[str] = (),
    images: Sequence[dict[str, str]] = (),
    undecided: Sequence[str] = (),
) -> Decision:
    """As `_decide` says of what was seen; where stand-ins of this suite ran (`images` has what ran
    in each place) that is said in the first sentence, and nothing is released on it."""
    found = _decide(verdicts, lost, unjudged, unready, undecided)
    stand_ins = [one for one in images if one["kind"] == STAND_IN]
    if not stand_ins:
        return found
    some = f"{len(stand_ins)} of {len(images)} images"
    sentence = f"Stand-ins of this suite were judged in the place of {some}: {found.sentence}"
    word = REHEARSED.get(found.word, found.word)
    kind = "open" if found.kind == "good" else found.kind
    return Decision(word, sentence, found.reason, kind)


def _decide(
    verdicts: list[Verdict],
    lost: str,
    unjudged: list[str],
    unready: Sequence[str],
    undecided: Sequence[str],
) -> Decision:
    """A core requirement that is violated stops a release, whatever else is missing; then comes
    what was not looked at, then what is extended. `unjudged` are failed tests of no requirement,
    `unready` what was deployed and did not become ready, `undecided` what else broke tests off."""
    core = [v for v in verdicts if v.failed and v.requirement.level == "core"]
    extended = [v for v in verdicts if v.failed and v.requirement.level != "core"]
    left = [v for v in verdicts if v.verdict == NOT_RUN]
    total = len(verdicts)
    if core:
        sentence = f"{_count(core, 'core requirement')} of {total} {_are(core)} violated"
        if extended:
            sentence += f", and {_count(extended, 'extended one')}"
        sentence += f". {_capital(lost)}." if lost else "."
        sentence += f" {_UNREADY}" if unready else ""
        why = _why(verdicts)
        reason = f"{unready[0].rstrip('.')}. {why}" if unready else why
        return Decision(REFUSE, sentence, reason, "bad")
    if lost:
        reason = f"{total - len(left)} of {total} requirements were decided until then."
        return Decision(UNDECIDED, f"{_capital(lost)}.", reason, "open")
    if unready:
        return Decision(UNDECIDED, _UNREADY, f"{unready[0].rstrip('.')}.", "open")
    broken = [v for v in verdicts if v.verdict == kinds.UNDECIDED]
    if broken or undecided:
        sentence = f"{_count(broken, 'requirement')} of {total} could not be decided."
        reason = broken[0].reason if broken else undecided[0]
        return Decision(
            UNDECIDED, sentence if broken else "Not all tests could run.",
            f"{_capital(clipped(reason)).rstrip('.')}.", "open",
        )  # fmt: skip
    if unjudged:
        sentence = f"{_count(unjudged, 'test')} that no requirement cites failed."
        return Decision(UNDECIDED, sentence, f"The first is {unjudged[0]}.", "open")
    if left:
        names = ", ".join(sorted({v.requirement.profile for v in left}))
        sentence = f"{len(left)} of {total} requirements did not run."
        return Decision(UNDECIDED, sentence, f"This run left out some or all of {names}.", "open")
    if extended:
        sentence = f"All core requirements hold; {_count(extended, 'extended one')} "
        return Decision(LIMITED, f"{sentence}{_are(extended)} violated.", _why(verdicts), "open")
    return _holding(verdicts)


def _holding(verdicts: list[Verdict]) -> Decision:
    absent = [v for v in verdicts if v.verdict == NOT_APPLICABLE]
    present = [v for v in verdicts if v.verdict == GAP_PRESENT]
    closed = [v.requirement.id for v in verdicts if v.verdict == GAP_CLOSED]
    shown = len(verdicts) - len(absent)
    reason = f"{_count(present, 'known gap')} {_are(present)} there as documented"
    if closed:
        reason += f"; closed since then: {', '.join(closed)}"
    if absent:
        reason += f"; {len(absent)} of {len(verdicts)} requirements could not be seen here"
    return Decision(SHIP, f"All {shown} requirements that this cluster can show hold.",
                    f"{reason}.", "good")  # fmt: skip


def _why(verdicts: list[Verdict]) -> str:
    """In how many ways requirements are red, and what is wrong in the first, with its hop."""
    found = causes(verdicts)
    one = found[0].verdicts[0].requirement
    telling = "; the most telling" if len(found) > 1 else ""
    return f"{ways(found)}{telling}, by {one.id} “{one.title}”: {found[0].text}."


def _count(some: list[str] | list[Verdict], noun: str) -> str:
    return f"{len(some)} {noun}" if len(some) == 1 else f"{len(some)} {noun}s"


def _are(some: list[Verdict]) -> str:
    return "is" if len(some) == 1 else "are"


def _capital(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"
