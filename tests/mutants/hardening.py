"""Defects that no document's sentence forbids, and that users of a gateway would not forgive."""

from tests.mutants.mutant import Mutant, at, ids

SLOW_AUTHORINO = "five-reviews-a-second"  # what is to be asked at once takes its time


def hd(*numbers: int) -> frozenset[str]:
    return ids("HD", *numbers)


EGRESS = "ghcr.io/nerdalert/wg-ai-gateway"
ANOTHER_TEAM = "maas-gateway/overlays/another-team"

MUTANTS = [
    Mutant("identity-of-client-kept", hd(1, 21)),
    Mutant("first-token-counts", hd(2)),
    Mutant("token-in-the-query", hd(3)),
    Mutant("tokens-unverified", hd(4), hd(2, 8, 50, 65)),
    Mutant("one-route-takes-the-token-beside-another-scheme", hd(2)),
    Mutant("one-bridge-takes-api-keys", hd(3)),
    Mutant("one-route-believes-unsigned-tokens", hd(4), at=at("identities")),
    Mutant("maas-api-lets-tokens-in-early", hd(65)),
    Mutant("one-listing-remembers-tokens-in-any-letters", hd(8), hd(53)),
    Mutant("scheme-in-any-letters", hd(), outcomes={"HD-5": "taken"}),
    Mutant("way-of-the-request-believed", hd(41)),
    Mutant("clients-steer-envoy", hd(42), apart=frozenset({"way-of-the-request-believed"})),
    Mutant("underscores-refused", hd(), outcomes={"HD-6": "closed"}),
    Mutant(
        "bridge-tidies-headers",
        hd(),
        outcomes={"HD-14": "closed"},
        apart=frozenset({"identity-of-client-kept"}),
    ),
    Mutant("large-identities-cached", hd(8)),
    Mutant("tiers-open-to-all", hd(9)),
    Mutant("bridge-for-anybody", hd(10, 50, 51), hd(2, 3, 4, 8)),
    Mutant("hosts-in-any-case", hd(), outcomes={"HD-50": "closed", "HD-77": "closed"}),
    Mutant(
        "one-spelling-of-one-route-passes",
        hd(),
        outcomes={"HD-50": "present"},
        alone=True,
        at=at("routes", "spellings"),
    ),
    Mutant("any-host", hd(11)),
    Mutant("any-name-in-tls", hd(11)),
    Mutant("trailers-become-headers", hd(1)),
    Mutant("short-headers-only", hd(12), hd(4, 17)),
    Mutant("keys-in-the-log", hd(13)),
    Mutant("credit-for-negative-usage", hd(15)),
    Mutant("budgets-by-full-name", hd(), hd(1), {"HD-16": "closed"}),
    Mutant("auth-fails-open", hd(18, 38), disposables=True),
    Mutant(
        "limits-fail-closed",
        hd(),
        outcomes={"HD-19": "closed", "HD-39": "closed"},
        disposables=True,
    ),
    Mutant("parts-waited-for", hd(38, 39), disposables=True),
    Mutant("what-is-gone-stays-gone", hd(20), disposables=True),
    Mutant("chunks-beside-a-length", hd(17)),
    Mutant("limits-checked-before-they-are-counted", hd(22)),
    Mutant("parallel-reports-lost", hd(23), hd(55)),
    Mutant("streams-counted-at-their-first-event", hd(), hd(55), {"HD-24": "closed"}),
    Mutant("answers-unpacked", hd(), outcomes={"HD-25": "closed"}),
    Mutant("failures-asked-again", hd(26)),
    Mutant("maas-api-for-the-gateway-alone", hd(), outcomes={"HD-27": "closed"}),
    Mutant("keys-behind-the-gateway", hd(28)),
    Mutant("models-for-the-gateway-alone", hd(), outcomes={"HD-29": "closed"}),
    Mutant("counters-for-nobody", hd(), outcomes={"HD-30": "closed"}),
    Mutant("ten-at-a-time", hd(31), windows=True),
    Mutant("requests-before-the-policies", hd(32), disposables=True),
    Mutant("fifty-headers", hd(33)),
    Mutant("deep-bodies-break-it", hd(34)),
    # What is broken then stays broken, for all that comes after.
    Mutant("what-is-taken-back-stays", hd(40), hd(*range(1, 200))),
    Mutant("left-streams-keep-their-places", hd(49)),
    *(
        Mutant(name, hd(), outcomes={"HD-47": "present"}, alone=True)
        for name in ("new-accounts-unseen", "ended-accounts-seen")
    ),
    Mutant("models-not-asked", hd(), outcomes={"HD-48": "closed"}),
    Mutant(SLOW_AUTHORINO, hd(), outcomes={"HD-35": "present"}),
    Mutant("headers-of-the-request-before", hd(37)),
    # Also what maas-api is told of who asks.
    Mutant("a-fiftieth-without-headers", hd(37), hd(21, 47)),
    Mutant(
        "gateways-of-all-classes",
        hd(43, 44, 89, 100, 103),
        outcomes={"HD-46": "present"},
        disposables=True,
        images={EGRESS: "envoy_controller --generation upstream"},
    ),
    Mutant(
        "a-missing-backend-fails-its-share",
        hd(),
        outcomes={"HD-45": "closed", "HD-104": "closed"},
        disposables=True,
        images={EGRESS: "envoy_controller --generation mended"},
    ),
    Mutant("prefixes-without-their-slash", hd(), outcomes={"HD-54": "closed"}),
    Mutant("an-escaped-slash-mints", hd(10, 51), at=at("spellings", "routes")),
    Mutant("one-operation-of-one-model-is-open", hd(51), hd(52), at=at("operations")),
    Mutant("one-method-of-one-bridge-is-open", hd(51), at=at("methods", "routes")),
    Mutant("one-listener-has-no-policy-for-keys", hd(51), at=at("listeners")),
    Mutant("another-teams-route-is-open", hd(51), hd(10), overlay=ANOTHER_TEAM, at=at("routes")),
    Mutant("ports-find-no-policy", hd(51), hd(50), at=at("spellings", "routes")),
    Mutant("one-audience-is-taken-for-another", hd(51), at=at("identities", "routes")),
    Mutant("rights-for-one-operation-are-not-asked-for", hd(52), at=at("operations", "models")),
    Mutant("one-tier-may-use-one-model", hd(52), at=at("tiers", "models", "methods")),
    Mutant("one-bridge-knows-accounts-for-ever", hd(53), at=at("routes")),
    Mutant("one-operation-of-one-bridge-is-free", hd(55), at=at("routes", "operations")),
    Mutant("parts-of-the-usage-counted", hd(55)),
    # bodies and answers, on one way alone
    Mutant("answers-behind-a-relay", hd(60, 61), hd(26, 28, 31, 37, 49), at=at("routes")),
    Mutant("one-operation-holds-its-streams", hd(60), at=at("routes", "operations")),
    Mutant("one-route-has-a-timeout", hd(62), windows=True, at=at("routes")),
    Mutant(
        "client-prompts-beside-the-decisions",
        hd(),
        outcomes={"HD-63": "closed"},
        overlay="conformance",
    ),
    Mutant("one-error-is-asked-again", hd(26), at=at("routes")),
    Mutant("large-bodies-end-it", hd(64), hd(27, 34, 47)),
    Mutant("one-model-hears-the-clients-tier", hd(1), at=at("routes", "headers")),
    Mutant(
        "client-names-dropped",
        hd(),
        outcomes={"HD-7": "closed"},
        apart=frozenset({"one-model-hears-the-clients-tier", "identity-of-client-kept"}),
    ),
    Mutant("one-way-counts-in-words", hd(15), at=at("routes")),
    Mutant(
        "one-way-loses-parallel-reports",
        hd(23),
        at=at("routes"),
        apart=frozenset({"one-way-counts-in-words"}),
    ),
    Mutant("one-way-checks-before-it-counts", hd(22), hd(23), at=at("routes")),
    # what starts anew, or is there twice
    Mutant(
        "one-route-is-forgotten-at-the-start",
        hd(92),
        disposables=True,
        at=at("moments", "providers"),
    ),
    Mutant("tokens-of-another-life-are-not-revoked", hd(87), disposables=True),
    Mutant("one-kind-of-policy-stays-in-force", hd(90), at=at("objects", "moments")),
    Mutant("keys-outlive-maas-api", hd(), outcomes={"HD-91": "closed"}, disposables=True),
    Mutant("refusals-are-remembered", hd(), hd(87, 89), {"HD-88": "closed"}, disposables=True),
    Mutant("each-proxy-counts-one-tier-for-itself", hd(89), disposables=True),
    Mutant("no-tier-no-entry", hd(), outcomes={"HD-36": "closed"}, disposables=True),
]
