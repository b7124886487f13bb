"""Defects of who is let in by a word for himself."""

from tests.mutants.hardening import hd
from tests.mutants.mutant import Mutant, at

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
]
