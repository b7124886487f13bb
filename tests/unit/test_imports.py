"""Who imports whom: one way, and in no circle."""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PACKAGES = ("embedded", "fixtures", "kind", "manifests", "reports", "suites")


def modules() -> dict[str, Path]:
    """Name → file, of all that users run."""
    found = {}
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports() -> dict[str, set[str]]:
    """Module → the modules of ours that it names, wherever in it."""
    known = modules()
    found: dict[str, set[str]] = {}
    for name, path in known.items():
        named = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                ways = [f"{node.module}.{alias.name}" for alias in node.names]
                named |= {way if way in known else node.module for way in ways}
            elif isinstance(node, ast.Import):
                named |= {alias.name for alias in node.names}
        found[name] = (named & known.keys()) - {name}
    return found


FOUND = imports()


def users_of(package: str) -> set[str]:
    """The modules outside of a package that import some of it."""
    return {
        name
        for name, named in FOUND.items()
        if any(one.split(".")[0] == package for one in named) and name.split(".")[0] != package
    }


def test_no_circles() -> None:
    """`prepare` names the circle that it meets."""
    TopologicalSorter(FOUND).prepare()


def test_a_cluster_does_not_know_who_tests_it() -> None:
    for package in ("embedded", "kind", "manifests"):
        assert not {n for n in FOUND if n.split(".")[0] == package} & (
            users_of("fixtures") | users_of("suites") | users_of("reports")
        )


def test_only_its_provider_knows_a_cluster() -> None:
    """So that the suite runs where the extras of the others are not installed."""
    assert users_of("embedded") == {"fixtures.clusters.embedded"}
    assert users_of("kind") == {"fixtures.clusters.kind"}


def test_nobody_but_the_command_line_imports_the_reports() -> None:
    assert users_of("reports") == set()
    assert users_of("suites") == set()


def test_stand_ins_need_nothing_but_their_own_package() -> None:
    """Their containers have no other: what starts one, and each of them, is imported without."""
    ours = (name for name in FOUND if name.startswith("embedded.images"))
    modules = sorted(name for name in ours if not name.endswith("__main__"))
    told = f"import sys; [__import__(name) for name in {modules!r}]; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", told], cwd=ROOT, capture_output=True, text=True, check=True
    )
    tops = {name.partition(".")[0] for name in done.stdout.split()}
    assert "embedded" in tops
    assert not tops & {"fixtures", "kind", "manifests", "reports", "suites"}
