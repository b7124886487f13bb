"""What is red, gathered by what was seen: one defect turns many requirements red.

Of each requirement the most telling failure counts, and the most telling come first: something
else than expected at a hop behind the client; an object that is not as it should be; nothing where
something should have come; last a status that the client got, which may have any reason.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from fixtures.evidence import CLIENT
from fixtures.evidence.verdicts import Failure, Verdict

_ABSENT = re.compile(r"\b(nothing|none|no line)\b")
_VARIES = re.compile(r"<redacted \w+>|[0-9a-f]{8}[\w-]*|\d+(\.\d+)?")


@dataclass
class Cause:
    """Something that was seen, first by this failure, and the requirements that it violates."""

    failure: Failure
    verdicts: list[Verdict] = field(default_factory=list)

    @property
    def level(self) -> str:
        """`core` when a core requirement is among them."""
        return min(v.requirement.level for v in self.verdicts)

    @property
    def text(self) -> str:
        """On one line."""
        return broken(self.failure)


def broken(failure: Failure) -> str:
    """What broke, on one line."""
    if failure.hop:
        return f"{failure.hop}: expected {failure.expected}, observed {failure.observed}"
    return next(iter(failure.text.splitlines()), "") or failure.observed


def signature(failure: Failure) -> str:
    """The same for failures that differ in ids, keys and numbers alone."""
    return _VARIES.sub("#", broken(failure))


def causes(verdicts: list[Verdict]) -> list[Cause]:
    """Of the requirements that are red."""
    found: dict[str, Cause] = {}
    for one in verdicts:
        if one.failed:
            failure = min(one.failures, key=_rank)
            found.setdefault(signature(failure), Cause(failure)).verdicts.append(one)
    return sorted(found.values(), key=lambda c: (_rank(c.failure), c.level, -len(c.verdicts)))


def _rank(failure: Failure) -> int:
    """How far a failure is from what broke."""
    if failure.hop in ("", CLIENT):
        return 3 if failure.hop else 1
    return 2 if _ABSENT.search(failure.observed) else 0
