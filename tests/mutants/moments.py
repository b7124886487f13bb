"""Doors that stand open for a moment, and routes that come before their policies."""

from tests.mutants.mutant import Mutant, at, ids

MUTANTS = [
    Mutant(
        "one-listing-is-open-without-authorino",
        ids("HD", 18),
        ids("HD", 32),
        disposables=True,
        at=at("routes"),
    ),
    Mutant(
        "chats-are-open-while-authorino-is-silent",
        ids("HD", 38),
        disposables=True,
        at=at("routes"),
    ),
    Mutant(
        "one-bridge-is-open-while-authorino-is-new",
        ids("HD", 32),
        ids("HD", 18),
        disposables=True,
        at=at("moments", "routes"),
    ),
    Mutant(
        "one-model-is-open-while-limits-of-tokens-change",
        ids("HD", 32),
        disposables=True,
        at=at("moments", "routes"),
    ),
    Mutant(
        "new-routes-wait-for-their-policies",
        ids("HD"),
        outcomes={"HD-82": "closed"},
        apart=frozenset(
            {
                "client-names-dropped",
                "one-way-loses-parallel-reports",
                "one-kind-of-policy-stays-in-force",
            }
        ),
    ),
    Mutant(
        "new-models-do-not-wait-for-their-policies",
        ids("HD"),
        outcomes={"HD-82": "present"},
        alone=True,
        at=at("routes"),
    ),
    Mutant("a-moved-model-forgets-its-policy-once", ids("MG", 47)),
]
