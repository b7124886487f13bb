"""No requirement fails by a Python error: what a cluster gave says itself what was expected of it.

The suite reads objects, answers and logs that anybody may have written. One entry more, a field
less or a text that is no JSON is a finding with an expectation (`fixtures/found.py`), and the
suite's own sources are kept to the helpers that say so.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from fixtures.found import Unexpected, first, listed, only, parsed, parsed_yaml, parts

ROOT = Path(__file__).parent.parent.parent
READ = ("suites", "fixtures/stack", "fixtures/evidence")
# Where text becomes JSON with an explanation of its own, or is no cluster's.
EXPLAIN = {"fixtures/evidence/access_log.py", "fixtures/evidence/documents.py",
           "fixtures/evidence/requirements.py"}  # fmt: skip
LOADS = {"loads", "safe_load", "safe_load_all"}


def sources() -> Iterator[tuple[str, ast.Module]]:
    for folder in READ:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield str(path.relative_to(ROOT)), ast.parse(path.read_text())


def unpacks_one(node: ast.AST) -> bool:
    """`(x,) = …`: one entry more, and Python says so in its own words."""
    if isinstance(node, ast.Assign):
        targets = node.targets
    elif isinstance(node, ast.For | ast.comprehension):
        targets = [node.target]
    else:
        return False
    return any(isinstance(t, ast.Tuple | ast.List) and len(t.elts) == 1 for t in targets)


def unpacks_parts(node: ast.AST) -> bool:
    """`a, b = text.split(…)`, with or without a slice, and `text.split(…)[3]`."""
    if isinstance(node, ast.Assign) and any(isinstance(t, ast.Tuple) for t in node.targets):
        value: ast.AST = node.value
    elif isinstance(node, ast.Subscript) and not isinstance(node.slice, ast.Slice):
        value = node.value
    else:
        return False
    while isinstance(value, ast.Subscript):
        value = value.value
    return is_call_of(value, {"split", "splitlines"})


def loads(node: ast.AST) -> bool:
    return is_call_of(node, LOADS)


def takes_next(node: ast.AST) -> bool:
    """`next(x)` without a default: StopIteration."""
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "next"
        and len(node.args) == 1
    )


def is_call_of(node: ast.AST, names: set[str]) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in names
    )


RULES: list[Callable[[ast.AST], bool]] = [unpacks_one, unpacks_parts, loads, takes_next]


@pytest.mark.parametrize("broken", RULES, ids=lambda rule: rule.__name__)
def test_sources_leave_it_to_the_helpers(broken: Callable[[ast.AST], bool]) -> None:
    found = [
        f"{name}:{getattr(node, 'lineno', '?')}"
        for name, tree in sources()
        if name not in EXPLAIN
        for node in ast.walk(tree)
        if broken(node)
    ]
    assert found == []


@pytest.mark.parametrize(
    "text",
    ["(x,) = y", "for (x,) in y: pass", "a, b = t.split(':')[2:]", "t.split(':')[3]",
     "json.loads(t)", "next(y)", "[x for (x,) in y]"],
)  # fmt: skip
def test_rules_see_what_they_forbid(text: str) -> None:
    assert any(rule(node) for node in ast.walk(ast.parse(text)) for rule in RULES)


ROUTE = {
    "kind": "HTTPRoute", "metadata": {"name": "bridge", "namespace": "default"}, "spec": {},
    "status": {"parents": [{"controllerName": "a"}, {"controllerName": "b"}]},
}  # fmt: skip


@pytest.mark.parametrize(
    ("look", "said"),
    [
        (lambda r: r["statuses"], r"a field 'statuses' of HTTPRoute default/bridge, found the "),
        (lambda r: r["spec"]["rules"], r"a field 'rules', found an empty object"),
        (lambda r: r["status"]["parents"][2], r"an item 2, found 2 items: "),
        (lambda r: only(r["status"]["parents"], "parent"), r"one parent, found 2: .*\"b\""),
        (lambda r: only([], "parent"), r"one parent, found none"),
        (lambda r: first([], "Pod"), r"at least one Pod, found none"),
        (lambda r: parts("a:b", ":", 4, "a name"), r"a name of 4 parts between ':', found a:b"),
        (lambda r: parsed("<html>", "the answer"), r"JSON of the answer, found <html>"),
        (lambda r: parsed("[" * 100_000, "it"), r"JSON of it, found \[\["),
        (lambda r: parsed_yaml("a: [", "tiers"), r"YAML of tiers, found a: \["),
        (lambda r: listed(r["spec"], "data"), r"a field 'data', found an empty object"),
        (lambda r: listed({"data": 5}, "data"), r"an array in 'data', found 5"),
        (lambda r: listed([], "data"), r"an object with a field 'data', found \[\]"),
    ],
)
def test_what_was_expected_is_said(look: Callable[[Any], Any], said: str) -> None:
    with pytest.raises(Unexpected, match=f"^expected {said}"):
        look(parsed(json.dumps(ROUTE), "the route"))


def test_an_empty_listing_of_go() -> None:
    assert listed(parsed('{"data": null}', "a listing"), "data") == []
    assert listed(parsed('{"data": [1]}', "a listing"), "data") == [1]


@pytest.mark.parametrize("dumper", [yaml.SafeDumper, yaml.CSafeDumper])
def test_what_was_found_can_be_written(dumper: Any) -> None:
    """As it was: tests edit ConfigMaps, and diagnostics keep objects."""
    route = parsed(json.dumps(ROUTE), "the route")
    assert yaml.safe_load(yaml.dump(route, Dumper=dumper)) == ROUTE
