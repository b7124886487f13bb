"""What the demo's resources become: gateways, routes, backends, policies."""

import pytest

from fixtures.kube import Kube
from fixtures.objects import conditions, existing
from fixtures.requirements import requirement

GATEWAY_API = "gateway.networking.k8s.io/v1"
BACKEND_GROUP = "ainetworking.prototype.x-k8s.io"


@requirement("MP-1")
@pytest.mark.parametrize(
    ("namespace", "name"),
    [("openshift-ingress", "maas-default-gateway"), ("default", "poc-gateway")],
)
def test_gateway_is_programmed(kube: Kube, namespace: str, name: str) -> None:
    """Accepted and Programmed, every listener too, with an address."""
    status = existing(kube, GATEWAY_API, "Gateway", namespace, name)["status"]
    assert conditions(status) == {"Accepted": "True", "Programmed": "True"}
    assert [
        li["name"] for li in status["listeners"] if conditions(li)["Programmed"] != "True"
    ] == []
    assert status["addresses"]


@requirement("MP-2")
def test_gateway_triggers_the_proxy(kube: Kube) -> None:
    """Deployment and Service are there, owned by the Gateway, the Service with an address."""
    gateway = existing(kube, GATEWAY_API, "Gateway", "default", "poc-gateway")
    service = existing(kube, "v1", "Service", "default", "envoy-poc-gateway")
    deployment = existing(kube, "apps/v1", "Deployment", "default", "envoy-poc-gateway")
    for owned in (service, deployment):
        owners = [ref["uid"] for ref in owned["metadata"]["ownerReferences"]]
        assert owners == [gateway["metadata"]["uid"]]
    assert service["spec"]["type"] == "LoadBalancer"
    assert service["status"]["loadBalancer"]["ingress"]
    assert conditions(deployment["status"])["Available"] == "True"


@requirement("MP-3")
def test_kserve_creates_the_route(kube: Kube) -> None:
    """One HTTPRoute belongs to the model, and the MaaS gateway has accepted it."""
    model = existing(
        kube, "serving.kserve.io/v1alpha1", "LLMInferenceService", "llm",
        "facebook-opt-125m-simulated",
    )  # fmt: skip
    routes = [
        route
        for route in kube.all(GATEWAY_API, "HTTPRoute", "llm")
        for ref in route["metadata"].get("ownerReferences", [])
        if ref["uid"] == model["metadata"]["uid"]
    ]
    (route,) = routes
    (parent,) = route["status"]["parents"]
    assert parent["parentRef"]["name"] == "maas-default-gateway"
    assert conditions(parent) == {"Accepted": "True", "ResolvedRefs": "True"}


@requirement("MP-4")
@pytest.mark.parametrize("provider", ["openai", "anthropic", "vllm"])
def test_backend_resolves_by_fqdn(kube: Kube, provider: str) -> None:
    """The egress route's backend is an XBackendDestination of type Fqdn, and resolves."""
    route = existing(kube, GATEWAY_API, "HTTPRoute", "default", f"{provider}-route")
    (ref,) = route["spec"]["rules"][0]["backendRefs"]
    assert (ref["group"], ref["name"]) == (BACKEND_GROUP, f"{provider}-backend")
    backend = existing(
        kube, f"{BACKEND_GROUP}/v0alpha0", "XBackendDestination", "default", ref["name"]
    )
    destination = backend["spec"]["destination"]
    assert destination["type"] == "Fqdn"
    assert destination["fqdn"]["hostname"]
    (parent,) = route["status"]["parents"]
    assert conditions(parent) == {"Accepted": "True", "ResolvedRefs": "True"}


@requirement("MP-7")
@pytest.mark.parametrize("provider", ["openai", "anthropic", "vllm"])
def test_provider_has_its_own_route_and_policy(kube: Kube, provider: str) -> None:
    """The bridge is accepted by the MaaS gateway, and its own AuthPolicy is Enforced."""
    route = existing(kube, GATEWAY_API, "HTTPRoute", "default", f"{provider}-bridge")
    (parent,) = route["status"]["parents"]
    assert parent["parentRef"]["name"] == "maas-default-gateway"
    assert conditions(parent) == {"Accepted": "True", "ResolvedRefs": "True"}
    policy = existing(kube, "kuadrant.io/v1", "AuthPolicy", "default", f"{provider}-bridge-auth")
    assert policy["spec"]["targetRef"]["name"] == f"{provider}-bridge"
    assert conditions(policy["status"]) == {"Accepted": "True", "Enforced": "True"}
