"""What a mutant is: a defect, and what the suite has to say of it."""

from __future__ import annotations

from dataclasses import dataclass, field

PROFILES = {"MP": "mixed_providers", "MG": "maas_gateway", "DG": "dual_gateway"}


def ids(prefix: str, *numbers: int) -> frozenset[str]:
    """`ids("MP", 1, 2)` is MP-1 and MP-2."""
    return frozenset(f"{prefix}-{number}" for number in numbers)


@dataclass(frozen=True)
class Mutant:
    """A defect by its name (of a folder in manifests/ or of a fault), what must go red, and what
    may go red with it; `outcomes` are decisions of disputed requirements and gaps that it
    changes, `overlay` what is deployed with a fault (below manifests/)."""

    name: str
    caught: frozenset[str]
    implied: frozenset[str] = frozenset()
    outcomes: dict[str, str] = field(default_factory=dict)
    windows: bool = False
    overlay: str = "conformance"

    @property
    def profile(self) -> str:
        """The suite that has to catch it."""
        first = min(self.caught | self.outcomes.keys())
        return PROFILES[first[:2]]
