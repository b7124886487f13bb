"""Defects of the external-models quickstart, and what would mend what is said to be missing."""

from tests.mutants.mutant import Mutant, ids


def em(*numbers: int) -> frozenset[str]:
    return ids("EM", *numbers)


# What wants a 200 over the bridge.
BRIDGED = em(7, 8, 9, 12, 13, 14, 17, 18, 19, 21, 22, 29, 31)
MUTANTS = [
    # topology
    Mutant("egress-class-not-accepted", em(1)),
    Mutant("egress-service-not-owned", em(2, 27), disposables=True),
    Mutant("simulator-without-label", em(3)),
    Mutant("external-backend-other-host", em(4, 7)),
    Mutant("bridge-policy-under-other-name", em(5)),
    Mutant("missing-backend-ignored", em(23)),
    # flows
    Mutant("completions-to-nowhere", em(6), em(7, 8, 9)),
    Mutant("host-not-rewritten", em(7), em(18)),
    Mutant("bridge-past-egress", em(8), BRIDGED | em(20, 23, 28, 30, 32, 35)),
    Mutant("bridge-prefix-kept", em(9), BRIDGED | em(20, 23, 28, 30, 35)),
    Mutant("models-to-nowhere", em(12), em(6, 7, 8, 9)),
    Mutant("answer-names-other-model", em(13), em(35)),
    # listing
    Mutant("model-readiness-missing", em(10)),
    Mutant("registry-reversed", em(11)),
    Mutant("external-models-first", em(11), outcomes={"EM-44": "external"}),
    Mutant("registry-read-once", em(24), em(25, 26), disposables=True),
    Mutant("registry-breaks-listing", em(25), em(24), disposables=True),
    Mutant("operator-never-reverts", em(26), disposables=True),
    Mutant("maas-api-left-to-the-operator", em(43)),
    # who is let in, and how much
    Mutant("minted-tokens-refused", em(14), em(39)),
    Mutant("bridge-open", em(5, 15, 16), em(17)),
    Mutant("audience-not-checked", em(16)),
    Mutant("bridge-tokens-120", em(17)),
    Mutant("usage-counted-twice", em(17)),
    # other backends, and bad ones
    Mutant("destination-read-once", em(18), em(19)),
    Mutant("unresolvable-is-an-error", em(19)),
    Mutant("port-ignored", em(20)),
    Mutant("no-timeout", em(), outcomes={"EM-21": "closed"}, windows=True),
    Mutant(
        "one-egress-route-gives-up-early",
        em(21),
        windows=True,
        overlay="conformance",
    ),
    Mutant("streams-buffered", em(22)),
    # examples and claims
    Mutant("account-named-plainly", em(34), em(14, 42)),
    Mutant("accounts-cut-short", em(42)),
    Mutant("example-usage-wrong", em(35)),
    Mutant("no-api-keys", em(39)),
    Mutant("external-backend-over-tls", em(36), BRIDGED | em(6)),
    Mutant(
        "claims-of-the-quickstart",
        em(33, 37, 38, 41),
        claims=("aws_load_balancer", "scc", "openshift", "real_providers"),
    ),
    # gaps and disputes
    Mutant("bridge-without-request-limit", em(), outcomes={"EM-32": "tokens"}),
    Mutant("egress-cluster-ip", em(), em(2), {"EM-40": "cluster_ip"}),
    Mutant("tls-not-originated", em(), outcomes={"EM-28": "present"}),
    Mutant("body-router", em(), em(4, 7, 18, 22), {"EM-29": "closed"}),
    Mutant("destination-has-status", em(), outcomes={"EM-30": "closed"}),
    Mutant("key-injected-on-bridge", em(), outcomes={"EM-31": "injected"}),
]
