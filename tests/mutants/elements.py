"""Defects of limits and of the router at one element alone: one tier on one route, one model, one
decision, one kind of conversation."""

from tests.mutants.dual_gateway import dg
from tests.mutants.hardening import hd
from tests.mutants.maas_gateway import mg
from tests.mutants.mutant import Mutant, at

EVERYTHING = "conformance"

MUTANTS = [
    # what is counted, for whom, and for how long
    Mutant("one-tier-has-anothers-tokens-on-one-route", hd(55), hd(112), at=at("tiers", "routes")),
    Mutant("one-tiers-requests-return-early-on-one-route", mg(24), windows=True),
    Mutant("one-tiers-tokens-return-late-on-one-route", mg(32), windows=True),
    Mutant("tokens-are-forgotten-with-any-policy", mg(25)),
    Mutant("errors-of-one-way-are-counted", mg(31), at=at("routes")),
    Mutant("cached-prompts-are-free", hd(55)),
    Mutant("a-usage-in-the-text-counts", hd(55)),
    Mutant("without-tls-tokens-are-free", hd(55), at=at("listeners")),
    Mutant("one-ways-streams-count-twice", hd(55), at=at("routes", "operations")),
    Mutant("one-model-behind-the-router-is-free", hd(55), overlay=EVERYTHING, at=at("models")),
    Mutant("large-answers-of-one-way-are-free", hd(55), at=at("routes")),
    Mutant("long-answers-of-one-way-are-free", hd(55), windows=True, at=at("routes")),
    Mutant("a-new-token-has-a-new-budget", hd(112), at=at("routes")),
    Mutant("one-operation-is-refused-when-it-was-answered", hd(55, 79), at=at("operations")),
    Mutant("large-streams-of-one-model-are-cut", hd(105), hd(55), at=at("routes")),
    # how a model is chosen
    Mutant("whoever-speaks-last-decides", dg(55)),
    Mutant("words-with-a-space-are-none", dg(56)),
    Mutant("the-last-rule-that-matches-wins", dg(56)),
    Mutant("auto-in-any-letters", dg(23), dg(56)),
    Mutant("users-stay-with-their-first-model", dg(17), dg(18, 21, 56, 57)),
    Mutant("one-tier-has-the-default-model", dg(17)),
    Mutant("without-tls-the-default-model", dg(17)),
    # what it has of the question
    Mutant("one-decision-reasons-too", dg(18)),
    Mutant("one-decisions-prompt-is-for-whole-answers", dg(18)),
    Mutant("one-parameter-lost", dg(18)),
    Mutant("one-parameter-for-each-decision", dg(18)),
    Mutant("long-conversations-cut", dg(18)),
    Mutant("letters-composed", dg(18)),
    Mutant("addresses-masked", dg(18)),
    Mutant("large-prompts-of-decisions-cut", dg(57)),
    # what comes back
    Mutant("the-decision-before-is-told", dg(21)),
    Mutant("streams-of-decisions-are-tidied", dg(22), dg(21)),
]
