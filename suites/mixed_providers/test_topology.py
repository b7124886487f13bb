"""What the demo's resources become: gateways, routes, backends, policies."""

import pytest

from fixtures.evidence import MAAS
from fixtures.evidence.requirements import requirement
from fixtures.evidence.verdicts import Decision
from fixtures.found import only
from fixtures.kube import Kube
from fixtures.objects import conditions, existing, parent_of
from fixtures.stack import Identity, Provider, Stack
from fixtures.stack.gateways import address_of
from suites.mixed_providers.providers import ANTHROPIC, LOCAL, OPENAI, VLLM

GATEWAY_API = "gateway.networking.k8s.io/v1"
BACKEND_GROUP = "ainetworking.prototype.x-k8s.io"
PROGRAMMED = {"Programmed": "True"}


@requirement("MP-1")
@pytest.mark.parametrize(
    ("namespace", "name", "gateway_class"),
    [
        ("openshift-ingress", "maas-default-gateway", "openshift-default"),
        ("default", "poc-gateway", "wg-ai-gateway"),
    ],
)
def test_gateway_is_programmed(kube: Kube, namespace: str, name: str, gateway_class: str) -> None:
    """Of its class, Accepted and Programmed, every listener that its status tells of too, with an
    address there or of its Service."""
    gateway = existing(kube, GATEWAY_API, "Gateway", namespace, name)
    assert gateway["spec"]["gatewayClassName"] == gateway_class
    status = gateway["status"]
    assert conditions(status, "Accepted", "Programmed") == {
        "Accepted": "True",
        "Programmed": "True",
    }
    told = status.get("listeners") or []
    assert [li["name"] for li in told if conditions(li, "Programmed") != PROGRAMMED] == []
    assert address_of(kube, gateway), f"Gateway {namespace}/{name} has no address"


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
    route = only(routes, "route of the model")
    parent = parent_of(kube, route)
    assert parent["parentRef"]["name"] == "maas-default-gateway"
    assert conditions(parent) == {"Accepted": "True", "ResolvedRefs": "True"}
    assert conditions(model["status"])["Ready"] == "True"


# The vLLM server's name is the reader's to set (step 3a): here a recorder's in the cluster.
HOSTS = {
    "openai": "openai-simulator.external-models.svc.cluster.local",
    "anthropic": "anthropic-simulator.external-models.svc.cluster.local",
    "vllm": "vllm-server.external-models.svc.cluster.local",
}


@requirement("MP-4")
@pytest.mark.parametrize("provider", HOSTS)
def test_backend_resolves_by_fqdn(kube: Kube, provider: str) -> None:
    """The egress route's backend is an XBackendDestination of type Fqdn, and resolves."""
    route = existing(kube, GATEWAY_API, "HTTPRoute", "default", f"{provider}-route")
    ref = only(route["spec"]["rules"][0]["backendRefs"], "backend")
    assert (ref["group"], ref["name"]) == (BACKEND_GROUP, f"{provider}-backend")
    backend = existing(
        kube, f"{BACKEND_GROUP}/v0alpha0", "XBackendDestination", "default", ref["name"]
    )
    destination = backend["spec"]["destination"]
    assert destination["type"] == "Fqdn"
    assert destination["fqdn"]["hostname"] == HOSTS[provider]
    assert [port["number"] for port in destination["ports"]] == [8000]
    parent = parent_of(kube, route)
    assert conditions(parent) == {"Accepted": "True", "ResolvedRefs": "True"}


@requirement("MP-7")
@pytest.mark.parametrize("provider", ["openai", "anthropic", "vllm"])
def test_provider_has_its_own_route_and_policy(kube: Kube, provider: str) -> None:
    """The bridge is accepted by the MaaS gateway, and its own AuthPolicy is Enforced."""
    route = existing(kube, GATEWAY_API, "HTTPRoute", "default", f"{provider}-bridge")
    parent = parent_of(kube, route)
    assert parent["parentRef"]["name"] == "maas-default-gateway"
    assert conditions(parent) == {"Accepted": "True", "ResolvedRefs": "True"}
    refs = [ref for rule in route["spec"]["rules"] for ref in rule["backendRefs"]]
    assert [(ref["name"], ref["port"]) for ref in refs] == [("envoy-poc-gateway", 80)]
    policy = existing(kube, "kuadrant.io/v1", "AuthPolicy", "default", f"{provider}-bridge-auth")
    assert policy["spec"]["targetRef"]["name"] == f"{provider}-bridge"
    assert conditions(policy["status"]) == {"Accepted": "True", "Enforced": "True"}


@requirement("MP-50")
@pytest.mark.parametrize(
    ("namespace", "name", "image"),
    [
        ("ai-gateway-system", "ai-gateway-controller", "ghcr.io/nerdalert/wg-ai-gateway:latest"),
        pytest.param(
            "opendatahub", "maas-api", "ghcr.io/nerdalert/maas-api:external-models",
            marks=pytest.mark.as_deployed("Deployment opendatahub/maas-api"),
        ),
    ],
)  # fmt: skip
def test_image_is_the_fork(kube: Kube, namespace: str, name: str, image: str) -> None:
    """The documented image, and `kubectl rollout status` has nothing to wait for."""
    deployment = existing(kube, "apps/v1", "Deployment", namespace, name)
    container = only(deployment["spec"]["template"]["spec"]["containers"], "container")
    assert container["image"] == image
    status = deployment["status"]
    assert status["observedGeneration"] == deployment["metadata"]["generation"]
    assert status["updatedReplicas"] == status["replicas"] == status["availableReplicas"]


@requirement("MP-52")
@pytest.mark.parametrize("app", ["openai-simulator", "anthropic-simulator"])
def test_simulator_is_ready(kube: Kube, app: str) -> None:
    """`kubectl wait --for=condition=ready pod -l app=… -n external-models`."""
    pods = [
        pod
        for pod in kube.all("v1", "Pod", "external-models")
        if pod["metadata"].get("labels", {}).get("app") == app
    ]
    assert [conditions(pod["status"])["Ready"] for pod in pods] == ["True"]


@requirement("MP-68")
@pytest.mark.parametrize("deployment", ["{}-simulator", "documents-{}"], ids=["demo", "documents"])
@pytest.mark.parametrize("provider", [OPENAI, ANTHROPIC], ids=str)
def test_simulator_is_told_its_model_and_key(
    kube: Kube, provider: Provider, deployment: str
) -> None:
    name = deployment.format(provider.name)
    found = existing(kube, "apps/v1", "Deployment", "external-models", name)
    container = only(found["spec"]["template"]["spec"]["containers"], "container")
    words = container["args"]
    told = {flag: words[words.index(flag) + 1] for flag in ("--model", "--api-key")}
    assert told["--model"] == provider.model
    is_printed = told["--api-key"] == provider.key.reveal()  # a failure shows no key
    assert is_printed, f"{name} has another --api-key than the printed one"


@requirement("MP-54")
def test_host_is_the_clusters(kube: Kube, stack: Stack, alice: Identity) -> None:
    """`maas.` and `spec.domain` of the cluster's Ingress configuration, on the listener and in
    what answers."""
    cluster = existing(kube, "config.openshift.io/v1", "Ingress", "", "cluster")
    wanted = f"maas.{cluster['spec']['domain']}"
    gateway = existing(kube, GATEWAY_API, "Gateway", "openshift-ingress", "maas-default-gateway")
    listener = only(
        (li for li in gateway["spec"]["listeners"] if li["name"] == "https"), "listener https"
    )
    assert listener["hostname"] == wanted
    assert stack.host == wanted
    stack.send("GET", "/v1/models", alice).expect_status(200)


@requirement("MP-69")
def test_gateway_is_istios(stack: Stack, alice: Identity) -> None:
    """By the name that Istio's proxies give in `server` (`istio-envoy`), over that of whoever
    answered: maas-api, a model, a provider, or the gateway itself."""
    asked = [stack.send("GET", "/v1/models", alice), stack.models(LOCAL, alice),
             stack.models(OPENAI, alice), stack.send("GET", "/nobodys", alice)]  # fmt: skip
    for exchange, status in zip(asked, (200, 200, 200, 404), strict=True):
        exchange.expect_status(status)
        found = exchange.response.headers.get_list("server")
        exchange.expect(MAAS, found == ["istio-envoy"], "server: istio-envoy", f"{found}")


@requirement("MP-62")
def test_how_the_remote_vllm_is_found(
    kube: Kube, stack: Stack, alice: Identity, decide: Decision
) -> None:
    """By what the destination says, and by what stands beside it under its name."""
    backend = existing(
        kube, f"{BACKEND_GROUP}/v0alpha0", "XBackendDestination", "default", "vllm-backend"
    )
    services = [
        one for one in kube.all("v1", "Service") if one["metadata"]["name"] == "vllm-backend"
    ]
    slices = [
        one
        for one in kube.all("discovery.k8s.io/v1", "EndpointSlice")
        if one["metadata"].get("labels", {}).get("kubernetes.io/service-name") == "vllm-backend"
    ]
    stack.chat(VLLM, alice).expect_status(200).expect_backend_received(VLLM.name)
    kind = backend["spec"]["destination"]["type"]
    beside = bool(services or slices)
    found = {("Fqdn", False): "dns", ("Fqdn", True): "endpoints", ("Service", True): "endpoints"}
    decide(found.get((kind, beside), f"type {kind}, Service or EndpointSlices: {beside}"))


@requirement("MP-64")
def test_destination_rule_has_tls(kube: Kube) -> None:
    """For the workload's Service, by its full name."""
    host = "facebook-opt-125m-simulated-kserve-workload-svc.llm.svc.cluster.local"
    rules = kube.all("networking.istio.io/v1", "DestinationRule", "llm")
    modes = [r["spec"]["trafficPolicy"]["tls"]["mode"] for r in rules if r["spec"]["host"] == host]
    assert modes == ["SIMPLE"]


@requirement("MP-49")
@pytest.mark.capability("operators")
def test_operators_are_installed(kube: Kube) -> None:
    """What `deploy-rhoai-stable.sh` leaves: every ClusterServiceVersion Succeeded."""
    kind = ("operators.coreos.com/v1alpha1", "ClusterServiceVersion")
    assert kube.serves(*kind), "the cluster has no ClusterServiceVersions"
    versions = kube.all(*kind)
    phases = {v["metadata"]["name"].partition(".")[0]: v["status"]["phase"] for v in versions}
    assert {"rhods-operator", "rhcl-operator"} <= phases.keys()
    assert set(phases.values()) == {"Succeeded"}
