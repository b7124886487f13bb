"""Defects at one element alone of what a sentence goes over: one provider, one object, one
header, one spelling, one model."""

from tests.mutants.dual_gateway import dg
from tests.mutants.external_models import em
from tests.mutants.hardening import hd
from tests.mutants.maas_gateway import mg
from tests.mutants.mixed_providers import NO_ANTHROPIC, mp
from tests.mutants.mutant import Mutant, at

MUTANTS = [
    Mutant("one-bridge-asks-strangers-nothing", mp(17, 25), at=at("providers")),
    Mutant("one-bridges-users-share-a-counter", mp(44), NO_ANTHROPIC, at=at("providers")),
    Mutant("one-bridges-streams-are-free", mp(45), at=at("providers")),
    Mutant("one-bridges-window-is-halved", mp(46), windows=True, at=at("providers")),
    Mutant("two-bridges-share-a-budget", mp(47), mp(20, 48), at=at("providers")),
    Mutant("one-key-by-the-route", mp(32), at=at("providers")),
    Mutant("one-bridge-takes-another-audience", mp(23), mp(22, 24), at=at("providers", "routes")),
    Mutant("simulators-have-other-words", em(35)),
    Mutant("vsr-second-service", dg(24), at=at("objects")),
    Mutant("vsr-tcp-route", dg(24), at=at("objects")),
    Mutant("one-bridges-policy-shown-unenforced", mg(7), at=at("objects")),
    # what is shown
    Mutant("minted-tokens-in-the-log", hd(13), at=at("identities")),
    Mutant("refused-tokens-in-the-log", hd(13), at=at("identities")),
    Mutant("one-key-in-the-egress-log", hd(100), at=at("providers", "objects")),
    Mutant("egress-envoy-tells-all", hd(100), hd(85), at=at("objects")),
    Mutant("one-key-in-an-event", hd(13), at=at("providers", "objects")),
    Mutant("one-key-in-a-status", hd(13), at=at("providers", "objects")),
    Mutant("prompts-of-one-bridge-in-the-log", hd(85), at=at("routes")),
    Mutant(
        "router-keeps-prompts-to-itself",
        hd(),
        outcomes={"HD-86": "closed"},
        overlay="conformance",
    ),
    # who is gone, slow, or sent a key
    Mutant("one-provider-that-is-gone-stays-gone", hd(20), disposables=True, at=at("providers")),
    Mutant("ten-at-a-time-at-one-provider", hd(31), windows=True, at=at("providers")),
    Mutant("one-key-behind-the-gateway", hd(28), at=at("providers")),
    Mutant("one-key-for-another-backend", hd(28), overlay="conformance", at=at("providers")),
    # whose word counts
    Mutant("clients-steer-envoy-by-one-header", hd(42), hd(41), at=at("headers")),
    Mutant("one-gateway-has-two-masters", hd(43), at=at("objects")),
    Mutant("one-route-has-two-masters", hd(43), at=at("objects")),
    # What is broken then stays broken, for all that comes after.
    Mutant(
        "one-bridges-left-streams-keep-their-places", hd(49), hd(*range(1, 100)), at=at("models")
    ),
    Mutant("one-spelling-of-one-model-is-not-asked-about", hd(9), at=at("spellings")),
]
