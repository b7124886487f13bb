"""Defects of the dual gateway, and what would mend what its document says is missing."""

from tests.mutants.mutant import Mutant, ids


def dg(*numbers: int) -> frozenset[str]:
    return ids("DG", *numbers)


# What wants a 200 or a 503 through the deployed route, whatever else it looks at.
BY_ROUTE = dg(3, 5, 6, 10, 11, *range(16, 24), 30, 31, 35, 36, 38, 40, 42, 46, *range(53, 58))
# What uses a variant, which has the deployed route's rules but its own policy.
BY_VARIANT = dg(7, 8, 9, 32, 33, 34, 37, 39, 41, 44)
# What tells Model-A from Model-B by the prompt.
BY_PROMPT = dg(6, 9, 10, 11, 16, 17, 18, 20, 21, 22, 30, 31, 35, 36)
NO_TOKEN_LIMIT = dg(9, 37, 39, 44, 53)
# Nothing of the stack is found under the version that the suite knows.
EVERYTHING = dg(*range(1, 59))
MUTANTS = [
    # who is served by whom
    Mutant("maas-api-prefix-kept", dg(1, 10), dg(32, 33)),
    Mutant("access-review-ignored", dg(2, 33), dg(35)),
    Mutant("vsr-route-too-narrow", dg(3, 26), dg(12)),
    Mutant("listing-by-vsr", dg(4, 26), dg(5)),
    Mutant("vsr-route-too-wide", dg(5, 26)),
    Mutant("prefix-by-letters", dg(5)),
    Mutant("paths-not-normalised", dg(5)),
    Mutant("any-host", dg(29), apart=frozenset({"vsr-wrong-port"})),
    Mutant("vsr-wrong-port", dg(11, 26), BY_ROUTE | BY_VARIANT),
    Mutant("vsr-path-rewritten", dg(11, 26), BY_ROUTE | BY_VARIANT),
    Mutant("vsr-in-the-maas-gateway", dg(45)),
    Mutant("router-of-other-make", dg(47), images={"quay.io/elsewhere/extproc": "semantic_router"}),
    Mutant("router-over-the-images-own", dg(47)),
    Mutant("filter-by-another-service", dg(45)),
    Mutant("tokens-want-the-router", dg(58), disposables=True),
    Mutant("router-wants-more-cpu", dg(51)),
    Mutant("simulator-may-escalate", dg(52)),
    Mutant("models-of-other-version", dg(50), EVERYTHING),
    Mutant("vsr-https-elsewhere", dg(54)),
    Mutant("vsr-public-service", dg(24)),
    Mutant("vsr-openshift-route", dg(24)),
    Mutant("model-b-under-other-name", dg(25), dg(2, 4, 9, 44)),
    Mutant("model-behind-relay", dg(20), dg(30, 31)),
    # what vSR decides and does
    Mutant("router-says-nothing", dg(6, 21), dg(36)),
    Mutant("decisions-inverted", dg(16), BY_PROMPT),
    Mutant("first-message-decides", dg(16), dg(18, 55)),
    Mutant("system-message-decides", dg(55)),
    Mutant("parts-of-words-match", dg(56)),
    Mutant("router-answers-400", dg(56), apart=frozenset({"named-model-written-anew"})),
    Mutant("unroutable-is-a-crash", dg(23), dg(18, 30, 31, 38, 56)),
    Mutant("large-prompts-cut", dg(57)),
    Mutant("vsr-headers-added", dg(57)),
    Mutant("vsr-retry-after-lost", dg(21), dg(26)),
    Mutant("beginning-of-prompts-decides", dg(57)),
    Mutant("claims-of-the-poc", dg(49), claims=("semantic_classification",)),
    Mutant("selection-wavers", dg(17), BY_PROMPT),
    Mutant("model-not-rewritten", dg(18), BY_ROUTE | BY_VARIANT),
    Mutant("parameters-lost", dg(18)),
    Mutant("earlier-turns-lost", dg(18)),
    Mutant("images-lost", dg(18)),
    Mutant("digits-of-long-prompts-altered", dg(57)),
    Mutant("named-model-written-anew", dg(19)),
    Mutant("streams-answered-whole", dg(22)),
    Mutant("unroutable-to-default", dg(23), dg(30, 38)),
    Mutant("malformed-to-default", dg(23), dg(30, 31)),
    # who is let in
    Mutant(
        "vsr-open-to-anybody",
        dg(12, 13, 14, 15, 27),
        dg(7, 8, 9, 37, 48, 53),
        outcomes={"DG-40": "not_extracted"},
    ),
    Mutant("audience-not-checked", dg(13)),
    Mutant("expiry-not-checked", dg(14), dg(15)),
    Mutant("unsigned-tokens-taken", dg(15)),
    Mutant("vsr-policy-missing", dg(27), BY_ROUTE, {"DG-46": "gateway"}),
    Mutant("unknown-config-lets-in", dg(33)),
    # limits
    Mutant("vsr-free-requests-six", dg(7)),
    Mutant("vsr-free-tokens-120", dg(8), NO_TOKEN_LIMIT, {"DG-40": "not_extracted"}),
    Mutant("streams-not-counted", dg(8)),
    Mutant("counters-per-gateway", dg(9), dg(44)),
    Mutant(
        "own-policy-ends-limits",
        dg(7, 8),
        NO_TOKEN_LIMIT,
        {"DG-40": "not_extracted", "DG-44": "each_path_its_own"},
    ),
    # headers, references, failures
    Mutant("endpoint-not-stripped", dg(26, 30, 34)),
    Mutant("selected-model-not-stripped", dg(26, 31)),
    Mutant("grant-for-nobody", dg(28)),
    Mutant("grants-not-asked", dg(28)),
    Mutant("empty-service-is-an-error", dg(32)),
    # gaps that close, and disputes that end otherwise
    Mutant("bypass-closed", dg(), dg(37), outcomes={"DG-35": "closed"}),
    Mutant("billing-header-set", dg(), dg(21), outcomes={"DG-36": "closed"}),
    Mutant("billing-told-wrong", dg(36), dg(21)),
    Mutant("strangers-metered", dg(), outcomes={"DG-37": "closed"}),
    Mutant("tier-of-any-tenant", dg(27), outcomes={"DG-53": "closed"}),
    Mutant("router-asks-for-tokens", dg(), outcomes={"DG-48": "closed"}),
    Mutant("registry-synced", dg(), outcomes={"DG-38": "closed"}),
    Mutant("tier-by-default", dg(), dg(32), outcomes={"DG-39": "closed"}),
    Mutant(
        "poc-policies",
        dg(7, 8, 27, 28),
        NO_TOKEN_LIMIT,
        {"DG-40": "not_extracted", "DG-42": "https_only", "DG-44": "each_path_its_own"},
    ),
    Mutant(
        "model-path-without-namespace",
        dg(2),
        dg(4, 5, 9, 32, 35, 38, 44, 45),
        {"DG-43": "model_only"},
    ),
    Mutant(
        "grants-always-asked",
        dg(),
        dg(7, 8, 9, 27, 28, 32, 34, 37, 53),
        {"DG-41": "needed"},
        overlay="dual-gateway/overlays/poc",
        apart=frozenset({"poc-policies"}),  # which decides as this overlay does
    ),
]
