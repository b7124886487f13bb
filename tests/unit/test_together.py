"""Which mutants share a cluster, and how they are brought in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from manifests import FOLDER, identity, render
from tests.mutants.deployment import MANIFESTS, options
from tests.mutants.mutant import Mutant, ids
from tests.mutants.test_mutants import MUTANTS
from tests.mutants.together import MOST, together

# A folder of manifests and stand-ins' faults, which are deployed over the same demo.
KEY = Mutant("keys-swapped", ids("MP", 1))
EXPIRY = Mutant("expiry-not-checked", ids("MP", 2))
SLASH = Mutant("egress-doubles-slash", ids("MP", 3), ids("MP", 13))
COUNTERS = Mutant("counters-shared", ids("MP", 4))


def test_each_is_in_one_group() -> None:
    groups = together(MUTANTS)
    assert sorted(m.name + m.profile for group in groups for m in group) == sorted(
        m.name + m.profile for m in MUTANTS
    )
    assert max(map(len, groups)) == MOST


def test_those_that_touch_nothing_of_each_other() -> None:
    """At most so many, from those on that touch most; the next begins a group."""
    other = replace(EXPIRY, name="audience-not-checked", caught=ids("MP", 5))
    mutants = [KEY, EXPIRY, SLASH, COUNTERS, other]
    assert together(mutants) == [(SLASH, KEY, EXPIRY, COUNTERS), (other,)]


@pytest.mark.parametrize(
    "other",
    [
        replace(EXPIRY, name="key-not-injected"),
        replace(EXPIRY, caught=ids("MP", 1)),
        replace(EXPIRY, implied=ids("MP", 1)),
        replace(EXPIRY, outcomes={"MP-1": "closed"}),
        replace(EXPIRY, caught=ids("MG", 2)),
        replace(EXPIRY, overlay="dual-gateway/overlays/document"),
        replace(EXPIRY, apart=frozenset({"keys-swapped"})),
        replace(EXPIRY, windows=True),
        replace(EXPIRY, disposables=True),
        replace(EXPIRY, claims=("openshift",)),
        replace(EXPIRY, images={"docker.io/vllm/vllm-openai": "llmd_sim"}),
    ],
    ids=["same-object", "same-requirement", "implies-it", "decides-it", "other-profile",
         "other-deployment", "apart", "windows", "disposables", "claims", "images"],
)  # fmt: skip
def test_what_is_kept_apart(other: Mutant) -> None:
    """In either order."""
    assert len(together([KEY, other])) == 2
    assert len(together([other, KEY])) == 2


def test_what_only_both_imply_keeps_nothing_apart() -> None:
    assert together([SLASH, replace(KEY, implied=ids("MP", 13))]) == [
        (SLASH, replace(KEY, implied=ids("MP", 13)))
    ]


ROUTER = FOLDER / "dual-gateway/overlays/document"


def test_kustomizations_together(tmp_path: Path) -> None:
    """All that each patches, by words or by a file, and adds; and nothing else."""
    names = ["decisions-inverted", "vsr-public-service", "vsr-openshift-route"]
    mutants = [Mutant(name, ids("DG", n)) for n, name in enumerate(names)]
    assert together(mutants) == [tuple(mutants)]
    (option,) = options(mutants, tmp_path / "deployed")
    option_name, _, folder = option.partition("=")
    assert option_name == "--kustomization"
    right = {identity(obj): obj for obj in render(ROUTER)}
    expected = dict(right)
    for name in names:
        altered = {identity(obj): obj for obj in render(MANIFESTS / name)}
        different = {key: obj for key, obj in altered.items() if right.get(key) != obj}
        assert different
        assert not right.keys() - altered.keys()
        expected |= different
    assert {identity(obj): obj for obj in render(Path(folder))} == expected


def test_faults_of_one_stand_in(tmp_path: Path) -> None:
    """In one process of it, over the one kustomization."""
    mutants = [EXPIRY, replace(EXPIRY, name="audience-not-checked", caught=ids("MP", 5)), KEY]
    assert together(mutants) == [tuple(mutants)]
    image, kustomization = options(mutants, tmp_path)
    assert " tests.mutants.faults expiry-not-checked+audience-not-checked " in f"{image} "
    assert kustomization == f"--kustomization={MANIFESTS / 'keys-swapped'}"
