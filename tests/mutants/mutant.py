"""What a mutant is: a defect, and what the suite has to say of it."""

from __future__ import annotations

from dataclasses import dataclass, field

PROFILES = {
    "MP": "mixed_providers",
    "MG": "maas_gateway",
    "DG": "dual_gateway",
    "EM": "external_models",
    "HD": "hardening",
}


def ids(prefix: str, *numbers: int) -> frozenset[str]:
    """`ids("MP", 1, 2)` is MP-1 and MP-2."""
    return frozenset(f"{prefix}-{number}" for number in numbers)


def at(*dimensions: str) -> frozenset[str]:
    """Of which dimensions of the surface a mutant breaks one element alone."""
    return frozenset(dimensions)


# What is deployed with a fault, by profile, below manifests/.
OVERLAYS = {
    "mixed_providers": "mixed-providers/overlays/recording",
    "maas_gateway": "maas-gateway/overlays/with-demo",
    "dual_gateway": "dual-gateway/overlays/document",
    "external_models": "external-models/overlays/recording",
    "hardening": "maas-gateway/overlays/with-demo",
}


@dataclass(frozen=True)
class Mutant:
    """A defect by its name (of a folder in manifests/ or of a fault), what must go red, and what
    may go red with it; `outcomes` are decisions of disputed requirements and gaps that it
    changes; `windows` and `disposables` say that it takes tests which wait, or which have a
    cluster of their own, to catch it; `overlay` is what is deployed with a fault, if not the
    profile's own. `claims` are capabilities that the cluster is said to have: without a folder and
    a fault the defect is that it has not. `images` are stand-ins under other images' names,
    `at` are the dimensions of the surface (`fixtures/evidence/over.py`) of which it breaks one
    element alone, `apart` are defects that nobody would see beside this one, and `alone` says that
    without any defect it is decided the same: this one closes a gap but for one element."""

    name: str
    caught: frozenset[str]
    implied: frozenset[str] = frozenset()
    outcomes: dict[str, str] = field(default_factory=dict)
    windows: bool = False
    disposables: bool = False
    overlay: str = ""
    claims: tuple[str, ...] = ()
    images: dict[str, str] = field(default_factory=dict)
    apart: frozenset[str] = frozenset()
    alone: bool = False
    at: frozenset[str] = frozenset()

    @property
    def judged(self) -> frozenset[str]:
        """The requirements whose tests have to tell."""
        return self.caught | self.outcomes.keys()

    @property
    def touched(self) -> frozenset[str]:
        """Those of which it may alter what the suite says."""
        return self.judged | self.implied

    @property
    def profile(self) -> str:
        """The suite that has to catch it."""
        return PROFILES[min(self.judged)[:2]]

    @property
    def is_claim(self) -> bool:
        """Whether nothing is broken but a promise."""
        return self.name.startswith("claims-")

    @property
    def is_alone(self) -> bool:
        """Whether no other defect may be on its cluster: what takes minutes, ruins clusters, or
        is no defect of what is deployed."""
        return bool(self.windows or self.disposables or self.claims or self.images or self.alone)

    @property
    def deployed(self) -> str:
        """The kustomization of a fault."""
        return self.overlay or OVERLAYS[self.profile]

    @property
    def selection(self) -> str:
        """pytest's `-m`: without the long tests that cannot tell."""
        left_out = {"window": self.windows, "disposable": self.disposables}
        return " and ".join(f"not {name}" for name, wanted in left_out.items() if not wanted)
