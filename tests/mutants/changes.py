"""Defects by which yesterday's objects hold today."""

from tests.mutants.mutant import Mutant, at, ids


def hd(*numbers: int) -> frozenset[str]:
    return ids("HD", *numbers)


MUTANTS = [
    Mutant("grants-once-given-hold", hd(70)),
    Mutant("moved-rules-stay-where-they-were", hd(70)),
    Mutant("routes-come-late-after-a-restart", hd(92), disposables=True, at=at("moments")),
    Mutant("request-limits-taken-away-hold", hd(71)),
    Mutant("token-limits-are-not-lowered", hd(71)),
    Mutant("first-keys-are-injected", hd(72)),
    Mutant("first-conditions-hold", hd(72)),
    Mutant("old-audiences-are-good", hd(72)),
    Mutant("auth-policies-taken-away-hold", hd(72)),
    Mutant("rights-to-one-operation-stay", hd(73), windows=True, at=at("operations")),
    Mutant("first-certificates-are-shown", hd(74)),
    Mutant("expired-certificates-are-left", hd(74)),
    Mutant("names-are-looked-up-once", hd(75)),
    Mutant("ready-once-is-ready", hd(76)),
]
