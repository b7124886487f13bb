"""Defects of whose answer, whose budget and whose key something is."""

from tests.mutants.hardening import hd
from tests.mutants.mutant import Mutant, at

MUTANTS = [
    Mutant("one-routes-streams-with-a-charset-are-free", hd(55), at=at("routes", "operations")),
    # what whoever is let in, or inside, may do to others
    Mutant("keys-for-their-owners-alone", hd(), outcomes={"HD-80": "closed"}),
    Mutant("keys-listed-for-all", hd(80)),
    Mutant("budgets-for-the-gateway-alone", hd(), outcomes={"HD-81": "closed"}),
]
