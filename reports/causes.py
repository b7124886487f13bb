"""What is red, gathered by what was seen: one defect turns many requirements red.

Of each requirement the most telling failure counts, and the most telling come first: something
else than expected at a hop behind the client; an object that is not as it should be; nothing where
something should have come; last a status that the client got, which may have any reason.

A requirement stands under another way to be red (`follows`) when each of its failures tells less
than that one does, of a request on the same route: nothing came, or the client got an error. Who
was let in, or got what should not be there, is no consequence of something that broke.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from fixtures.evidence import CLIENT
from fixtures.evidence.verdicts import Failure, TestResult, Verdict

LETTERS = 240  # of what was seen, where it is told on one line
_ABSENT = re.compile(r"\b(nothing|none|no line)\b")
_GOOD = re.compile(r"\b2\d\d\b")  # a status
# Not a status: who is let in is not who is kept out.
_VARIES = re.compile(r"<redacted \w+>|[0-9a-f]{8}[\w-]*|(?<!status )(?<!\d)\d+(\.\d+)?")
_SENT = re.compile(r"sent \S+ (?:https?://[^/]+)?((?:/[^/?; ]+){1,2})")


@dataclass
class Cause:
    """A way to be red: what was seen, first by this failure, the requirements that it violates, and
    those that are red only because of them."""

    failure: Failure
    verdicts: list[Verdict] = field(default_factory=list)
    follows: list[Verdict] = field(default_factory=list)

    @property
    def level(self) -> str:
        """`core` when a core requirement is among them."""
        return min(v.requirement.level for v in self.verdicts)

    @property
    def text(self) -> str:
        """On one line."""
        return clipped(broken(self.failure))


def broken(failure: Failure) -> str:
    """What broke, on one line."""
    if failure.hop:
        return f"{failure.hop}: expected {failure.expected}, observed {failure.observed}"
    return next(iter(failure.text.splitlines()), "") or failure.observed


def clipped(text: str, letters: int = LETTERS) -> str:
    """Its beginning, and how long it is, where it is long."""
    if len(text) <= letters:
        return text
    return f"{text[:letters].rstrip()} … ({len(text)} letters)"


def signature(failure: Failure) -> str:
    """The same for failures that differ in ids, keys and numbers alone."""
    return _VARIES.sub("#", broken(failure))


def causes(verdicts: list[Verdict]) -> list[Cause]:
    """The ways in which requirements are red."""
    found: dict[str, Cause] = {}
    for one in verdicts:
        if one.failed:
            failure = min(one.failures, key=_rank)
            found.setdefault(signature(failure), Cause(failure)).verdicts.append(one)
    first = sorted(found.values(), key=lambda c: (_rank(c.failure), c.level, -len(c.verdicts)))
    return _gathered(first)


def ways(found: list[Cause]) -> str:
    """How many requirements are red, in how many ways: everywhere in these words."""
    count = sum(len(one.verdicts) + len(one.follows) for one in found)
    red = "1 requirement is red" if count == 1 else f"{count} requirements are red"
    return f"{red}, in {len(found)} way{'s' if len(found) > 1 else ''}"


def _gathered(found: list[Cause]) -> list[Cause]:
    """What follows from a more telling one stands under it; a way of which all does is none."""
    kept: list[tuple[Cause, set[str]]] = []
    for cause in found:
        own: list[Verdict] = []
        for verdict in cause.verdicts:
            source = next((one for one, routes in kept if _follows(verdict, one, routes)), None)
            (source.follows if source else own).append(verdict)
        if own:
            cause.verdicts = own
            kept.append((cause, _routes(own, _rank(cause.failure))))
    return [cause for cause, _ in kept]


def _follows(verdict: Verdict, cause: Cause, routes: set[str]) -> bool:
    """Whether each test by which a requirement is red saw less of the same route."""
    rank = _rank(cause.failure)
    return all(_is_lack(one) and _rank(one) > rank for one in verdict.failures) and all(
        route(one) in routes for one in verdict.results if one.outcome == "failed"
    )


def _is_lack(failure: Failure) -> bool:
    """Whether something did not come, or an error in its place."""
    return _rank(failure) == 2 or (_rank(failure) == 3 and not _GOOD.search(failure.observed))


def _routes(verdicts: Iterable[Verdict], rank: int) -> set[str]:
    """Those on which something of this rank was seen."""
    tests = {f.test for v in verdicts for f in v.failures if _rank(f) == rank}
    return {route(one) for v in verdicts for one in v.results if one.nodeid in tests} - {""}


def route(result: TestResult) -> str:
    """The route of a test's request, as far as its path tells: `/external/openai`, `/v1/chat`; ""
    where none is known."""
    sent = (_SENT.match(hop.observed) for hop in result.way if hop.where == CLIENT)
    return next((found[1] for found in sent if found), "")


def _rank(failure: Failure) -> int:
    """How far a failure is from what broke."""
    if failure.hop in ("", CLIENT):
        return 3 if failure.hop else 1
    return 2 if _ABSENT.search(failure.observed) else 0
