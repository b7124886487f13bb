"""In which order workers run their tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from fixtures.selection import side_by_side


@dataclass(frozen=True)
class Item:
    name: str
    marker: str = ""

    def get_closest_marker(self, name: str) -> bool:
        return name == self.marker


def ordered(items: list[Item], workers: int) -> list[str]:
    found: Any = items
    return [one.name for one in side_by_side(found, workers)]


@pytest.mark.parametrize(
    ("workers", "wanted"),
    [
        (1, ["rest", "long", "longer", "a", "b", "c"]),
        (2, ["rest", "longer", "a", "long", "b", "c"]),
    ],
)
def test_what_is_at_rest_comes_first_and_what_waits_then(workers: int, wanted: list[str]) -> None:
    """In each worker's part, which are as long as each other."""
    items = [Item("a"), Item("long", "window"), Item("b"), Item("longer", "window"), Item("c")]
    assert ordered([*items, Item("rest", "at_rest")], workers) == wanted
