"""What a requirement rests on, for `--explain`: its sentence among its neighbours, what its tests
assert at which hop, the defects that turn it red, and what is known of upstream."""

from __future__ import annotations

import ast
import importlib
import inspect
import textwrap
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from fixtures import evidence
from fixtures.chosen import shown
from fixtures.evidence.requirements import Reading, Requirement
from fixtures.invocation import ROOT
from fixtures.secrets import redact_prose

AROUND = 3  # lines before and after what is quoted
INNER = "inner gateway"
# Where an Exchange's `expect_…` look.
HOPS = {
    "expect_status": evidence.CLIENT,
    "expect_refusal": f"{evidence.CLIENT}, {evidence.BACKEND}",
    "expect_inner_received": INNER,
    "expect_inner_line": INNER,
    "expect_no_inner": INNER,
    "expect_backend_received": evidence.BACKEND,
    "expect_backend_header": evidence.BACKEND,
    "expect_no_backend": evidence.BACKEND,
    "expect_nowhere": evidence.BACKEND,
}
_NAMED = {
    name: getattr(evidence, name) for name in ("CLIENT", "MAAS", "BACKEND", "EGRESS", "ROUTER")
}


def explained(
    one: Requirement, readings: list[Reading], items: list[pytest.Item], last: dict[str, Any] | None
) -> Iterator[str]:
    """All of it, in lines; `last` is what the last run's report says of it."""
    yield f"{one.id} {one.title}"
    yield f"  {one.kind}, {one.level}, profile {one.profile}; {one.document}:{one.line}"
    yield from _surroundings(one, readings)
    yield f"so        {one.expects}"
    if one.over:
        yield f"over      {', '.join(one.over)}"
    for key, meaning in one.outcomes.items():
        yield f"disputed  {key}: {meaning}"
    capabilities = {
        name for item in items for m in item.iter_markers("capability") for name in m.args
    }
    if wanted := sorted({one.capability, *capabilities} - {""}):
        yield f"wants     {', '.join(wanted)}"
    yield ""
    yield "asserted, by the hop:"
    yield from (f"  {line}" for line in _assertions(items) or ["nothing: it has no test"])
    yield ""
    yield from _tests(items, last)
    yield from _mutants(one.id)
    if one.releases:
        yield "known of upstream's releases:"
        yield from (f"  {release}: {decides}" for release, decides in one.releases.items())
        yield ""


def _surroundings(one: Requirement, readings: list[Reading]) -> Iterator[str]:
    """The lines of each sentence that it proves, marked, among their neighbours."""
    for reading in readings:
        quoted = sorted(
            {n for said in reading.statements if one.id in said.requirements for n in said.lines}
        )
        if not quoted:
            continue
        lines, last = reading.document.lines, 0
        yield ""
        yield f"{reading.document.name} says:"
        near = {n for q in quoted for n in range(q - AROUND, q + AROUND + 1)}
        for number in sorted(n for n in near if 1 <= n <= len(lines)):
            if last and number > last + 1:
                yield "      …"
            mark = ">" if number in quoted else " "
            yield f"  {mark} {number:4} {redact_prose(lines[number - 1])}".rstrip()
            last = number
    yield ""


def _assertions(items: list[pytest.Item]) -> list[str]:
    """`hop: what is expected there`, in the tests' own words, once each, by the hop."""
    found: dict[tuple[str, str], None] = {}
    for function in dict.fromkeys(getattr(item, "function", None) for item in items):
        if function is not None:
            found.update(dict.fromkeys(_of(function)))
    order = [evidence.CLIENT, evidence.MAAS, INNER, evidence.EGRESS, evidence.ROUTER,
             evidence.BACKEND]  # fmt: skip
    rank = {hop: number for number, hop in enumerate(order)}
    return [f"{hop}: {text}" for hop, text in sorted(found, key=lambda f: rank.get(f[0], 9))]


def _of(function: Any, depth: int = 2) -> list[tuple[str, str]]:
    """(hop, what is expected) of a function, and of those of its module that it calls."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):
        return []
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert):
            found.append(("any", ast.unparse(node.test)))
        elif isinstance(node, ast.Call):
            name = getattr(node.func, "attr", "") or getattr(node.func, "id", "")
            own = getattr(inspect.getmodule(function), name, None)
            if name.startswith("expect"):
                found.append(_expected(name, node))
            elif depth and inspect.isfunction(own) and own.__module__ == function.__module__:
                found += _of(own, depth - 1)
    return found


def _expected(name: str, call: ast.Call) -> tuple[str, str]:
    words = [ast.unparse(one) for one in call.args]
    words += [ast.unparse(one) for one in call.keywords]
    hops = [_NAMED[word] for word in words if word in _NAMED]
    hop = HOPS.get(name, hops[0] if hops else "any")
    said = name.removeprefix("expect").removeprefix("_").replace("_", " ")
    return hop, " ".join(f"{said} {', '.join(w for w in words if w not in _NAMED)}".split())


def _tests(items: list[pytest.Item], last: dict[str, Any] | None) -> Iterator[str]:
    """Each with what it says of itself, and what the last run saw."""
    seen = {one["test"]: one for one in (last or {}).get("evidence", [])}
    of = f" (last run: {last['verdict']}, {last['cluster']}, {last['date']})" if last else ""
    yield f"tests{of}:"
    told = ""
    for item in items:
        says = " ".join((inspect.getdoc(getattr(item, "function", None)) or "").split())
        was = seen.get(item.nodeid)
        ended = f"  {was['outcome']}, {was['seconds']} s" if was else ""
        yield f"  {shown(item.nodeid)}{ended}"
        if says and says != told:
            yield f"    {says}"
        told = says
        if was and was.get("way"):
            way = "; ".join(f"{hop['hop']} {hop['observed']}" for hop in was["way"])
            yield f"    seen: {way}"
    yield ""


def _mutants(name: str) -> Iterator[str]:
    """What is known to turn it red; nothing is said where the project's own tests are not there."""
    lines = []
    for mutant in mutants():
        if name in mutant.outcomes:
            lines.append(f"  {mutant.name}: decided as {mutant.outcomes[name]}")
        elif name in mutant.caught:
            lines.append(f"  {mutant.name}: red")
        elif name in mutant.implied:
            lines.append(f"  {mutant.name}: perhaps red too")
    if lines:
        yield "mutants:"
        yield from lines
        yield ""


@cache
def mutants() -> list[Any]:
    """Those of tests/mutants, where there is one."""
    folder: Path = ROOT / "tests" / "mutants"
    files = [
        path for path in sorted(folder.glob("*.py")) if "\nMUTANTS = [" in path.read_text("utf-8")
    ]
    modules = [
        importlib.import_module(f"tests.mutants.{path.stem}")
        for path in files
        if not path.stem.startswith("test_")
    ]
    return [mutant for module in modules for mutant in module.MUTANTS]
