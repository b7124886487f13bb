"""Steps 1 to 3: class, gateway, policies, and what may attach."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from fixtures.kube import Kube
from fixtures.objects import conditions, existing
from fixtures.requirements import requirement
from fixtures.waiting import ENFORCED_SECONDS, until

GATEWAY_API = "gateway.networking.k8s.io/v1"
MAAS = {"name": "maas-default-gateway", "namespace": "openshift-ingress"}


@pytest.fixture
def gateway(kube: Kube) -> dict[str, Any]:
    """The MaaS gateway's object."""
    found = kube.get(GATEWAY_API, "Gateway", MAAS["namespace"], MAAS["name"])
    assert found is not None, "there is no Gateway maas-default-gateway"
    return found


@pytest.fixture
def namespace(kube: Kube) -> Iterator[str]:
    """A new namespace."""
    name = f"conformance-{uuid.uuid4().hex[:8]}"
    kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    yield name
    kube.delete("v1", "Namespace", "", name)


@requirement("MG-1")
def test_gateway_class(kube: Kube) -> None:
    """The built-in controller's class, accepted by it."""
    found = kube.get(GATEWAY_API, "GatewayClass", "", "openshift-default")
    assert found is not None, "there is no GatewayClass openshift-default"
    assert found["spec"]["controllerName"] == "openshift.io/gateway-controller/v1"
    assert conditions(found["status"]) == {"Accepted": "True"}


@requirement("MG-2")
def test_gateway_metadata(gateway: dict[str, Any]) -> None:
    """Labels for queries, and the class."""
    labels = {
        "app.kubernetes.io/name": "maas",
        "app.kubernetes.io/instance": "maas-default-gateway",
        "app.kubernetes.io/component": "gateway",
    }
    assert labels.items() <= gateway["metadata"]["labels"].items()
    assert gateway["spec"]["gatewayClassName"] == "openshift-default"


@requirement("MG-3")
def test_listener_http(gateway: dict[str, Any]) -> None:
    """Port 80, for routes of all namespaces."""
    (listener,) = [li for li in gateway["spec"]["listeners"] if li["name"] == "http"]
    assert (listener["port"], listener["protocol"]) == (80, "HTTP")
    assert listener["allowedRoutes"]["namespaces"]["from"] == "All"


@requirement("MG-4")
def test_gateway_is_programmed(gateway: dict[str, Any]) -> None:
    """Programmed, with an address."""
    assert conditions(gateway["status"]) == {"Accepted": "True", "Programmed": "True"}
    assert gateway["status"]["addresses"]


def route(name: str, namespace: str, parent: dict[str, str]) -> dict[str, Any]:
    """A route that redirects one path, and so needs no backend."""
    redirect = {"type": "RequestRedirect", "requestRedirect": {"hostname": "elsewhere.test"}}
    match = {"path": {"type": "PathPrefix", "value": f"/{namespace}"}}
    return {
        "apiVersion": GATEWAY_API,
        "kind": "HTTPRoute",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"parentRefs": [parent], "rules": [{"matches": [match], "filters": [redirect]}]},
    }


def accepted(kube: Kube, namespace: str, name: str) -> tuple[str, str]:
    """(status, reason) of Accepted, once there is one."""

    def look() -> tuple[str, str]:
        found = kube.get(GATEWAY_API, "HTTPRoute", namespace, name) or {}
        for parent in found.get("status", {}).get("parents", []):
            for c in parent["conditions"]:
                if c["type"] == "Accepted":
                    return c["status"], c["reason"]
        return "", ""

    return until(f"a status of route {name}", look, lambda seen: seen != ("", ""), ENFORCED_SECONDS)


@pytest.fixture
def closed_gateway(kube: Kube) -> Iterator[str]:
    """A namespace with a gateway `closed`, whose listener takes routes of that namespace alone."""
    name = f"conformance-{uuid.uuid4().hex[:8]}"
    listener = {"name": "http", "port": 80, "protocol": "HTTP",
                "allowedRoutes": {"namespaces": {"from": "Same"}}}  # fmt: skip
    gateway = {
        "apiVersion": GATEWAY_API,
        "kind": "Gateway",
        "metadata": {"name": "closed", "namespace": name},
        "spec": {"gatewayClassName": "openshift-default", "listeners": [listener]},
    }
    kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    kube.apply(gateway)
    yield name
    kube.delete("v1", "Namespace", "", name)


@requirement("MG-5")
def test_route_of_any_namespace_attaches(kube: Kube, namespace: str) -> None:
    """A namespace that nobody has told the gateway of."""
    kube.apply(route("guest", namespace, MAAS))
    assert accepted(kube, namespace, "guest") == ("True", "Accepted")


@requirement("MG-6")
def test_listener_refuses_a_route(kube: Kube, namespace: str, closed_gateway: str) -> None:
    """A gateway whose listener is for its own namespace."""
    kube.apply(route("guest", namespace, {"name": "closed", "namespace": closed_gateway}))
    assert accepted(kube, namespace, "guest") == ("False", "NotAllowedByListeners")


@requirement("MG-7")
@pytest.mark.parametrize(
    ("api_version", "kind", "name"),
    [
        ("kuadrant.io/v1", "AuthPolicy", "gateway-auth-policy"),
        ("kuadrant.io/v1", "RateLimitPolicy", "gateway-rate-limits"),
        ("kuadrant.io/v1alpha1", "TokenRateLimitPolicy", "gateway-token-rate-limits"),
    ],
)
def test_policy_is_enforced(kube: Kube, api_version: str, kind: str, name: str) -> None:
    """On the MaaS gateway, Accepted and Enforced; for a moment it may not be, while routes come
    and go."""

    def look() -> tuple[dict[str, Any], dict[str, str]]:
        found = existing(kube, api_version, kind, "openshift-ingress", name)
        return found["spec"]["targetRef"], conditions(found["status"])

    enforced = {"Accepted": "True", "Enforced": "True"}
    target, _ = until(f"{name} to be enforced", look, lambda seen: seen[1] == enforced,
                      ENFORCED_SECONDS)  # fmt: skip
    assert (target["kind"], target["name"]) == ("Gateway", "maas-default-gateway")
