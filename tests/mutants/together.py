"""Which defects share a cluster, and one run of the suite: of what a mutant by itself costs, two
thirds are its cluster.

They are of one profile, of one deployment, alter no object both, and nothing that the suite says
of one may come from another: none is known to touch (`caught`, `implied`) what another has to turn
red. That is what `--alone` shows, where each has a cluster to itself, and the tests of all. Two
faults of one stand-in that hide each other show it themselves, by what is not caught: they are
`apart`.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tests.mutants.deployment import altered, built_on
from tests.mutants.mutant import Mutant

MOST = 4
Group = tuple[Mutant, ...]
# A mutant, what it is deployed over, and the objects that it alters.
Placed = tuple[Mutant, list[Path], frozenset[str]]


def together(mutants: Iterable[Mutant]) -> list[Group]:
    """Groups of at most so many, each mutant in the first that takes it; those that touch most
    come first, for they go with few."""
    groups: list[list[Placed]] = []
    for mutant in sorted(mutants, key=lambda one: -len(one.touched)):
        placed = (mutant, built_on(mutant), altered(mutant))
        for group in groups:
            if len(group) < MOST and all(_agree(placed, one) for one in group):
                group.append(placed)
                break
        else:
            groups.append([placed])
    return [tuple(mutant for mutant, *_ in group) for group in groups]


def _agree(one: Placed, other: Placed) -> bool:
    (a, built_a, altered_a), (b, built_b, altered_b) = one, other
    return (
        not (a.is_alone or b.is_alone)
        and a.profile == b.profile
        and a.name not in b.apart
        and b.name not in a.apart
        and built_a == built_b
        and not altered_a & altered_b
        and not a.judged & b.touched
        and not b.judged & a.touched
    )
