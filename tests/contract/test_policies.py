"""Conditions of gateways, routes and policies, as Gateway API and Kuadrant give them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.conftest import Cluster

MAAS = {"name": "maas-default-gateway", "namespace": "openshift-ingress"}


def route(name: str, namespace: str, **spec: Any) -> dict[str, Any]:
    rules = [{"backendRefs": [{"name": "web", "port": 80}],
              "matches": [{"path": {"type": "PathPrefix", "value": f"/{name}"}}]}]  # fmt: skip
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"parentRefs": [MAAS], "rules": rules, **spec},
    }


def policy(kind: str, name: str, namespace: str, target: str, **spec: Any) -> dict[str, Any]:
    versions = {"TokenRateLimitPolicy": "v1alpha1"}
    if kind == "AuthPolicy":
        says: dict[str, Any] = {"rules": {"authentication": {"anyone": {"anonymous": {}}}}}
    else:
        says = {"limits": {"many": {"rates": [{"limit": 1000, "window": "1m"}]}}}
    ref = {"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": target}
    return {
        "apiVersion": f"kuadrant.io/{versions.get(kind, 'v1')}",
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"targetRef": ref, **(spec or says)},
    }


def applied(cluster: Cluster, *objects: dict[str, Any]) -> None:
    listing = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps(listing))


def wait_for(cluster: Cluster, target: str, namespace: str, wanted: str) -> None:
    """`wanted` is `Type=Status/Reason` of a condition of the object or of its only parent."""
    kind, expected = wanted.split("=")
    holder = ".status.parents[0]" if target.startswith("httproute") else ".status"
    for field, value in zip(("status", "reason"), expected.split("/"), strict=True):
        path = f'{{{holder}.conditions[?(@.type=="{kind}")].{field}}}'
        cluster.kubectl(
            "wait", "-n", namespace, target, f"--for=jsonpath={path}={value}", "--timeout=10s"
        )


@pytest.mark.parametrize(
    ("spec", "wanted"),
    [
        ({}, "ResolvedRefs=False/BackendNotFound"),
        (
            {"rules": [{"backendRefs": [{"name": "maas-api", "namespace": "opendatahub",
                                         "port": 8080}]}]},
            "ResolvedRefs=False/RefNotPermitted",
        ),
        (
            {"rules": [{"backendRefs": [{"group": "example.com", "kind": "Thing", "name": "x"}]}]},
            "ResolvedRefs=False/InvalidKind",
        ),
        ({"hostnames": ["elsewhere.test"]}, "Accepted=False/NoMatchingListenerHostname"),
        ({"parentRefs": [{**MAAS, "sectionName": "none"}]}, "Accepted=False/NoMatchingParent"),
    ],
    ids=["missing-backend", "no-grant", "unknown-kind", "hostname", "section"],
)  # fmt: skip
def test_route_conditions(
    cluster: Cluster, namespace: str, spec: dict[str, Any], wanted: str
) -> None:
    """What is wrong with a route is in its status, with Gateway API's reason."""
    applied(cluster, route("odd", namespace, **spec))
    wait_for(cluster, "httproute/odd", namespace, wanted)


def test_reference_grant_permits(cluster: Cluster, namespace: str) -> None:
    """A grant in the backend's namespace resolves the reference."""
    rules = [{"backendRefs": [{"name": "maas-api", "namespace": "opendatahub", "port": 8080}]}]
    applied(cluster, route("odd", namespace, rules=rules))
    wait_for(cluster, "httproute/odd", namespace, "ResolvedRefs=False/RefNotPermitted")
    source = {"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "namespace": namespace}
    grant = {
        "apiVersion": "gateway.networking.k8s.io/v1beta1",
        "kind": "ReferenceGrant",
        "metadata": {"name": namespace, "namespace": "opendatahub"},
        "spec": {"from": [source], "to": [{"group": "", "kind": "Service", "name": "maas-api"}]},
    }
    applied(cluster, grant)
    wait_for(cluster, "httproute/odd", namespace, "ResolvedRefs=True/ResolvedRefs")


def test_route_of_a_closed_listener(cluster: Cluster, namespace: str) -> None:
    """By default a listener takes routes of its Gateway's namespace alone."""
    parent = {"name": f"closed-{namespace}", "namespace": "default"}
    listener = {"name": "http", "port": 80, "protocol": "HTTP"}
    gateway = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": parent,
        "spec": {"gatewayClassName": "openshift-default", "listeners": [listener]},
    }
    applied(cluster, gateway, route("odd", namespace, parentRefs=[parent]))
    try:
        wait_for(cluster, "httproute/odd", namespace, "Accepted=False/NotAllowedByListeners")
    finally:
        cluster.kubectl("delete", "gateway", parent["name"], "-n", "default")


def test_missing_backend_destination(cluster: Cluster) -> None:
    """The wg-ai-gateway controller says BackendNotFound, and the others go on."""
    backend = {"group": "ainetworking.prototype.x-k8s.io", "kind": "Backend", "name": "nobody"}
    rules = [{"backendRefs": [{**backend, "port": 8000}]}]
    applied(cluster, route("odd", "default", parentRefs=[{"name": "poc-gateway"}], rules=rules))
    try:
        wait_for(cluster, "httproute/odd", "default", "ResolvedRefs=False/BackendNotFound")
        wait_for(cluster, "httproute/openai-route", "default", "ResolvedRefs=True/ResolvedRefs")
    finally:
        cluster.kubectl("delete", "httproute", "odd", "-n", "default")


@pytest.mark.parametrize("kind", ["AuthPolicy", "RateLimitPolicy", "TokenRateLimitPolicy"])
def test_policy_on_nothing(cluster: Cluster, namespace: str, kind: str) -> None:
    """Accepted=False, TargetNotFound."""
    applied(cluster, policy(kind, "lost", namespace, "nowhere"))
    wait_for(cluster, f"{kind.lower()}/lost", namespace, "Accepted=False/TargetNotFound")


def test_second_policy_on_a_target_is_conflicted(cluster: Cluster, namespace: str) -> None:
    """The older one stays in force."""
    first = policy("RateLimitPolicy", "first", namespace, "web")
    applied(cluster, route("web", namespace), first)
    wait_for(cluster, "ratelimitpolicy/first", namespace, "Enforced=True/Enforced")
    applied(cluster, policy("RateLimitPolicy", "second", namespace, "web"))
    wait_for(cluster, "ratelimitpolicy/second", namespace, "Accepted=False/Conflicted")
    wait_for(cluster, "ratelimitpolicy/first", namespace, "Enforced=True/Enforced")


def test_status_says_once_of_which_generation_it_is(cluster: Cluster, namespace: str) -> None:
    """As Kuadrant 1.4 does on Kind: the status, and none of its conditions."""
    applied(cluster, route("web", namespace), policy("RateLimitPolicy", "own", namespace, "web"))
    wait_for(cluster, "ratelimitpolicy/own", namespace, "Enforced=True/Enforced")
    words = ("get", "ratelimitpolicy", "own", "-n", namespace, "-o", "json")
    found = json.loads(cluster.kubectl(*words))
    assert found["status"]["observedGeneration"] == found["metadata"]["generation"]
    assert not [one for one in found["status"]["conditions"] if "observedGeneration" in one]


def test_wrong_predicate_is_not_enforced(cluster: Cluster, namespace: str) -> None:
    """CEL that does not compile stays Accepted, and is Enforced=False."""
    limit = {"rates": [{"limit": 1, "window": "1m"}], "when": [{"predicate": "auth.identity.=="}]}
    odd = policy("TokenRateLimitPolicy", "odd", namespace, "web", limits={"x": limit})
    applied(cluster, route("web", namespace), odd)
    wait_for(cluster, "tokenratelimitpolicy/odd", namespace, "Enforced=False/InvalidCelExpression")
    wait_for(cluster, "tokenratelimitpolicy/odd", namespace, "Accepted=True/Accepted")


def test_overrides_win_over_the_route(cluster: Cluster, namespace: str) -> None:
    """A Gateway's overrides leave the route's own policy Enforced=False, Overridden."""
    gateway = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": {"name": "own", "namespace": namespace},
        "spec": {
            "gatewayClassName": "openshift-default",
            "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}],
        },
    }
    limits = {"limits": {"x": {"rates": [{"limit": 1, "window": "1m"}]}}}
    above = policy("RateLimitPolicy", "above", namespace, "own", overrides=limits)
    above["spec"]["targetRef"]["kind"] = "Gateway"
    below = policy("RateLimitPolicy", "below", namespace, "web", **limits)
    applied(cluster, gateway, route("web", namespace, parentRefs=[{"name": "own"}]), above, below)
    wait_for(cluster, "ratelimitpolicy/below", namespace, "Enforced=False/Overridden")
    wait_for(cluster, "ratelimitpolicy/above", namespace, "Enforced=True/Enforced")
    message = cluster.kubectl(
        "get", "ratelimitpolicy", "below", "-n", namespace, "-o",
        'jsonpath={.status.conditions[?(@.type=="Enforced")].message}',
    )  # fmt: skip
    assert message == f"RateLimitPolicy is overridden by [{namespace}/above]"


def test_limit_identifiers(cluster: Cluster) -> None:
    """`tokenlimit.<name>__<8 hex of SHA-256 of namespace/name/limit>`, scope = route."""
    text = cluster.kubectl(
        "get", "configmap", "limitador-limits-config-limitador", "-n", "kuadrant-system", "-o",
        "jsonpath={.data}",
    )  # fmt: skip
    found = json.loads(text)["limitador-config.yaml"]
    assert 'descriptors[0]["tokenlimit.free_user_tokens__3098c5fa"] == "1"' in found
    assert "namespace: default/openai-bridge" in found


def test_policies_are_told_where_they_take_effect(cluster: Cluster, namespace: str) -> None:
    """Kuadrant's own entry among a route's parents, and its conditions beside the gateway's."""
    entry = '{.status.parents[?(@.controllerName=="kuadrant.io/policy-controller")]}'
    kind = "kuadrant.io/RateLimitPolicyAffected"
    own = policy("RateLimitPolicy", "own", namespace, "web")
    applied(cluster, route("web", namespace), own)
    wait_for(cluster, "ratelimitpolicy/own", namespace, "Enforced=True/Enforced")

    def messages(where: str, *words: str) -> dict[str, str]:
        found = json.loads(cluster.kubectl("get", *words, "-o", f"jsonpath={where}"))
        return {c["type"]: c["message"] for c in found["conditions"]}

    path = f'{entry[:-1]}.conditions[?(@.type=="{kind}")].reason}}'
    wait = ["wait", "-n", namespace, "httproute/web", "--timeout=10s"]
    cluster.kubectl(*wait, f"--for=jsonpath={path}=Accepted")
    on_route = messages(entry, "httproute", "web", "-n", namespace)
    assert f"{namespace}/own" in on_route[kind]
    assert "Accepted" not in on_route
    gateway = ["gateway", "maas-default-gateway", "-n", "openshift-ingress"]
    for where in ("{.status}", '{.status.listeners[?(@.name=="https")]}'):
        assert messages(where, *gateway)[kind] == (
            "Object affected by RateLimitPolicy [openshift-ingress/gateway-rate-limits]"
        )
    cluster.kubectl("delete", "ratelimitpolicy", "own", "-n", namespace)
    text = "Object affected by RateLimitPolicy [openshift-ingress/gateway-rate-limits]"
    cluster.kubectl(*wait, f"--for=jsonpath={path.replace('.reason', '.message')}={text}")
