"""Defects of whose key, name or right it is: each at one operation, method, tier or listener."""

from tests.mutants.hardening import hd
from tests.mutants.maas_gateway import mg
from tests.mutants.mixed_providers import mp
from tests.mutants.mutant import Mutant, at

EVERYTHING = "conformance"

MUTANTS = [
    # whose key
    Mutant("one-models-completions-have-a-key", hd(109), at=at("operations", "routes")),
    Mutant("one-method-has-anothers-key", mp(32), at=at("methods", "providers")),
    Mutant("one-method-without-tls-has-no-key", hd(109), at=at("methods", "listeners")),
    Mutant("one-operation-keeps-the-clients-key", mp(36), at=at("operations")),
    Mutant("one-refusal-shows-a-key", mp(37), at=at("providers")),
    Mutant("one-operation-has-a-key-behind-the-gateway", hd(28), at=at("operations")),
    Mutant("keys-are-of-another-tier", hd(21)),
    # whose name
    Mutant("one-tier-is-told-another-at-one-model", mg(14), at=at("tiers", "models")),
    Mutant("one-model-hears-the-clients-tier-without-tls", hd(1), at=at("listeners", "routes")),
    Mutant("over-http2-the-clients-group-stays", hd(1), at=at("routes")),
    # whose right
    Mutant("a-forged-group-is-a-right-to-one-model", hd(52), at=at("models")),
    Mutant("who-may-read-one-model-may-use-it", hd(110), at=at("models")),
    Mutant("a-shorter-names-right-is-one-models", hd(110), at=at("models")),
    Mutant("a-right-of-another-kind-is-one-models", hd(110), at=at("models")),
    Mutant("a-namesakes-right-is-remembered", hd(111)),
    Mutant("a-namesakes-tier-is-remembered", hd(111)),
    Mutant("rights-to-long-paths-are-everybodys", hd(111)),
    # who is let in
    Mutant("one-methods-audience-is-not-asked-for", hd(51), at=at("methods", "identities")),
    Mutant("another-audience-is-good-without-tls", hd(51), at=at("listeners", "identities")),
    Mutant("one-connection-remembers-who-it-is", hd(51), at=at("moments", "routes")),
    Mutant("a-large-question-is-let-in", hd(51), at=at("sizes", "routes")),
    Mutant("many-headers-are-let-in", hd(51), at=at("sizes", "routes")),
    Mutant("one-route-takes-a-token-with-more-behind-it", hd(2), at=at("routes")),
    Mutant("one-operation-takes-tokens-from-cookies", hd(3), at=at("operations")),
    # what is asked, and of whom
    Mutant("one-header-leads-elsewhere", hd(9, 105), at=at("headers")),
    Mutant("one-bridge-answers-browsers-itself", hd(105), at=at("headers", "routes")),
    Mutant("one-models-heads-are-gets", hd(105), at=at("methods", "routes")),
]
