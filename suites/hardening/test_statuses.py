"""What a policy says of itself, when what it is for comes and goes and when it is wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fixtures.evidence.requirements import requirement
from fixtures.kube import Kube
from fixtures.stack.gateways import MAAS_GATEWAY
from fixtures.waiting import ENFORCED_SECONDS, until
from manifests import Object

GATEWAY_API = "gateway.networking.k8s.io/v1"
RATE = {"rates": [{"limit": 5, "window": "1m"}]}
REVIEW = {"kubernetesTokenReview": {"audiences": ["https://kubernetes.default.svc"]}}
IN_FORCE = {"Accepted": "True", "Enforced": "True"}
WRONG = [{"predicate": "request.=="}]
Kind = tuple[str, str, Object]
KINDS: dict[str, Kind] = {
    "auth": ("kuadrant.io/v1", "AuthPolicy", {"rules": {"authentication": {"users": REVIEW}}}),
    "requests": ("kuadrant.io/v1", "RateLimitPolicy", {"limits": {"all": RATE}}),
    "tokens": ("kuadrant.io/v1alpha1", "TokenRateLimitPolicy", {"limits": {"all": RATE}}),
}


def route(namespace: str) -> Object:
    """On the MaaS gateway, for a path of its own; it redirects, and so needs no backend."""
    redirect = {"type": "RequestRedirect", "requestRedirect": {"hostname": "elsewhere.test"}}
    match = {"path": {"type": "PathPrefix", "value": f"/{namespace}"}}
    parent = {"namespace": MAAS_GATEWAY[0], "name": MAAS_GATEWAY[1]}
    return {
        "apiVersion": GATEWAY_API,
        "kind": "HTTPRoute",
        "metadata": {"name": "own", "namespace": namespace},
        "spec": {"parentRefs": [parent], "rules": [{"matches": [match], "filters": [redirect]}]},
    }


def policy(namespace: str, kind: Kind) -> Object:
    """For the route."""
    target = {"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": "own"}
    return {
        "apiVersion": kind[0],
        "kind": kind[1],
        "metadata": {"name": "own", "namespace": namespace},
        "spec": {"targetRef": target, **kind[2]},
    }


def until_it_says(
    kube: Kube, one: Object, what: str, accept: Callable[[dict[str, str]], bool]
) -> None:
    """Wait for what its conditions say: type → status."""
    api, kind, metadata = one["apiVersion"], one["kind"], one["metadata"]

    def said() -> dict[str, str]:
        found: dict[str, Any] = kube.get(api, kind, metadata["namespace"], metadata["name"]) or {}
        conditions = (found.get("status") or {}).get("conditions") or []
        return {c["type"]: c["status"] for c in conditions}

    until(f"{kind} {metadata['name']} to be {what}", said, accept, ENFORCED_SECONDS)


def is_for_nothing(said: dict[str, str]) -> bool:
    return said.get("Accepted") == "False" and said.get("Enforced") != "True"


def is_in_force(said: dict[str, str]) -> bool:
    return IN_FORCE.items() <= said.items()


@requirement("HD-90")
@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_a_policy_knows_whether_its_target_is_there(kube: Kube, namespace: str, kind: Kind) -> None:
    """It is there before its route, it sees it come, go, and come again."""
    own, target = policy(namespace, kind), route(namespace)
    kube.apply(own)
    until_it_says(kube, own, "for nothing, before its route is there", is_for_nothing)
    for _ in range(2):
        kube.apply(target)
        until_it_says(kube, own, "in force, as its route is there", is_in_force)
        kube.delete(GATEWAY_API, "HTTPRoute", namespace, "own")
        until_it_says(kube, own, "for nothing, as its route is gone", is_for_nothing)


@requirement("HD-90")
@pytest.mark.parametrize("kind", [KINDS["requests"], KINDS["tokens"]], ids=["requests", "tokens"])
def test_a_policy_recovers_when_it_is_mended(kube: Kube, namespace: str, kind: Kind) -> None:
    """An expression of it is none, and then it is one."""
    kube.apply(route(namespace))
    own = policy(namespace, kind)
    right = own["spec"]["limits"]
    own["spec"]["limits"] = {"all": {**RATE, "when": WRONG}}
    kube.apply(own)
    until_it_says(kube, own, "not in force, as it is wrong",
                  lambda said: bool(said) and said.get("Enforced") != "True"
                  and "False" in said.values())  # fmt: skip
    own["spec"]["limits"] = right
    kube.apply(own)
    until_it_says(kube, own, "in force, as it was mended", is_in_force)
