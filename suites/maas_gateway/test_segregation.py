"""Opt-in: which gateway serves which model, and that one gateway's trouble is its own."""

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from fixtures.evidence import ID_HEADER
from fixtures.kube import Kube
from fixtures.requirements import requirement
from fixtures.stack import Identity, Stack
from fixtures.waiting import DEPLOYED_SECONDS, until
from suites.maas_gateway.models import PREMIUM, SHARED, STANDARD

UserOf = Callable[[str], Identity]
GATEWAY_API = "gateway.networking.k8s.io/v1"
CHAT = {"model": STANDARD.model, "messages": [{"role": "user", "content": "Hello"}]}


@requirement("MG-33")
def test_opted_in_model_is_behind_the_policies(
    stack: Stack, user_of: UserOf, default_gateway: httpx.Client
) -> None:
    """MaaS asks for a token; the default gateway does not know the model."""
    stack.chat(PREMIUM).expect_status(401).expect_no_backend()
    stack.chat(PREMIUM, user_of("premium")).expect_status(200)
    answer = default_gateway.get(f"{PREMIUM.path}/v1/models")
    assert answer.status_code == 404


@requirement("MG-34")
def test_standard_model_has_no_policies(stack: Stack, default_gateway: httpx.Client) -> None:
    """No token, and far more requests and tokens than any tier has."""
    request_id = f"conformance-{uuid.uuid4()}"
    url, headers = f"{STANDARD.path}/v1/chat/completions", {ID_HEADER: request_id}
    body = {**CHAT, "recorder": {"total_tokens": 200_000}}
    statuses = {
        default_gateway.post(url, json=body, headers=headers).status_code for _ in range(60)
    }
    assert statuses == {200}
    received = [record.backend for record in stack.records(request_id)]
    assert received == [STANDARD.name] * 60


@requirement("MG-35")
@pytest.mark.parametrize("tier", ["free", "premium", "enterprise"])
def test_standard_model_is_not_on_maas(stack: Stack, user_of: UserOf, tier: str) -> None:
    """The MaaS gateway has no route to it."""
    stack.chat(STANDARD, user_of(tier)).expect_status(404).expect_no_backend()


@pytest.fixture
def other_gateway(kube: Kube) -> Iterator[str]:
    """A namespace with a gateway of the same class, Programmed, called `other`."""
    namespace = f"conformance-{uuid.uuid4().hex[:8]}"
    gateway = {
        "apiVersion": GATEWAY_API,
        "kind": "Gateway",
        "metadata": {"name": "other", "namespace": namespace},
        "spec": {
            "gatewayClassName": "openshift-default",
            "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}],
        },
    }
    kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    try:
        kube.wait_done([kube.apply(gateway)])
        yield namespace
    finally:
        kube.delete("v1", "Namespace", "", namespace)


def both_serve(stack: Stack, user: Identity, default_gateway: httpx.Client) -> None:
    """The MaaS gateway with its policies, and the default gateway without any."""
    stack.models(SHARED, user).expect_status(200)
    stack.models(SHARED).expect_status(401)
    assert default_gateway.get(f"{STANDARD.path}/v1/models").status_code == 200


@requirement("MG-37")
def test_gateway_without_its_envoy(
    stack: Stack, kube: Kube, alice: Identity, default_gateway: httpx.Client, other_gateway: str
) -> None:
    """Its Deployment is scaled to nothing; the others do not notice."""
    name = "other-openshift-default"
    kube.scale(other_gateway, name, 0)

    def pods() -> list[Any]:
        return [p["metadata"]["name"] for p in kube.all("v1", "Pod", other_gateway)]

    until("the gateway's Pods to go", pods, lambda left: not left, DEPLOYED_SECONDS)
    both_serve(stack, alice, default_gateway)


@requirement("MG-37")
def test_gateway_with_an_invalid_policy(
    stack: Stack, kube: Kube, alice: Identity, default_gateway: httpx.Client, other_gateway: str
) -> None:
    """Its RateLimitPolicy does not compile; the others' policies stay in force."""
    limit = {"rates": [{"limit": 1, "window": "1m"}], "when": [{"predicate": "request.=="}]}
    target = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "other"}
    policy = {
        "apiVersion": "kuadrant.io/v1",
        "kind": "RateLimitPolicy",
        "metadata": {"name": "broken", "namespace": other_gateway},
        "spec": {"targetRef": target, "limits": {"x": limit}},
    }
    kube.apply(policy)

    def accepted() -> str:
        found = kube.get("kuadrant.io/v1", "RateLimitPolicy", other_gateway, "broken") or {}
        conditions = found.get("status", {}).get("conditions", [])
        return next((c["status"] for c in conditions if c["type"] == "Accepted"), "")

    until("the policy to be refused", accepted, lambda status: status == "False", DEPLOYED_SECONDS)
    both_serve(stack, alice, default_gateway)
