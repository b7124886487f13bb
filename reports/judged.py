"""What was judged: which suite, and which manifests, by name, digest and what differs from the
default."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fixtures.version import version
from manifests import ManifestError, Object, identity
from manifests import render as render_manifests

ROOT = Path(__file__).parent.parent
NAME = "ai-gateway-conformance"
LINES, LETTERS = 40, 60  # of differences, and of a value in one


def suite(root: Path = ROOT) -> dict[str, Any]:
    """Its `version`, `commit` and whether files are `dirty`, as git says of a checkout; of a copy
    that pip installed from one the commit alone, as PEP 610 has it; else neither."""
    found: dict[str, Any] = {"version": version()}
    if (root / ".git").exists() and (commit := _git(root, "rev-parse", "HEAD")):
        return {**found, "commit": commit, "dirty": bool(_git(root, "status", "--porcelain"))}
    if commit := _installed_from():
        found["commit"] = commit
    return found


def said(found: dict[str, Any]) -> str:
    """A suite in words: version, commit, and whether it is what that commit has."""
    if not found:
        return "unknown"
    if not (commit := found.get("commit", "")):
        return f"{found['version']}, of no known commit"
    dirty = ", with changes that are not committed" if found.get("dirty") else ""
    return f"{found['version']}, commit {commit[:12]}{dirty}"


def _git(root: Path, *words: str) -> str:
    """What git says; "" where it says nothing, or there is none."""
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *words], capture_output=True, text=True, check=False
        )
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _installed_from() -> str:
    try:
        text = importlib.metadata.distribution(NAME).read_text("direct_url.json")
    except importlib.metadata.PackageNotFoundError:
        return ""
    return str(json.loads(text or "{}").get("vcs_info", {}).get("commit_id", ""))


def manifests(folder: Path, default: Path) -> dict[str, Any]:
    """Name and digest of a kustomization, and what `differs` from the default one, a line each."""
    is_default = folder.resolve() == default.resolve()
    found: dict[str, Any] = {"kustomization": "default" if is_default else folder.name}
    try:
        objects = render_manifests(folder)
        text = json.dumps(objects, sort_keys=True)
        found["digest"] = f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
        if not is_default and (lines := differences(render_manifests(default), objects)):
            more = len(lines) - LINES
            found["differs"] = lines[:LINES] + ([f"and {more} lines more"] if more > 0 else [])
    except ManifestError as error:
        found["digest"] = f"not rendered: {error}"
    return found


def differences(before: list[Object], after: list[Object]) -> list[str]:
    """What is there besides, what is altered, and what is not there; by object."""
    old = {identity(one)[1:]: one for one in before}
    new = {identity(one)[1:]: one for one in after}
    lines = [f"added: {_named(one)}" for one in new if one not in old]
    for one in new:
        if one in old:
            lines += [f"{_named(one)}: {line}" for line in _altered(old[one], new[one])]
    return lines + [f"not there: {_named(one)}" for one in old if one not in new]


def _named(one: tuple[str, ...]) -> str:
    kind, namespace, name = one
    return f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"


def _altered(before: Any, after: Any, at: str = "") -> Iterator[str]:
    """`spec.parentRefs[0].name is "b", not "a"`."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in {**before, **after}:
            where = f"{at}.{key}" if at else key
            yield from _altered(before.get(key), after.get(key), where)
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for number, pair in enumerate(zip(before, after, strict=True)):
            yield from _altered(*pair, f"{at}[{number}]")
    elif before != after:
        yield f"{at} is {_shown(after)}, not {_shown(before)}"


def _shown(value: Any) -> str:
    text = "absent" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LETTERS else f"{text[:LETTERS]} …"
