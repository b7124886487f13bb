"""Which mutants share a cluster."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.mutants.mutant import Mutant, ids
from tests.mutants.test_mutants import MUTANTS
from tests.mutants.together import MOST, together

# A folder of manifests and three stand-ins' faults, which are deployed over the same demo.
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
    """At most so many; the next begins a group."""
    mutants = [KEY, EXPIRY, SLASH, COUNTERS]
    assert together(mutants) == [(KEY, EXPIRY, SLASH), (COUNTERS,)]


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
    ids=["same-place", "same-requirement", "implies-it", "decides-it", "other-profile",
         "other-deployment", "apart", "windows", "disposables", "claims", "images"],
)  # fmt: skip
def test_what_is_kept_apart(other: Mutant) -> None:
    """In either order."""
    assert together([KEY, other]) == [(KEY,), (other,)]
    assert together([other, KEY]) == [(other,), (KEY,)]


def test_what_only_both_imply_keeps_nothing_apart() -> None:
    assert together([SLASH, replace(KEY, implied=ids("MP", 13))]) == [
        (SLASH, replace(KEY, implied=ids("MP", 13)))
    ]
