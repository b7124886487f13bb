"""What requirements say of a component's releases is what the suite says before its stand-in."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fixtures.evidence.requirements import Requirement, by_id, read_all
from fixtures.invocation import SUITES
from reports.compare import load, seen
from tests.conftest import ROOT

EVERY = by_id(read_all(SUITES))
NAMED = ("MP-35", "MP-36", "MG-15")  # what README tells of
# Of the others one for each thing that is said of the newest: the rest are red for the same reason.
SAID = {[*one.releases.values()][-1]: one for one in reversed(EVERY.values()) if one.releases}
DIFFER = list({one.id: one for one in (*SAID.values(), *(EVERY[name] for name in NAMED))}.values())
# Release → the image of its component, and its stand-in as that release is: 0.11 in an Envoy that
# buffers what Istio's does, where the embedded gateway's buffers all.
STAND_INS = {
    "wasm-shim 0.11": ("quay.io/kuadrant/wasm-shim", "wasm_shim --holds-json 1048576"),
    "wasm-shim 0.12": ("quay.io/kuadrant/wasm-shim", "wasm_shim --generation 0.12"),
    "wasm-shim 0.14": ("quay.io/kuadrant/wasm-shim", "wasm_shim --generation 0.14"),
    "wasm-shim main": ("quay.io/kuadrant/wasm-shim", "wasm_shim --generation mended"),
}


def decided(chosen: list[Requirement], image: str, reports: Path) -> dict[str, str]:
    """The outcome of each, or its verdict."""
    words = [
        sys.executable, "-m", "pytest", "suites", "--cluster=embedded", "-q",
        f"--reports={reports}", f"--image={image}", *(f"--requirement={one.id}" for one in chosen),
    ]  # fmt: skip
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    found = seen(load(reports / "conformance.yaml"))
    return {one.id: found[one.id].outcome or found[one.id].verdict for one in chosen}


@pytest.mark.parametrize("release", STAND_INS)
def test_releases_decide_what_is_said_of_them(release: str, tmp_path: Path) -> None:
    image, words = STAND_INS[release]
    chosen = [one for one in DIFFER if release in one.releases]
    command = f"{image}={sys.executable} -m embedded.images {words}"
    said = {one.id: one.decided_by(release) for one in chosen}
    assert decided(chosen, command, tmp_path) == said


def test_no_release_is_named_that_nobody_can_ask() -> None:
    assert {name for one in DIFFER for name in one.releases} == STAND_INS.keys()
