"""Which rules of a SelfSubjectRulesReview give more than the use of models (HD-108)."""

from typing import Any

import pytest

from suites.hardening.test_back_doors import too_much

KUADRANT, SERVING = "kuadrant.io", "serving.kserve.io"


def rule(verbs: str, group: str, resources: str, *names: str) -> dict[str, Any]:
    return {
        "verbs": verbs.split(),
        "apiGroups": [group],
        "resources": resources.split(),
        **({"resourceNames": [*names]} if names else {}),
    }


@pytest.mark.parametrize(
    "given",
    [
        rule("get", KUADRANT, "authpolicies"),
        rule("watch", "extensions.istio.io", "wasmplugins"),
        rule("list", SERVING, "llminferenceservices"),
        rule("list", "", "pods"),
        rule("get", "", "configmaps"),
        rule("get", "", "secrets", "one"),
        rule("get", "", "services/proxy"),
        rule("create", KUADRANT, "ratelimitpolicies"),
        rule("impersonate", "", "users"),
        rule(
            "impersonate",
            "authentication.k8s.io",
            "userextras/scopes.authorization.openshift.io userextras/more",
        ),
        rule("*", "*", "*"),
    ],
    ids=lambda one: f"{one['verbs']} {one['resources']}",
)
def test_more_than_models(given: dict[str, Any]) -> None:
    assert too_much(given)


@pytest.mark.parametrize(
    "given",
    [
        rule("post", SERVING, "llminferenceservices", "premium-model"),
        rule("create", "authorization.k8s.io", "selfsubjectaccessreviews selfsubjectrulesreviews"),
        # what OpenShift gives to whoever is logged in
        rule("get", "", "configmaps", "console-public"),
        rule("get list", "user.openshift.io", "users"),
        rule(
            "impersonate", "authentication.k8s.io", "userextras/scopes.authorization.openshift.io"
        ),
        {"verbs": ["get"], "nonResourceURLs": ["/healthz"]},
    ],
    ids=lambda one: f"{one['verbs']} {one.get('resources')}",
)
def test_no_more_than_models(given: dict[str, Any]) -> None:
    assert not too_much(given)
