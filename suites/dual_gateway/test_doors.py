"""Every way to the router from outside: what shows its Pods, and what leads to that."""

from collections.abc import Iterator
from typing import Any

import pytest

from fixtures.evidence import ROUTER, expect
from fixtures.evidence.requirements import requirement
from fixtures.kube import Kube
from fixtures.objects import existing
from fixtures.stack.gateways import MAAS_GATEWAY
from suites.dual_gateway.vsr import NAMESPACE, SERVICE

Object = dict[str, Any]
GATEWAY_API = "gateway.networking.k8s.io"
# What can lead to a Service. Those of the Gateway API say from which Gateway; the others are
# themselves open to whoever reaches their controllers.
BY_GATEWAY = [
    (f"{GATEWAY_API}/v1", "HTTPRoute"),
    (f"{GATEWAY_API}/v1", "GRPCRoute"),
    (f"{GATEWAY_API}/v1", "TLSRoute"),
    (f"{GATEWAY_API}/v1alpha2", "TLSRoute"),
    (f"{GATEWAY_API}/v1alpha2", "TCPRoute"),
    (f"{GATEWAY_API}/v1alpha2", "UDPRoute"),
]
BY_THEMSELVES = [
    ("networking.k8s.io/v1", "Ingress"),
    ("route.openshift.io/v1", "Route"),
    ("networking.istio.io/v1", "VirtualService"),
]


def router_services(kube: Kube) -> list[Object]:
    """Services of the router's Pods, and names for these, whoever made them; its own is one."""
    deployment = existing(kube, "apps/v1", "Deployment", NAMESPACE, SERVICE)
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    there = kube.all("v1", "Service")
    found = [
        one
        for one in there
        if one["metadata"]["namespace"] == NAMESPACE
        and (selector := one["spec"].get("selector"))
        and selector.items() <= labels.items()
    ]
    names = tuple(f"{one['metadata']['name']}.{NAMESPACE}.svc" for one in found)
    found += [one for one in there if one["spec"].get("externalName", "").startswith(names)]
    assert SERVICE in {one["metadata"]["name"] for one in found}, f"no Service is {SERVICE}"
    return found


def leads_to(route: Object, services: list[Object]) -> bool:
    """Whether anything in it names one of these Services, as a reference or as a host."""
    own = route["metadata"]["namespace"]
    keys = {(one["metadata"]["namespace"], one["metadata"]["name"]) for one in services}
    hosts = {f"{name}.{namespace}" for namespace, name in keys}
    for one in _objects(route["spec"]):
        if (one.get("namespace", own), one.get("name")) in keys:
            return True
        host = str(one.get("host", ""))
        if ".".join(host.split(".")[:2]) in hosts or (own, host) in keys:
            return True
    return False


def _objects(value: Any) -> Iterator[Object]:
    """Every JSON object within."""
    if isinstance(value, dict):
        yield value
    for one in value.values() if isinstance(value, dict) else value:
        if isinstance(one, dict | list):
            yield from _objects(one)


def name_of(obj: Object) -> str:
    return f"{obj['kind']} {obj['metadata']['namespace']}/{obj['metadata']['name']}"


@requirement("DG-24")
def test_every_service_is_internal(kube: Kube) -> None:
    """Whichever has the router's Pods behind it; and these have no port of their nodes."""
    shown = []
    for one in router_services(kube):
        spec = one["spec"]
        kind = spec.get("type", "ClusterIP")
        if kind not in ("ClusterIP", "ExternalName") or spec.get("externalIPs"):
            shown.append(f"{name_of(one)}: {kind} {spec.get('externalIPs', '')}".strip())
    deployment = existing(kube, "apps/v1", "Deployment", NAMESPACE, SERVICE)
    pod = deployment["spec"]["template"]["spec"]
    ports = [port for one in pod["containers"] for port in one.get("ports") or []]
    if pod.get("hostNetwork") or any(port.get("hostPort") for port in ports):
        shown.append(f"{name_of(deployment)}: on its node's network")
    expect(not shown, ROUTER, "to be reached from within the cluster alone", "; ".join(shown))


@requirement("DG-24")
@pytest.mark.parametrize(("version", "kind"), BY_GATEWAY, ids=[f"{k}-{v}" for v, k in BY_GATEWAY])
def test_routes_hang_on_the_maas_gateway(kube: Kube, version: str, kind: str) -> None:
    """Those that lead to the router; of kinds that the cluster does not know there are none."""
    services = router_services(kube)
    there = kube.all(version, kind) if kube.serves(version, kind) else []
    found = [one for one in there if leads_to(one, services)]
    parents = {
        f"{name_of(one)} on {namespace}/{ref['name']}": (namespace, ref["name"])
        for one in found
        for ref in one["spec"]["parentRefs"]
        for namespace in [ref.get("namespace", one["metadata"]["namespace"])]
    }
    others = sorted(shown for shown, parent in parents.items() if parent != MAAS_GATEWAY)
    expect(not others, ROUTER, "routes to it on the MaaS gateway alone", "; ".join(others))
    if kind == "HTTPRoute":
        expect(bool(found), ROUTER, "an HTTPRoute to it", "none")


@requirement("DG-24")
@pytest.mark.parametrize(
    ("version", "kind"), BY_THEMSELVES, ids=[kind for _, kind in BY_THEMSELVES]
)
def test_nothing_else_leads_there(kube: Kube, version: str, kind: str) -> None:
    """`--no-public-route`; where a kind is unknown there can be none."""
    services = router_services(kube)
    there = kube.all(version, kind) if kube.serves(version, kind) else []
    found = [name_of(one) for one in there if leads_to(one, services)]
    expect(not found, ROUTER, f"no {kind} to it", "; ".join(found))
