"""Defects of the guide's gateway."""

from tests.mutants.mutant import Mutant, ids


def mg(*numbers: int) -> frozenset[str]:
    return ids("MG", *numbers)


# Every request needs some of a budget that all users share.
SHARED_REQUESTS = mg(*range(8, 43), 54, 55, 56)
# What is deployed is there, but no client of the suite finds it under the version it knows.
EVERYTHING = mg(*range(1, 58))
MUTANTS = [
    # topology
    Mutant("class-not-accepted", mg(1)),
    Mutant("claims-of-the-guide", mg(49, 51), claims=("openshift",)),
    Mutant("token-policies-of-other-version", mg(50), EVERYTHING),
    Mutant("gateway-api-without-allowed-routes", mg(52), EVERYTHING),
    Mutant("kserve-takes-gateway-refs", mg(), outcomes={"MG-45": "gateway_refs"}),
    Mutant("maas-https-elsewhere", mg(48), mg(52)),
    Mutant("listeners-for-the-whole-domain", mg(), outcomes={"MG-58": "others_too"}),
    Mutant("gateway-labels-wrong", mg(2)),
    Mutant("listener-by-selector", mg(3)),
    Mutant("gateway-not-accepted", mg(4)),
    Mutant("routes-of-own-namespace-only", mg(5), mg(37)),
    Mutant("any-namespace-attaches", mg(6)),
    Mutant("rate-limit-shown-unenforced", mg(7)),
    # access and identity
    Mutant("audience-not-checked", mg(8)),
    Mutant("lowest-tier-wins", mg(9, 17, 18), mg(14, 16, 20, 21, 26, 27, 53)),
    Mutant(
        "tier-lookup-fails",
        mg(9, 19, 25),
        mg(14, 15, 16, *range(20, 33)),
        apart=frozenset({"tier-by-namespace", "default-gateway-limited"}),
    ),
    Mutant("no-tier-may", mg(10), SHARED_REQUESTS),
    Mutant("tiers-open-to-all", mg(11, 12), mg(36)),
    Mutant("premium-model-for-free", mg(11), mg(36)),
    Mutant("review-of-wrong-segment", mg(11, 12), mg(36)),
    Mutant("route-for-unknown-model", mg(13), mg(35)),
    Mutant("tier-told-wrong", mg(14, 16)),
    Mutant("group-not-forwarded", mg(14), mg(15)),
    Mutant("identity-of-client-kept", mg(15)),
    Mutant("headers-appended", mg(15), mg(17, 18, 36, 57)),
    Mutant("tier-by-namespace", mg(53), mg(12, 15), {"MG-54": "by_namespace"}),
    Mutant("groups-by-beginning", mg(57)),
    # request limits
    Mutant("free-requests-six", mg(19), mg(54, 55)),
    Mutant("premium-requests-more", mg(20)),
    Mutant("enterprise-requests-fewer", mg(21)),
    Mutant("requests-per-gateway", mg(22), SHARED_REQUESTS),
    Mutant(
        "request-limit-after-upstream",
        mg(23),
        mg(19, 20, 21, 25, 26, 27),
        apart=frozenset({"default-gateway-limited"}),
    ),
    Mutant("request-window-halved", mg(24), windows=True),
    Mutant("window-slides", mg(24, 32), windows=True),
    Mutant("counted-after-the-answer", mg(55)),
    # token limits
    Mutant(
        "free-tokens-120",
        mg(25),
        mg(56),
        apart=frozenset({"streams-counted-without-usage", "errors-counted"}),
    ),
    Mutant("premium-tokens-fewer", mg(26)),
    Mutant("enterprise-tokens-more", mg(27)),
    Mutant("limits-off-by-one", mg(19, 20, 21, 25, 26, 27)),
    Mutant("streams-not-counted", mg(28)),
    Mutant("split-events-not-counted", mg(28)),
    Mutant("streams-with-a-charset-not-counted", mg(28)),
    Mutant("first-usage-counts", mg(28)),
    Mutant("large-answers-unmetered", mg(56), mg(28)),
    Mutant(
        "streams-counted-without-usage",
        mg(),
        outcomes={"MG-29": "closed"},
        apart=frozenset({"split-events-not-counted"}),
    ),
    Mutant("last-answer-withheld", mg(30), mg(26)),
    Mutant("errors-counted", mg(31)),
    Mutant("token-window-doubled", mg(32), windows=True),
    # opt-in and segregation
    Mutant("opted-in-model-everywhere", mg(33), mg(47)),
    Mutant("default-gateway-limited", mg(34), mg(37, 47)),
    Mutant("default-gateway-authenticates", mg(), mg(33, 37, 47), {"MG-43": "required"}),
    Mutant("every-gateway-serves", mg(46), mg(6, 33, 34, 35, 47)),
    Mutant("moved-models-stay", mg(47)),
    Mutant("standard-model-on-maas", mg(35)),
    Mutant("listing-not-filtered", mg(36)),
    # What is refused while the bad policy is there depends on what runs beside it.
    Mutant("one-bad-policy-stops-all", mg(37), mg(*range(7, 43)), disposables=True),
    # maas-api
    Mutant("token-without-id", mg(38)),
    Mutant("expiration-ignored", mg(39), mg(38, 40)),
    Mutant("short-expirations-taken", mg(40)),
    Mutant("revocation-does-nothing", mg(41)),
    Mutant(
        "large-identities-cached", mg(), outcomes={"MG-42": "until_cache_expires"}, windows=True
    ),
    Mutant("cache-never-ends", mg(44), windows=True),
]
