"""Defects of the mixed-providers demo."""

from tests.mutants.mutant import Mutant, at, ids


def mp(*numbers: int) -> frozenset[str]:
    return ids("MP", *numbers)


# What cannot hold when a provider answers nobody: its flow, what wants a 200 of it on the way
# to something else, and the limits that are spent on it.
NO_OPENAI = mp(13, 19, 20, 21, 25, 26, 28, 29, 36, 43, 44, 45, 47, 48, 61, 63, 66)
NO_ANTHROPIC = mp(14, 19, 20, 21, 25, 31, 32, 36, 43, 44, 45, 47, 48, 61, 66)
NO_VLLM = mp(15, 19, 20, 21, 25, 34, 35, 43, 44, 45, 47, 48, 62, 66)
NO_LOCAL = mp(16, 19, 20, 25, 38, 40, 41, 43, 44, 45, 47, 63)
NO_TOKEN_LIMIT = mp(43, 45, 46, 47)
NO_LIMIT = NO_TOKEN_LIMIT | mp(19, 25, 26, 44)
# Everything that needs some user's budget: with one counter for all of them it is soon gone.
NO_BUDGET = NO_OPENAI | NO_ANTHROPIC | NO_VLLM | NO_LOCAL | mp(10, 11, 27, 30, 33, 42)


MUTANTS = [
    # rewrites
    Mutant("maas-rewrite-missing", mp(30), NO_ANTHROPIC),
    Mutant("openai-prefix-wrong", mp(27), mp(28, 63)),
    Mutant("vllm-prefix-wrong", mp(33), mp(34)),
    Mutant("egress-rewrite-missing", mp(34), NO_VLLM),
    Mutant("egress-doubles-slash", mp(28, 31, 34), NO_OPENAI | NO_ANTHROPIC | NO_VLLM),
    # keys
    Mutant("keys-swapped", mp(29, 32), NO_OPENAI | NO_ANTHROPIC),
    Mutant("key-not-injected", mp(29), NO_OPENAI | mp(63), at=at("providers")),
    Mutant("authorization-not-overridden", mp(15, 20, 35), NO_VLLM, at=at("providers")),
    Mutant("client-key-kept", mp(36)),
    Mutant("key-in-response", mp(37), mp(66)),
    Mutant(
        "key-for-everybody",
        mp(41, 48),
        mp(*range(8, 18), *range(19, 41), *range(42, 46), 47, 54, 59, 61, 62, 63, 66, 67),
    ),
    Mutant("headers-appended", mp(35, 36), NO_VLLM | NO_OPENAI | NO_ANTHROPIC),
    Mutant("simulator-checks-no-key", mp(5, 6), mp(60)),
    Mutant("vllm-key-not-checked", mp(18), claims=("real_vllm",)),
    # who is let in
    Mutant("anonymous-allowed", mp(17, 22, 23, 24, 25), mp(19, 43)),
    Mutant("audience-not-checked", mp(23), mp(25)),
    Mutant("expiry-not-checked", mp(22), mp(25)),
    Mutant("access-review-ignored", mp(39), mp(10, 25)),
    Mutant("expiration-ignored", mp(9)),
    # limits
    Mutant("token-limit-off", mp(43, 45), NO_LIMIT),
    Mutant("limit-answer-ignored", mp(19, 43), NO_LIMIT),
    Mutant("counters-shared", mp(44), NO_BUDGET | mp(61, 63, 67)),
    Mutant(
        "counters-per-gateway",
        mp(),
        mp(20),
        outcomes={"MP-47": "across_providers"},
        apart=frozenset({"anonymous-allowed"}),
    ),
    Mutant("usage-counted-twice", mp(43)),
    Mutant("streams-not-counted", mp(45)),
    Mutant("window-halved", mp(46), windows=True),
    Mutant("tier-always-free", mp(26), mp(61)),
    # who serves
    Mutant("route-to-other-backend", mp(4, 14), NO_ANTHROPIC),
    Mutant("openai-serves-other-model", mp(13), NO_OPENAI),
    Mutant("other-model-served", mp(16), NO_LOCAL),
    Mutant("model-behind-egress", mp(38), mp(19, 25)),
    Mutant("model-over-http", mp(40), mp(21)),
    Mutant("provider-over-tls", mp(21), mp(18)),
    Mutant(
        "model-path-kept",
        mp(16),
        NO_LOCAL | mp(10, 11, 21, 48, 59, 61, 63, 66, 67),
        {"MP-42": "kept"},
    ),
    # listing
    Mutant("model-missing-from-listing", mp(10), mp(12), at=at("providers")),
    Mutant("registry-ignored", mp(8, 12)),
    Mutant("model-readiness-missing", mp(11), mp(67)),
    Mutant("always-ready", mp(67)),
    # bodies and answers
    Mutant("answers-cut", mp(61)),
    Mutant("large-requests-refused", mp(61)),
    Mutant("headers-renewed", mp(61)),
    Mutant("cookies-lost", mp(61, 66)),
    Mutant("gateway-signs", mp(61, 66)),
    Mutant("provider-asked-twice", mp(66), mp(20)),
    Mutant("errors-of-the-gateways-own", mp(66)),
    # the document's own simulators, and what only others can show
    Mutant("simulator-usage-wrong", mp(57)),
    Mutant("simulator-other-model", mp(68)),
    Mutant("gateway-of-other-make", mp(69)),
    Mutant("transfer-fields-of-old", mp(59)),
    Mutant("refusals-are-texts", mp(), mp(57), outcomes={"MP-60": "text"}),
    Mutant("vllm-server-other-key", mp(53), NO_VLLM | mp(18, 56, 58), claims=("real_vllm",)),
    Mutant(
        "claims-of-the-demo",
        mp(49, 55, 56, 58),
        claims=("real_vllm", "operators", "openshift_login"),
    ),
    # topology
    Mutant("maas-api-other-build", mp(50)),
    Mutant("stray-simulator-pod", mp(52)),
    Mutant("maas-host-other", mp(54), mp(11, 21)),
    Mutant("rule-without-tls", mp(64), NO_LOCAL),
    Mutant("vllm-by-endpoints", mp(), outcomes={"MP-62": "endpoints"}),
    Mutant("own-policy-for-local-model", mp(), NO_LOCAL | mp(39, 42), {"MP-63": "route"}),
    Mutant("deleted-routes-stay", mp(65), disposables=True),
    Mutant("listener-not-programmed", mp(1)),
    Mutant("egress-service-not-owned", mp(2)),
    Mutant("model-route-not-owned", mp(3)),
    Mutant("backend-not-fqdn", mp(4), NO_VLLM, at=at("providers")),
    Mutant("policy-under-other-name", mp(7), at=at("routes")),
]
