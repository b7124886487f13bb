"""For each named defect the suite must fail: at the requirement that it violates, and, which
`make mutants` looks at, at nothing that the defect does not touch."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from embedded.images import Catalogue
from fixtures.evidence.requirements import by_id, read_all
from tests.mutants import (
    dual_gateway,
    external_models,
    hardening,
    maas_gateway,
    mixed_providers,
)
from tests.mutants.faults import FAULTS
from tests.mutants.mutant import Mutant
from tests.mutants.warm import Server

ROOT = Path(__file__).parent.parent.parent
MANIFESTS = Path(__file__).parent / "manifests"
# Stand-in → (image, flags) of the catalogue; of two images of one stand-in the first.
IMAGES = {
    image.module.rpartition(".")[2]: (name, image.flags)
    for name, image in reversed(Catalogue().images.items())
    if image.module
}
MUTANTS = [
    *mixed_providers.MUTANTS,
    *maas_gateway.MUTANTS,
    *dual_gateway.MUTANTS,
    *external_models.MUTANTS,
    *hardening.MUTANTS,
]


def options(mutant: Mutant) -> list[str]:
    """The suite's options that bring the defect in."""
    out = [f"--capability={claim}" for claim in mutant.claims]
    for image, module in mutant.images.items():
        out.append(f"--image={image}={sys.executable} -m embedded.images {module}")
    return out + deployment(mutant)


def deployment(mutant: Mutant) -> list[str]:
    """What is deployed: a fault in its profile's overlay, a folder, or the overlay alone."""
    if mutant.name in FAULTS:
        module = FAULTS[mutant.name][0].rpartition(".")[2]
        image, flags = IMAGES[module]
        command = " ".join([sys.executable, "-m", "tests.mutants.faults", mutant.name, *flags])
        overlay = ROOT / "manifests" / mutant.deployed
        return [f"--image={image}={command}", f"--kustomization={overlay}"]
    folder = MANIFESTS / mutant.name
    return [
        f"--kustomization={folder if folder.exists() else ROOT / 'manifests' / mutant.deployed}"
    ]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Server:
    """What runs of the suite are forked from."""
    return Server(tmp_path_factory.getbasetemp().parent / "compiled")


def run_suite(
    server: Server, profile: str, arguments: list[str], folder: Path
) -> tuple[int, dict[str, Any], str]:
    """Run a suite in a process of its own: (exit code, its profile's report, its output)."""
    words = [f"suites/{profile}", "--cluster=embedded", "-q", f"--reports={folder}", *arguments]
    code, output = server.run(ROOT, words, folder / "output.txt")
    report = folder / "conformance.yaml"
    assert report.exists(), f"the suite did not run:\n{output}"
    profiles = yaml.load(report.read_text(), Loader=yaml.CSafeLoader)["profiles"]
    (found,) = [p for p in profiles if p["name"] == profile]
    return code, found, output


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: f"{m.profile}-{m.name}")
def test_mutant_is_caught(
    mutant: Mutant, server: Server, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    """Red where it should be, and green everywhere else: among the tests of the requirements in
    question, or with `--whole` in the whole suite."""
    arguments = [*options(mutant), "-m", mutant.selection]
    if not pytestconfig.getoption("--whole"):
        cited = mutant.caught | mutant.outcomes.keys()
        arguments += [f"--requirement={one}" for one in sorted(cited)]
    code, profile, output = run_suite(server, mutant.profile, arguments, tmp_path)
    verdicts = {r["id"]: r["verdict"] for r in profile["requirements"]}
    red = {one for one, verdict in verdicts.items() if verdict == "nonconformant"}
    assert mutant.caught <= red, f"not caught: {sorted(mutant.caught - red)}\n{output}"
    unrelated = red - mutant.caught - mutant.implied
    assert not unrelated, f"red without a reason: {sorted(unrelated)}\n{output}"
    decided = profile.get("disputed", {}) | {
        one: verdict.removeprefix("gap ") for one, verdict in profile.get("gaps", {}).items()
    }
    assert {one: decided.get(one) for one in mutant.outcomes} == mutant.outcomes
    assert code == (1 if red else 0)


STRICT = [([], 0), (["--strict-gaps"], 1)]


@pytest.mark.parametrize(("more", "expected"), STRICT, ids=["default", "strict"])
def test_closed_gap_is_news(server: Server, tmp_path: Path, more: list[str], expected: int) -> None:
    """It is shown, and fails the run under --strict-gaps alone."""
    arguments = [f"--kustomization={MANIFESTS / 'bypass-closed'}", "--requirement=DG-35", *more]
    code, profile, output = run_suite(server, "dual_gateway", arguments, tmp_path)
    assert profile["gaps"]["DG-35"] == "gap closed"
    assert "DG-35 No per-model RBAC behind vSR: gap closed" in output
    assert code == expected


def test_every_requirement_has_a_mutant() -> None:
    """One that no defect surely turns red, or decides otherwise, is not tested."""
    known = by_id(read_all(ROOT / "suites")).values()
    touched = {one for m in MUTANTS for one in m.caught | m.outcomes.keys()}
    assert {one.id for one in known} - touched == set()


def test_every_defect_is_used() -> None:
    """No fault and no folder lies about unused."""
    folders = {folder.name for folder in MANIFESTS.iterdir()}
    assert {m.name for m in MUTANTS if not m.is_claim} == folders | FAULTS.keys()
