"""Which defects share a cluster, and one run of the suite: of what a mutant by itself costs, two
thirds are its cluster.

They are of one profile, altered in different places of one deployment, and nothing that the suite
says of one may come from another: none is known to touch (`caught`, `implied`) what another has to
turn red. That is what `--alone` shows, where each has a cluster to itself, and the tests of all.
"""

from __future__ import annotations

from collections.abc import Iterable

from tests.mutants.deployment import built_on, place
from tests.mutants.mutant import Mutant

MOST = 3
Group = tuple[Mutant, ...]


def together(mutants: Iterable[Mutant]) -> list[Group]:
    """Groups of at most so many, each mutant in the first that takes it."""
    groups: list[list[Mutant]] = []
    for mutant in mutants:
        for group in groups:
            if len(group) < MOST and all(_agree(mutant, one) for one in group):
                group.append(mutant)
                break
        else:
            groups.append([mutant])
    return [tuple(group) for group in groups]


def _agree(a: Mutant, b: Mutant) -> bool:
    return (
        not (a.is_alone or b.is_alone)
        and a.profile == b.profile
        and a.name not in b.apart
        and b.name not in a.apart
        and place(a) != place(b)
        and built_on(a) == built_on(b)
        and not a.judged & b.touched
        and not b.judged & a.touched
    )
