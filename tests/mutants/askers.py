"""Defects of whose answer, whose budget and whose key something is."""

from tests.mutants.hardening import hd
from tests.mutants.mutant import Mutant, at

MUTANTS = [
    Mutant("one-routes-streams-with-a-charset-are-free", hd(55), at=at("routes", "operations")),
    # requests past the limit
    Mutant("one-tier-is-unlimited-on-one-route", hd(79), at=at("tiers", "routes")),
    Mutant("one-routes-queries-are-not-counted", hd(79), at=at("spellings", "routes")),
    Mutant("one-operation-of-one-model-is-unlimited", hd(79), at=at("operations")),
    Mutant("one-method-without-tls-is-unlimited", hd(79), at=at("methods", "listeners")),
    Mutant("one-route-says-to-come-back-at-once", hd(79), at=at("routes")),
    # whose answer it is, and how it was asked for
    Mutant("one-way-remembers-answers", hd(78), hd(1, 26, 37, 61, 64, 84), at=at("routes")),
    Mutant("one-way-fails-over-http2", hd(84), at=at("routes")),
    Mutant(
        "one-operation-hears-the-clients-tier",
        hd(1),
        at=at("operations"),
        apart=frozenset({"identity-of-client-kept", "client-names-dropped"}),
    ),
    # what whoever is let in, or inside, may do to others
    Mutant("keys-for-their-owners-alone", hd(), outcomes={"HD-80": "closed"}),
    Mutant("keys-listed-for-all", hd(80)),
    Mutant("tokens-with-more-are-refused", hd(), outcomes={"HD-113": "closed"}),
    Mutant("budgets-for-the-gateway-alone", hd(), outcomes={"HD-81": "closed"}),
]
