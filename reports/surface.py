"""The routes of the cluster under test, and what was tried at each of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from fixtures.evidence.verdicts import Verdict
from fixtures.stack.surface import UNKNOWN


@dataclass(frozen=True)
class Row:
    """A route of a Gateway, as `conformance.yaml` has it; `tried` is requirement → how often
    sentences that hold over all routes asked this one."""

    gateway: str
    route: str
    hosts: list[str]
    paths: list[str]
    policies: list[str]
    origin: str
    tried: dict[str, int]

    @property
    def is_unknown(self) -> bool:
        """Whether nothing that the suite deployed, or that was made for it, wanted it."""
        return self.origin == UNKNOWN

    @property
    def said(self) -> str:
        """What was tried, in words."""
        asked = ", ".join(f"{name} {count}" for name, count in self.tried.items())
        return f"asked by {asked}" if asked else "asked by no sentence that holds over all routes"


def rows(surface: list[dict[str, Any]], verdicts: list[Verdict]) -> list[Row]:
    """All of them, those first that no document knows."""
    tried: dict[str, Counter[str]] = {}
    for verdict in verdicts:
        for result in verdict.results:
            for route, count in result.tried.items():
                tried.setdefault(route, Counter())[verdict.requirement.id] += count
    found = [Row(**one, tried=dict(tried.get(one["route"], {}))) for one in surface]
    return sorted(found, key=lambda row: not row.is_unknown)
