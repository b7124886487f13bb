"""Defects that who keeps such a gateway running, and pays for it, would not forgive."""

from tests.mutants.hardening import hd
from tests.mutants.mutant import Mutant, at

LIMITADOR = "quay.io/kuadrant/limitador"
_USER = '{"user": descriptors[0]["auth.identity.userid"]}'
WITH_USERS = f"limitador --metric-labels-default '{_USER}'"
EVERYTHING = "conformance"

MUTANTS = [
    # another way to a provider
    Mutant(
        "one-provider-has-a-second-way",
        hd(93),
        overlay=EVERYTHING,
        at=at("spellings", "providers"),
    ),
    Mutant("one-spelling-brings-another-key", hd(93), at=at("spellings", "providers")),
    # what refusals say
    Mutant(
        "refusals-are-openais-errors",
        hd(),
        outcomes={"HD-94": "closed"},
        alone=True,
    ),
    Mutant(
        "refusals-say-when-to-come-back",
        hd(),
        outcomes={"HD-95": "closed"},
        apart=frozenset({"one-route-says-to-come-back-at-once"}),
    ),
    Mutant("one-bridges-refusals-name-a-pod", hd(96), at=at("routes")),
    # what is renewed while requests come
    Mutant(
        "one-provider-is-refused-while-authorino-is-new",
        hd(97),
        hd(18, 32, 38, 89, 92),
        disposables=True,
        at=at("moments", "providers"),
    ),
    Mutant("the-egress-gateway-is-drained", hd(), outcomes={"HD-98": "closed"}, disposables=True),
    # listings beside models that are ill
    Mutant("silent-models-end-the-listing", hd(99), windows=True),
    Mutant("failing-models-are-listed", hd(99), windows=True),
    # what is counted, for whom
    Mutant(
        "one-ways-prompts-in-the-metrics",
        hd(101),
        overlay=EVERYTHING,
        at=at("objects", "routes"),
    ),
    Mutant(
        "metrics-with-users",
        hd(),
        outcomes={"HD-102": "closed"},
        images={LIMITADOR: WITH_USERS},
    ),
]
