"""Defects of who is let in by a word for himself, and of what is altered on one way."""

from tests.mutants.hardening import hd
from tests.mutants.mutant import Mutant, at, ids

EVERYTHING = "conformance"

MUTANTS = [
    Mutant("one-model-lets-preflights-in", hd(51), at=at("methods", "routes")),
    Mutant("one-bridge-lets-upgrades-in", hd(51), at=at("routes")),
    Mutant("one-model-lets-probes-in", hd(51), at=at("identities", "routes")),
    Mutant("one-bridge-lets-grpc-in", hd(51), at=at("routes")),
    Mutant(
        "chats-of-the-proxy-itself-are-let-in",
        hd(51),
        overlay="conformance",
        at=at("identities", "routes"),
    ),
    Mutant("a-rare-operation-is-open", hd(51), at=at("operations", "routes")),
    Mutant("one-bridge-serves-strangers-over-http2", hd(51), at=at("routes")),
    Mutant("an-empty-token-is-good-at-maas-api", hd(51), at=at("identities", "routes")),
    Mutant("the-clusters-tokens-are-good-at-one-model", hd(51), at=at("identities", "routes")),
    # ways around the gateway, and more than models
    Mutant("old-tls-is-spoken", hd(106)),
    Mutant("one-service-on-its-nodes", hd(107), at=at("objects")),
    Mutant("another-gateway-leads-to-maas-api", hd(107), at=at("routes")),
    Mutant("free-accounts-read-secrets", hd(108), at=at("tiers", "objects")),
    Mutant("premium-accounts-reach-services", hd(108), at=at("tiers", "objects")),
    Mutant("keys-are-listed-for-whom-one-says", hd(21)),
    Mutant("one-listing-is-not-filtered", ids("MG", 36)),
    # between the client and a model
    Mutant(
        "one-operation-loses-a-field", hd(105), overlay=EVERYTHING, at=at("operations", "routes")
    ),
    Mutant("one-model-loses-a-header", hd(105), at=at("headers", "routes")),
    Mutant("one-models-puts-are-posts", hd(105), at=at("methods", "routes")),
    Mutant(
        "one-bridge-knows-no-messages", hd(105), overlay=EVERYTHING, at=at("operations", "routes")
    ),
    Mutant("one-egress-route-follows-redirects", hd(105), overlay=EVERYTHING, at=at("routes")),
]
