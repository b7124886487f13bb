"""Defects of limits at one element alone: one tier on one route, one model, one way to answer."""

from tests.mutants.hardening import hd
from tests.mutants.maas_gateway import mg
from tests.mutants.mutant import Mutant, at

EVERYTHING = "conformance"

MUTANTS = [
    # what is counted, for whom, and for how long
    Mutant("one-tier-has-anothers-tokens-on-one-route", hd(55), hd(130), at=at("tiers", "routes")),
    Mutant("one-tiers-requests-return-early-on-one-route", mg(24), windows=True),
    Mutant("one-tiers-tokens-return-late-on-one-route", mg(32), windows=True),
    Mutant("tokens-are-forgotten-with-any-policy", mg(22, 25)),
    Mutant("errors-of-one-way-are-counted", mg(31), at=at("routes")),
    Mutant("cached-prompts-are-free", hd(55)),
    Mutant("a-usage-in-the-text-counts", hd(55)),
    Mutant("without-tls-tokens-are-free", hd(55), at=at("listeners")),
    Mutant("one-ways-streams-count-twice", hd(55), at=at("routes", "operations")),
    Mutant("one-model-behind-the-router-is-free", hd(55), overlay=EVERYTHING, at=at("models")),
    Mutant("large-answers-of-one-way-are-free", hd(55), at=at("routes")),
    Mutant("long-answers-of-one-way-are-free", hd(55), windows=True, at=at("routes")),
    Mutant("a-new-token-has-a-new-budget", hd(130), at=at("routes")),
    Mutant("one-operation-is-refused-when-it-was-answered", hd(55, 79), at=at("operations")),
    Mutant("large-streams-of-one-model-are-cut", hd(105), hd(55), at=at("routes")),
]
