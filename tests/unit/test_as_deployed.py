"""Tests that want an object as the demo has it: they name one that there is, and do without it
where it is another's."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

from fixtures.clusters.base import Access
from fixtures.plugin import access_key, pytest_runtest_setup
from manifests import FOLDER, identity, render

SUITES = Path(__file__).parent.parent.parent / "suites"
TIERS = "ConfigMap opendatahub/tier-to-group-mapping"


def wanted() -> set[str]:
    """What the suites name by the marker."""
    found: set[str] = set()
    for path in SUITES.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "as_deployed":
                found |= {ast.literal_eval(one) for one in node.args}
    return found


def test_they_are_deployed() -> None:
    """A name that nothing has keeps no test from a cluster where it would be wrong."""
    deployed = set()
    for folder in ("platform/embedded", "conformance"):
        for one in render(FOLDER / folder):
            _, kind, namespace, name = identity(one)
            deployed.add(f"{kind} {namespace}/{name}")
    assert TIERS in wanted()
    assert wanted() - deployed == set()


class Item:
    """A test with the marker, on a cluster where these were left as they are."""

    def __init__(self, left: dict[str, str]) -> None:
        access = Access(Path("kubeconfig"), left=left)
        self.config: Any = type("Config", (), {"stash": {access_key: access}})

    def iter_markers(self, name: str) -> list[Any]:
        return [pytest.mark.as_deployed("Deployment a/b", TIERS)] if name == "as_deployed" else []


def test_what_is_anothers_is_not_judged() -> None:
    item: Any = Item({TIERS: "it is another's"})
    with pytest.raises(pytest.skip.Exception, match="as the demo has it: it is another's"):
        pytest_runtest_setup(item)


def test_what_the_test_does_not_name_may_be_anothers() -> None:
    item: Any = Item({"ConfigMap opendatahub/another": "it is another's"})
    pytest_runtest_setup(item)
