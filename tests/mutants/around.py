"""Defects of what stands beside: other ways in, wider rights, claims of others, and what takes
longer than a test waits."""

from tests.mutants.hardening import hd
from tests.mutants.mutant import Mutant, at

EVERYTHING = "conformance"

MUTANTS = [
    Mutant("another-gateway-finds-maas-api", hd(107), at=at("objects")),
    Mutant("egress-leads-to-maas-api", hd(107), at=at("routes", "objects")),
    Mutant("accounts-read-policies", hd(108), at=at("tiers", "objects")),
    # claims, grants and rights
    Mutant("the-newer-route-wins", hd(114)),
    Mutant("a-grant-for-one-is-for-all", hd(70), at=at("objects")),
    Mutant("a-tier-no-more-named-keeps-its-right", hd(73)),
    # what is written down
    Mutant(
        "what-the-router-cannot-read-is-in-its-log", hd(13), overlay=EVERYTHING, at=at("routes")
    ),
    # what ends late
    Mutant("answers-end-after-a-minute", hd(62), hd(55), windows=True),
    Mutant("routed-answers-end-after-half-a-minute", hd(62), hd(55), windows=True, at=at("routes")),
]
