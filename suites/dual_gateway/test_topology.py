"""What the integration manifests become, and what the two disputed ones are good for."""

import re
import uuid
from pathlib import Path
from typing import Any

import pytest

from fixtures.evidence import CLIENT
from fixtures.evidence.documents import Document
from fixtures.evidence.requirements import requirement
from fixtures.evidence.verdicts import Decision
from fixtures.found import only, parsed_yaml
from fixtures.kube import Kube
from fixtures.objects import conditions, existing, parent_of
from fixtures.stack import CHAT, Identity, Stack
from fixtures.stack.grants import granted
from fixtures.waiting import ENFORCED_SECONDS, until
from suites.dual_gateway.variants import GATEWAY_API, KUADRANT, Variants, policy_of
from suites.dual_gateway.vsr import (
    HELLO,
    MODEL_A,
    MODEL_B,
    NAMESPACE,
    PORT,
    ROUTE,
    SERVICE,
    Vsr,
)

Object = dict[str, Any]
DOCUMENT = Document.read(Path(__file__).parent / "dual-gateway-vsr-maas.md")
MAAS = {"name": "maas-default-gateway", "namespace": "openshift-ingress"}
PROGRAMS = {"bin", "sbin", "lib", "lib64", "usr", "opt"}
SHELLS = {"sh", "bash", "dash", "ash", "busybox", "python", "python3", "env"}


def printed(file: str, domain: str = "") -> Object:
    """A manifest as the document prints it, for a cluster's domain."""
    section = only((s.title for s in DOCUMENT.sections if file in s.title), f"section of {file}")
    text = only(DOCUMENT.code(section, "yaml"), "object")
    found: Object = parsed_yaml(text.replace("${CLUSTER_DOMAIN}", domain), file)
    return found


def differences(wanted: Any, found: Any, path: str = "") -> list[str]:
    """Where `found` lacks or changes something of `wanted`; what the API server adds is no
    difference, but in maps of rules and in lists."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        return [
            line for k in wanted for line in differences(wanted[k], found.get(k), f"{path}.{k}")
        ]
    if isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        pairs = enumerate(zip(wanted, found, strict=True))
        return [line for n, (w, f) in pairs for line in differences(w, f, f"{path}[{n}]")]
    same = wanted.strip() == found.strip() if isinstance(found, str) else wanted == found
    return [] if same else [f"{path}: printed {wanted!r}, deployed {found!r}"]


@requirement("DG-26")
def test_route(kube: Kube, stack: Stack) -> None:
    """As printed, and accepted by the MaaS gateway."""
    route = existing(kube, GATEWAY_API, "HTTPRoute", NAMESPACE, ROUTE)
    wanted = printed("vsr-interim-httproute.yaml", stack.host.removeprefix("maas."))
    assert differences(wanted, route) == []
    status = parent_of(kube, route)
    assert conditions(status) == {"Accepted": "True", "ResolvedRefs": "True"}


@requirement("DG-27")
def test_auth_policy(kube: Kube) -> None:
    """As printed: audience, user id, tier, cache and identity filter; no rule besides, in force."""
    policy = existing(kube, KUADRANT, "AuthPolicy", NAMESPACE, "vsr-interim-auth-policy")
    wanted = printed("vsr-interim-auth-policy.yaml")
    assert differences(wanted, policy) == []
    for phase, rules in wanted["spec"]["rules"].items():
        assert policy["spec"]["rules"][phase].keys() == rules.keys()
    assert policy["spec"]["rules"].keys() == wanted["spec"]["rules"].keys()
    assert conditions(policy["status"]) == {"Accepted": "True", "Enforced": "True"}


@requirement("DG-28")
def test_reference_grant(kube: Kube) -> None:
    """As printed, and for nobody besides."""
    version = "gateway.networking.k8s.io/v1beta1"
    grant = existing(kube, version, "ReferenceGrant", NAMESPACE, "allow-maas-gateway-to-vsr")
    assert differences(printed("vsr-reference-grant.yaml"), grant) == []


@requirement("DG-45")
def test_no_filter_of_vsr_in_the_maas_gateway(kube: Kube) -> None:
    """What Istio can be told to put into a gateway: nothing of it names vSR, by any Service that
    leads to it, or an address."""
    kinds = [("networking.istio.io/v1alpha3", "EnvoyFilter"),
             ("extensions.istio.io/v1alpha1", "WasmPlugin")]  # fmt: skip
    served = [one for one in kinds if kube.serves(*one)]
    assert served, "the cluster knows neither EnvoyFilter nor WasmPlugin: is it Istio's?"
    objects = [obj for one in served for obj in kube.all(*one)]
    names = {SERVICE, *names_of_vsr(kube)}
    naming = [o["metadata"]["name"] for o in objects if named(names, str(o["spec"]))]
    assert naming == []


def names_of_vsr(kube: Kube) -> set[str]:
    """The addresses of its Pods, and of every Service that leads to them, with that one's name."""
    slices = kube.all("discovery.k8s.io/v1", "EndpointSlice")
    pods = kube.all("v1", "Pod", NAMESPACE, {"app": "semantic-router"})
    found = {pod["status"]["podIP"] for pod in pods if pod["status"].get("podIP")}
    assert found, "vSR has no Pod"
    leading = {
        (one["metadata"]["namespace"], one["metadata"]["labels"]["kubernetes.io/service-name"])
        for one in slices
        if found & {a for e in one.get("endpoints") or () for a in e["addresses"]}
    }
    assert leading, "no Service leads to vSR"
    services = [existing(kube, "v1", "Service", *one) for one in sorted(leading)]
    found |= {s["spec"]["clusterIP"] for s in services if s["spec"]["clusterIP"] != "None"}
    return found | {f"{name}.{namespace}" for namespace, name in leading}


def named(names: set[str], text: str) -> bool:
    """Whether one of them stands there, and not as a part of a longer one."""
    return any(re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text) for name in names)


@requirement("DG-45")
def test_other_paths_are_not_seen_by_the_router(stack: Stack, vsr: Vsr, alice: Identity) -> None:
    """A router in the MaaS gateway would put its headers on every answer. Its log has been asked
    something by then: one without a line proves nothing."""
    vsr.ask(alice).expect_status(200)
    for exchange in (stack.chat(MODEL_A, alice), stack.send("GET", "/v1/models", alice)):
        exchange.expect_status(200)
        found = sorted(n for n in exchange.response.headers if n.startswith("x-vsr-"))
        exchange.expect(CLIENT, found == [], "no header of the router's", f"{found}")
        exchange.expect_no_inner()


@requirement("DG-46")
def test_which_policy_guards_the_route(
    stack: Stack, vsr: Vsr, outsider: Identity, decide: Decision
) -> None:
    """One without a right to any model: the gateway's policy would refuse, or say who it is."""
    exchange = vsr.ask(outsider)
    if exchange.status == 403:
        decide("gateway")
        return
    record = exchange.expect_status(200).expect_backend_received(MODEL_B.name)
    told = sorted(name for name in record.headers.names() if name.startswith("x-maas-"))
    decide("route" if told == [] else f"200, with {told}")


def container_of(kube: Kube, name: str) -> Object:
    """A container of the deployed router."""
    found = existing(kube, "apps/v1", "Deployment", NAMESPACE, SERVICE)
    containers = found["spec"]["template"]["spec"]["containers"]
    one = only((c for c in containers if c["name"] == name), f"container {name}")
    return dict(one)


@requirement("DG-47")
@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("semantic-router", "ghcr.io/vllm-project/semantic-router/extproc"),
        ("envoy-proxy", "docker.io/envoyproxy/envoy"),
    ],
)
def test_image_is_the_stock_one(kube: Kube, name: str, image: str) -> None:
    """The project's own, of any version, in the Deployment and in what runs, with its own
    programs: what is mounted is data, and nothing else is started in their place."""
    container = container_of(kube, name)
    assert container["image"].rpartition(":")[0] == image
    pods = kube.all("v1", "Pod", NAMESPACE, {"app": "semantic-router"})
    running = {c["image"] for pod in pods for c in pod["spec"]["containers"] if c["name"] == name}
    assert running == {container["image"]}
    mounts = [mount["mountPath"] for mount in container.get("volumeMounts", ())]
    assert [one for one in mounts if is_of_programs(one)] == []
    program = (container.get("command") or [""])[0]
    assert program.rpartition("/")[2] not in SHELLS, f"started by {program}"
    assert not any(program.startswith(f"{mount.rstrip('/')}/") for mount in mounts)
    preloaded = [e["name"] for e in container.get("env", ()) if e["name"].startswith("LD_PRELOAD")]
    assert (preloaded, container.get("lifecycle", {})) == ([], {})


def is_of_programs(path: str) -> bool:
    """Whether a mount there would stand in the place of an image's programs or libraries."""
    parts = [part for part in path.split("/") if part]
    return not parts or parts[0] in PROGRAMS or parts in (["app"], ["app", "lib"], ["app", "bin"])


@requirement("DG-51")
def test_router_wants_half_a_cpu(kube: Kube) -> None:
    """500m, where the repository had 1500m."""
    assert container_of(kube, "semantic-router")["resources"]["requests"]["cpu"] == "500m"


@requirement("DG-52")
@pytest.mark.parametrize("name", ["model-a", "model-b"])
def test_simulator_has_no_privileges(kube: Kube, name: str) -> None:
    """In the object, and so in the Pods that run."""
    model = existing(kube, "serving.kserve.io/v1alpha1", "LLMInferenceService", NAMESPACE, name)
    pods = kube.all("v1", "Pod", NAMESPACE, {"app.kubernetes.io/name": name})
    specs = [model["spec"]["template"], *(pod["spec"] for pod in pods)]
    assert len(specs) > 1
    for spec in specs:
        for container in spec["containers"]:
            wanted = {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "runAsNonRoot": True,
                "seccompProfile": {"type": "RuntimeDefault"},
            }
            assert wanted.items() <= container["securityContext"].items()


@requirement("DG-50")
def test_kind_is_served(kube: Kube) -> None:
    """And the two models are of it."""
    version = "serving.kserve.io/v1alpha1"
    assert kube.serves(version, "LLMInferenceService")
    names = {m["metadata"]["name"] for m in kube.all(version, "LLMInferenceService", NAMESPACE)}
    assert {"model-a", "model-b"} <= names


@requirement("DG-54")
def test_entry_is_https_on_443(kube: Kube, stack: Stack, vsr: Vsr, alice: Identity) -> None:
    """The listener, and who answers on it; the client has checked the certificate's name."""
    gateway = existing(kube, GATEWAY_API, "Gateway", MAAS["namespace"], MAAS["name"])
    listener = only(
        (li for li in gateway["spec"]["listeners"] if li["port"] == 443), "listener of port 443"
    )
    assert (listener["protocol"], listener["tls"]["mode"]) == ("HTTPS", "Terminate")
    assert listener["hostname"] == stack.host
    exchange = vsr.ask(alice).expect_status(200)
    assert exchange.response.request.url.scheme == "https"


@requirement("DG-25")
@pytest.mark.parametrize("name", ["model-a", "model-b"])
def test_model_is_ready(kube: Kube, name: str) -> None:
    """`oc get llminferenceservices`."""
    model = existing(kube, "serving.kserve.io/v1alpha1", "LLMInferenceService", NAMESPACE, name)
    assert conditions(model["status"])["Ready"] == "True"


@requirement("DG-25")
@pytest.mark.parametrize(
    ("labels", "containers"),
    [
        ({"app.kubernetes.io/name": "model-a"}, ["main"]),
        ({"app.kubernetes.io/name": "model-b"}, ["main"]),
        ({"app": "semantic-router"}, ["envoy-proxy", "semantic-router"]),
    ],
    ids=["model-a", "model-b", "router"],
)
def test_pods_are_running(kube: Kube, labels: dict[str, str], containers: list[str]) -> None:
    """`oc get pods`: at least one, Running, every container ready."""
    pods = [
        pod
        for pod in kube.all("v1", "Pod", NAMESPACE)
        if labels.items() <= pod["metadata"].get("labels", {}).items()
    ]
    assert pods
    for pod in pods:
        assert pod["status"]["phase"] == "Running"
        found = sorted(c["name"] for c in pod["status"]["containerStatuses"] if c["ready"])
        assert found == containers


# -- references across namespaces ---------------------------------------------------------------


def route_to_vsr(namespace: str, name: str) -> Object:
    """A route of another namespace to vSR's Service, for /<namespace>/<name>."""
    match = {"path": {"type": "PathPrefix", "value": f"/{namespace}/{name}"}}
    backend = {"name": SERVICE, "namespace": NAMESPACE, "port": PORT}
    rules = [{"matches": [match], "backendRefs": [backend]}]
    return {
        "apiVersion": GATEWAY_API,
        "kind": "HTTPRoute",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"parentRefs": [MAAS], "rules": rules},
    }


def resolved(kube: Kube, namespace: str, name: str) -> tuple[str, str]:
    """(status, reason) of ResolvedRefs, once there is one."""

    def look() -> tuple[str, str]:
        route = existing(kube, GATEWAY_API, "HTTPRoute", namespace, name)
        for parent in route.get("status", {}).get("parents", []):
            for c in parent.get("conditions", []):
                if c["type"] == "ResolvedRefs":
                    return c["status"], c["reason"]
        return "", ""

    return until(f"a status of route {name}", look, lambda seen: seen != ("", ""), ENFORCED_SECONDS)


@requirement("DG-28")
def test_grant_admits_the_gateways_namespace(kube: Kube) -> None:
    """A route of openshift-ingress may refer to vSR's Service."""
    name = f"conformance-{uuid.uuid4().hex[:8]}"
    kube.apply(route_to_vsr(MAAS["namespace"], name))
    try:
        assert resolved(kube, MAAS["namespace"], name) == ("True", "ResolvedRefs")
    finally:
        kube.delete(GATEWAY_API, "HTTPRoute", MAAS["namespace"], name)


@requirement("DG-28")
def test_grant_admits_nobody_else(
    kube: Kube, stack: Stack, namespace: str, outsider: Identity
) -> None:
    """A route of another namespace does not resolve; who may use it gets 500."""
    kube.apply(route_to_vsr(namespace, "guest"))
    assert resolved(kube, namespace, "guest") == ("False", "RefNotPermitted")
    body = {"model": "auto", "messages": [{"role": "user", "content": HELLO}]}
    path = f"/{namespace}/guest{CHAT}"
    with granted(kube, outsider, namespace, ["guest"]):
        exchange = until(
            "the route to be programmed",
            lambda: stack.send("POST", path, outsider, body),
            lambda seen: seen.status != 404,
            ENFORCED_SECONDS,
        )
    exchange.expect_status(500).expect_no_backend().expect_no_inner()


@requirement("DG-41")
def test_whether_the_grant_is_needed(variants: Variants, alice: Identity, decide: Decision) -> None:
    """A second Service for the same router, in its namespace, that no grant names."""
    name = f"spare-{uuid.uuid4().hex[:8]}"
    variants.service(name, {"app": "semantic-router"})
    seen = variants.make(policy_of("document"), name).ask(alice).status
    decide({200: "not_needed", 500: "needed"}.get(seen, str(seen)))


@requirement("DG-42")
def test_which_listeners_have_the_route(vsr: Vsr, alice: Identity, decide: Decision) -> None:
    """On https it is; is it on http?"""
    body = {"model": "auto", "messages": [{"role": "user", "content": HELLO}]}
    vsr.send("POST", CHAT, alice, body).expect_status(200)
    plain = vsr.send("POST", CHAT, alice, body, tls=False).status
    decide({200: "every_listener", 404: "https_only"}.get(plain, str(plain)))
