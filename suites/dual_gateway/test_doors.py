"""Every way to the router from outside: what shows its Pods, and what leads to that."""

from typing import Any

import pytest

from fixtures.evidence import ROUTER, expect
from fixtures.evidence.requirements import requirement
from fixtures.kube import Kube
from fixtures.objects import existing
from fixtures.stack.gateways import MAAS_GATEWAY
from fixtures.stack.leading import Target, key_of, name_of, services_of
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


def router_pods(kube: Kube) -> list[Object]:
    """Whichever have the labels of the router's own Deployment."""
    deployment = existing(kube, "apps/v1", "Deployment", NAMESPACE, SERVICE)
    labels = deployment["spec"]["selector"]["matchLabels"]
    return list(kube.all("v1", "Pod", NAMESPACE, labels))


def router_services(kube: Kube) -> list[Object]:
    """Services of the router's Pods, and names for these, whoever made them; its own is one."""
    found = services_of(kube, router_pods(kube))
    assert (NAMESPACE, SERVICE) in map(key_of, found), f"no Service with Pods is {SERVICE}"
    return found


def router(kube: Kube) -> Target:
    return Target.of(router_services(kube)).through(kube, router_pods(kube))


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
    target = router(kube)
    there = kube.all(version, kind) if kube.serves(version, kind) else []
    found = [one for one in there if target.is_named_by(one)]
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
    target = router(kube)
    there = kube.all(version, kind) if kube.serves(version, kind) else []
    found = [name_of(one) for one in there if target.is_named_by(one)]
    expect(not found, ROUTER, f"no {kind} to it", "; ".join(found))
