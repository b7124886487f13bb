"""For each named defect the suite must fail: at the requirement that it violates, and, which
`make mutants` looks at, at nothing that the defect does not touch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from fixtures.evidence.requirements import by_id, read_all
from manifests import FOLDER
from tests.mutants import (
    around,
    askers,
    behind,
    changes,
    dual_gateway,
    elements,
    external_models,
    hardening,
    maas_gateway,
    mixed_providers,
    moments,
    providers,
    running,
    strangers,
    upkeep,
    whose,
)
from tests.mutants.deployment import MANIFESTS, options
from tests.mutants.faults import FAULTS
from tests.mutants.mutant import OVERLAYS, PROFILES
from tests.mutants.together import Group, together
from tests.mutants.warm import Server
from tests.survey.places import command

ROOT = Path(__file__).parent.parent.parent
MUTANTS = [
    *mixed_providers.MUTANTS,
    *maas_gateway.MUTANTS,
    *dual_gateway.MUTANTS,
    *external_models.MUTANTS,
    *hardening.MUTANTS,
    *moments.MUTANTS,
    *changes.MUTANTS,
    *providers.MUTANTS,
    *around.MUTANTS,
    *askers.MUTANTS,
    *upkeep.MUTANTS,
    *strangers.MUTANTS,
    *whose.MUTANTS,
    *elements.MUTANTS,
    *behind.MUTANTS,
    *running.MUTANTS,
]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Server:
    """What runs of the suite are forked from."""
    return Server(tmp_path_factory.getbasetemp().parent / "compiled")


def run_suite(
    server: Server, profile: str, arguments: list[str], folder: Path, whole: bool = True
) -> tuple[int, dict[str, Any], str]:
    """Run a suite in a process of its own: (exit code, its profile's report, its output). Not
    `whole`, it leaves out the tests that could not alter a verdict."""
    words = [f"suites/{profile}", "--cluster=embedded", "-q", f"--reports={folder}", *arguments]
    words += [] if whole else ["-p", "tests.mutants.told"]
    code, output = server.run(ROOT, words, folder / "output.txt")
    report = folder / "conformance.yaml"
    assert report.exists(), f"the suite did not run:\n{output}"
    profiles = yaml.load(report.read_text(), Loader=yaml.CSafeLoader)["profiles"]
    (found,) = [p for p in profiles if p["name"] == profile]
    return code, found, output


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Several mutants at a time; with `--alone` each by itself before the same tests, with
    `--whole` before the whole suite."""
    if "mutants" not in metafunc.fixturenames:
        return
    option, groups = metafunc.config.getoption, together(MUTANTS)
    runs = [(group, group) for group in groups]
    if option("--alone") or option("--whole"):
        runs = [((one,), () if option("--whole") else group) for group in groups for one in group]
    ids = [f"{found[0].profile}-{'+'.join(one.name for one in found)}" for found, _ in runs]
    metafunc.parametrize(("mutants", "shown"), runs, ids=ids)


def test_mutants_are_caught(mutants: Group, shown: Group, server: Server, tmp_path: Path) -> None:
    """Red, or decided otherwise, where it should be, and nowhere else: before the tests that have
    to tell the mutants `shown`, or before the whole suite."""
    arguments = [*options(mutants, tmp_path / "deployed"), "-m", mutants[0].selection]
    arguments += [f"--requirement={one}" for mutant in shown for one in sorted(mutant.judged)]
    code, profile, output = run_suite(server, mutants[0].profile, arguments, tmp_path, not shown)
    verdicts = {r["id"]: r["verdict"] for r in profile["requirements"]}
    red = {one for one, verdict in verdicts.items() if verdict == "nonconformant"}
    decided = profile.get("disputed", {}) | {
        one: verdict.removeprefix("gap ") for one, verdict in profile.get("gaps", {}).items()
    }
    for mutant in mutants:
        missed = sorted(mutant.caught - red)
        assert not missed, f"{mutant.name}: not caught: {missed}\n{output}"
        assert mutant.outcomes.items() <= decided.items(), f"{mutant.name}: {decided}"
    for mutant in (one for one in shown if one not in mutants):
        told = mutant.outcomes.items() & decided.items()
        assert not told, f"decided as by {mutant.name}, without it: {sorted(told)}"
    unrelated = red.difference(*(one.caught | one.implied for one in mutants))
    assert not unrelated, f"red without a reason: {sorted(unrelated)}\n{output}"
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


SURVEYED = [("egress", "cookie-dropped", "MP-61"), ("router", "cookie-dropped", "DG-57")]


@pytest.mark.parametrize(("place", "name", "noticed"), SURVEYED)
def test_filters_of_the_survey_get_in(
    server: Server, tmp_path: Path, place: str, name: str, noticed: str
) -> None:
    """Into the Envoys that are not the MaaS gateway's."""
    profile = PROFILES[noticed[:2]]
    deployed = f"--kustomization={FOLDER / OVERLAYS[profile]}"
    arguments = [command(place, name), deployed, f"--requirement={noticed}"]
    code, found, output = run_suite(server, profile, arguments, tmp_path)
    verdicts = {r["id"]: r["verdict"] for r in found["requirements"]}
    assert verdicts[noticed] == "nonconformant", output
    assert code == 1


def test_every_requirement_has_a_mutant() -> None:
    """One that no defect surely turns red, or decides otherwise, is not tested."""
    known = by_id(read_all(ROOT / "suites")).values()
    touched = {one for m in MUTANTS for one in m.judged}
    assert {one.id for one in known} - touched == set()


def test_every_dimension_has_a_mutant() -> None:
    """What holds over all routes is broken at one of them alone, for each dimension of its
    sentence."""
    missing = {
        f"{' '.join(statement.requirements)} {dimension}"
        for reading in read_all(ROOT / "suites")
        for statement in reading.statements
        for dimension in statement.over
        if not any(dimension in m.at and m.judged & {*statement.requirements} for m in MUTANTS)
    }
    assert not missing


def test_every_defect_is_used() -> None:
    """No fault and no folder lies about unused. A promise has neither, and another program in an
    image's place may have neither."""
    named = {m.name for m in MUTANTS if not m.is_claim}
    there = {folder.name for folder in MANIFESTS.iterdir()} | FAULTS.keys()
    assert there <= named
    assert named - there <= {m.name for m in MUTANTS if m.images}
