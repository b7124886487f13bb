"""Steps 1 to 3: what the quickstart's manifests become."""

from typing import Any

import pytest

from fixtures.evidence.requirements import requirement
from fixtures.evidence.verdicts import CLOSED, PRESENT, Decision
from fixtures.found import only
from fixtures.kube import Kube
from fixtures.objects import conditions, existing, parent_of
from fixtures.stack import AUDIENCE, CHAT, Identity, Stack
from fixtures.waiting import ENFORCED_SECONDS, SETTLED_SECONDS, WaitTimeout, until
from suites.external_models.backends import (
    BACKEND_API,
    BACKEND_GROUP,
    GATEWAY_API,
    SIMULATOR_HOST,
    Backends,
)

AWS_SECONDS = 180.0


@requirement("EM-1")
def test_crd_is_served(kube: Kube) -> None:
    """XBackendDestination, and a list of it."""
    name = f"xbackenddestinations.{BACKEND_GROUP}"
    crd = existing(kube, "apiextensions.k8s.io/v1", "CustomResourceDefinition", "", name)
    assert conditions(crd["status"])["Established"] == "True"
    assert kube.all(BACKEND_API, "XBackendDestination")


@requirement("EM-1")
def test_controller_is_available(kube: Kube) -> None:
    """Its Deployment, and its class."""
    found = existing(kube, "apps/v1", "Deployment", "ai-gateway-system", "ai-gateway-controller")
    assert conditions(found["status"])["Available"] == "True"
    found = existing(kube, GATEWAY_API, "GatewayClass", "", "wg-ai-gateway")
    assert found["spec"]["controllerName"] == "sigs.k8s.io/wg-ai-gateway-envoy-controller"
    assert conditions(found["status"])["Accepted"] == "True"


@requirement("EM-2")
def test_gateway_has_its_proxy(kube: Kube) -> None:
    """Programmed, and Deployment and Service are its own."""
    gateway = existing(kube, GATEWAY_API, "Gateway", "default", "poc-gateway")
    assert gateway["spec"]["gatewayClassName"] == "wg-ai-gateway"
    states = conditions(gateway["status"], "Accepted", "Programmed")
    assert states == {"Accepted": "True", "Programmed": "True"}
    listener = only(gateway["spec"]["listeners"], "listener of poc-gateway")
    assert (listener["port"], listener["protocol"]) == (80, "HTTP")
    service = existing(kube, "v1", "Service", "default", "envoy-poc-gateway")
    deployment = existing(kube, "apps/v1", "Deployment", "default", "envoy-poc-gateway")
    for owned in (service, deployment):
        owners = [ref["uid"] for ref in owned["metadata"].get("ownerReferences", [])]
        assert owners == [gateway["metadata"]["uid"]]
    assert service["status"]["loadBalancer"]["ingress"]
    assert conditions(deployment["status"])["Available"] == "True"


@requirement("EM-3")
def test_simulator_is_ready(kube: Kube) -> None:
    """`kubectl wait --for=condition=ready pod -l app=model-simulator`."""
    pods = [
        pod
        for pod in kube.all("v1", "Pod", "external-models")
        if pod["metadata"].get("labels", {}).get("app") == "model-simulator"
    ]
    assert [conditions(pod["status"])["Ready"] for pod in pods] == ["True"]


@requirement("EM-4")
def test_backend_is_an_fqdn(kube: Kube) -> None:
    """And the route to it resolves."""
    name = "external-model-backend"
    backend = existing(kube, BACKEND_API, "XBackendDestination", "default", name)
    destination = backend["spec"]["destination"]
    assert (destination["type"], destination["fqdn"]["hostname"]) == ("Fqdn", SIMULATOR_HOST)
    route = existing(kube, GATEWAY_API, "HTTPRoute", "default", "external-model-route")
    references = {ref["name"] for rule in route["spec"]["rules"] for ref in rule["backendRefs"]}
    assert references == {name}
    parent = parent_of(kube, route)
    assert conditions(parent) == {"Accepted": "True", "ResolvedRefs": "True"}


@requirement("EM-5")
def test_bridge_is_under_a_policy(kube: Kube) -> None:
    """Route and AuthPolicy, both in force."""
    route = existing(kube, GATEWAY_API, "HTTPRoute", "default", "external-model-bridge")
    parent = parent_of(kube, route)
    assert parent["parentRef"]["name"] == "maas-default-gateway"
    assert conditions(parent) == {"Accepted": "True", "ResolvedRefs": "True"}
    policy = existing(kube, "kuadrant.io/v1", "AuthPolicy", "default", "external-bridge-auth")
    assert policy["spec"]["targetRef"]["name"] == "external-model-bridge"
    rule = only(policy["spec"]["rules"]["authentication"].values(), "authentication rule")
    assert rule["kubernetesTokenReview"] == {"audiences": [AUDIENCE]}
    assert conditions(policy["status"]) == {"Accepted": "True", "Enforced": "True"}


@requirement("EM-23")
def test_missing_backend(stack: Stack, alice: Identity, backends: Backends) -> None:
    """The route's status names it, and the client gets 500."""
    path = backends.route("nowhere")
    seen = until("a status of the route", lambda: backends.resolved(path), lambda s: s != ("", ""),
                 ENFORCED_SECONDS)  # fmt: skip
    assert seen == ("False", "BackendNotFound")
    exchange = until(
        "the route to be programmed",
        lambda: stack.send("POST", path + CHAT, alice, {}),
        lambda answer: answer.status != 404,
        ENFORCED_SECONDS,
    )
    exchange.expect_status(500).expect_no_backend()


@requirement("EM-30")
@pytest.mark.parametrize("hostname", [SIMULATOR_HOST, "no-such-host.invalid"])
def test_destination_says_nothing(
    kube: Kube, stack: Stack, alice: Identity, backends: Backends, decide: Decision, hostname: str
) -> None:
    """Its route is programmed and resolves, so the controller has seen it; a word on its state
    would come with that, or soon after."""
    name = backends.destination(hostname)
    path = backends.route(name)
    until(
        "the route to be programmed",
        lambda: stack.send("GET", f"{path}/v1/models", alice).status,
        lambda status: status not in (404, 500),  # no such route, or no such backend yet
        ENFORCED_SECONDS,
    )

    def words() -> list[Any]:
        found = existing(kube, BACKEND_API, "XBackendDestination", "default", name)
        said = found.get("status", {}).get("controllers", [])
        return [word for one in said for word in one.get("conditions", [])]

    try:
        said = until("its conditions", words, bool, SETTLED_SECONDS)
    except WaitTimeout:
        decide(PRESENT)
    else:
        whole = all(one["type"] and one["status"] in ("True", "False") for one in said)
        accepted = any(one["status"] == "True" for one in said) or hostname != SIMULATOR_HOST
        decide(CLOSED if whole and accepted else f"{said}")


@requirement("EM-40")
def test_what_kind_of_service(kube: Kube, decide: Decision) -> None:
    """Its type, and whether it has an address outside."""
    service = existing(kube, "v1", "Service", "default", "envoy-poc-gateway")
    outside = bool(service.get("status", {}).get("loadBalancer", {}).get("ingress"))
    found = {("LoadBalancer", True): "load_balancer", ("ClusterIP", False): "cluster_ip"}
    kind = service["spec"]["type"]
    decide(found.get((kind, outside), f"{kind}, with an address outside: {outside}"))


@requirement("EM-33")
@pytest.mark.capability("aws_load_balancer")
def test_load_balancer_becomes_reachable(kube: Kube, stack: Stack) -> None:
    """A host name of AWS, and an answer of any kind within three minutes."""
    service = existing(kube, "v1", "Service", "default", "envoy-poc-gateway")
    ingress = only(service["status"]["loadBalancer"]["ingress"], "address of the Service")
    assert ingress["hostname"].endswith(".elb.amazonaws.com")
    until("the load balancer to answer", lambda: stack.at_egress("GET", "/v1/models").status,
          lambda status: status == 200, AWS_SECONDS, every=5)  # fmt: skip


@requirement("EM-37")
@pytest.mark.capability("scc")
def test_controller_is_admitted(kube: Kube) -> None:
    """Which SecurityContextConstraints its Pod was admitted under."""
    pod = only(kube.all("v1", "Pod", "ai-gateway-system"), "Pod of the controller")
    assert pod["metadata"]["annotations"]["openshift.io/scc"].startswith("restricted")


@requirement("EM-38")
@pytest.mark.capability("openshift")
def test_controller_runs_on_openshift(kube: Kube) -> None:
    """Available, where there is a ClusterVersion."""
    existing(kube, "config.openshift.io/v1", "ClusterVersion", "", "version")
    found = existing(kube, "apps/v1", "Deployment", "ai-gateway-system", "ai-gateway-controller")
    assert conditions(found["status"])["Available"] == "True"


@requirement("EM-43")
@pytest.mark.as_deployed("Deployment opendatahub/maas-api")
def test_maas_api_is_out_of_the_operators_hands(kube: Kube) -> None:
    maas_api = existing(kube, "apps/v1", "Deployment", "opendatahub", "maas-api")
    found = maas_api["metadata"].get("annotations", {})
    assert found.get("opendatahub.io/managed") == "false"
