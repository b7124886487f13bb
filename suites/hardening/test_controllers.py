"""Each Gateway is its own controller's, and what one team asks for in vain harms no other."""

import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, closing
from functools import partial
from typing import Any

import pytest

from fixtures.evidence import EGRESS, Exchange, expect
from fixtures.evidence.requirements import requirement
from fixtures.evidence.verdicts import CLOSED, PRESENT, Decision
from fixtures.kube import Kube
from fixtures.objects import existing
from fixtures.stack import Stack
from fixtures.waiting import (
    ENFORCED_SECONDS,
    EVERY_SECONDS,
    FLICKER_SECONDS,
    SETTLED_SECONDS,
    until,
)
from manifests import identity
from suites.external_models.backends import Backends

GATEWAY_API = "gateway.networking.k8s.io/v1"
HOST = "openai-simulator.external-models.svc.cluster.local"
CONTROLLER = ("ai-gateway-system", "ai-gateway-controller")
TIMES = 3  # that a connection may end by itself
SHARES = 20  # requests to two backends: all at one of them is as likely as 1 in 500,000
Object = dict[str, Any]


@pytest.fixture
def backends(kube: Kube) -> Iterator[Backends]:
    made = Backends(kube)
    yield made
    made.close()


def gateways(kube: Kube) -> dict[tuple[str, str], Object]:
    """The cluster's Gateways, by namespace and name."""
    found = kube.all(GATEWAY_API, "Gateway")
    return {(one["metadata"]["namespace"], one["metadata"]["name"]): one for one in found}


def controllers(kube: Kube) -> dict[str, str]:
    """GatewayClass → the name of its controller."""
    found = kube.all(GATEWAY_API, "GatewayClass")
    return {one["metadata"]["name"]: one["spec"]["controllerName"] for one in found}


@requirement("HD-43")
@pytest.mark.parametrize("kind", ["Deployment", "Service"])
def test_a_gateway_is_served_once(kube: Kube, kind: str) -> None:
    """By what its own controller made for it: two proxies of one Gateway are two controllers'."""
    version = "apps/v1" if kind == "Deployment" else "v1"
    of = {one["metadata"]["uid"]: where for where, one in gateways(kube).items()}
    made: dict[tuple[str, str], list[str]] = {where: [] for where in of.values()}
    assert made, "the cluster has no Gateway"
    for one in kube.all(version, kind):
        for owner in one["metadata"].get("ownerReferences") or []:
            if owner["uid"] in of:
                made[of[owner["uid"]]].append(one["metadata"]["name"])
    twice = {f"{ns}/{name}": sorted(found) for (ns, name), found in made.items() if len(found) > 1}
    expect(not twice, EGRESS, f"one {kind} for each Gateway, its own controller's", f"{twice}")


@requirement("HD-43")
def test_its_own_controller_speaks_of_its_routes(kube: Kube) -> None:
    """No controller of another class writes what became of a route at a Gateway. Policies' own
    controllers write there too, and are no class's."""
    known, classes = gateways(kube), controllers(kube)
    strange: set[str] = set()
    end = time.monotonic() + FLICKER_SECONDS  # controllers that fight have the word in turn
    while not strange and time.monotonic() < end:
        strange = strangers(kube, known, classes)
        time.sleep(EVERY_SECONDS)
    expect(not strange, EGRESS, "each Gateway's own controller alone", f"{sorted(strange)}")


def strangers(
    kube: Kube, known: dict[tuple[str, str], Object], classes: dict[str, str]
) -> set[str]:
    """Whoever speaks of a route at a Gateway of another's class."""
    strange = set()
    for route in kube.all(GATEWAY_API, "HTTPRoute"):
        for entry in route.get("status", {}).get("parents") or []:
            ref = entry["parentRef"]
            where = (ref.get("namespace", route["metadata"]["namespace"]), ref["name"])
            if ref.get("kind", "Gateway") != "Gateway" or where not in known:
                continue
            own = classes.get(known[where]["spec"]["gatewayClassName"])
            if entry["controllerName"] in set(classes.values()) - {own}:
                name = f"{route['metadata']['namespace']}/{route['metadata']['name']}"
                strange.add(f"{entry['controllerName']} of {name} at {'/'.join(where)}")
    return strange


def starts(kube: Kube) -> dict[str, int]:
    """Pod of the egress gateway's controller → how often it was started anew."""
    namespace, name = CONTROLLER
    labels = existing(kube, "apps/v1", "Deployment", namespace, name)["spec"]["selector"]
    pods = kube.all("v1", "Pod", namespace, labels["matchLabels"])
    return {
        pod["metadata"]["name"]: status.get("restartCount", 0)
        for pod in pods
        for status in pod["status"].get("containerStatuses") or []
    }


def until_routed(stack: Stack, path: str) -> Exchange:
    """Until the egress gateway knows a path."""
    return until(f"{path} to be served", lambda: stack.at_egress("GET", f"{path}/v1/models"),
                 lambda seen: seen.status not in (404, 500), ENFORCED_SECONDS)  # fmt: skip


@requirement("HD-44")
@pytest.mark.disposable
@pytest.mark.capability("disposable_clusters")
def test_listeners_in_vain(demo: Stack) -> None:
    """Of another team's Gateways, for routes that the controller does not serve. A route that is
    made afterwards is served all the same, and the controller has not been started anew."""
    kube, before = demo.kube, starts(demo.kube)
    assert before, "the controller of the egress gateway has no Pod"
    with ExitStack() as made:
        for kinds in (["GRPCRoute"], ["TCPRoute", "HTTPRoute"]):
            named = {"name": "odd", "port": 8090, "protocol": "HTTP",
                     "allowedRoutes": {"kinds": [{"kind": kind} for kind in kinds]}}  # fmt: skip
            gateway = {
                "apiVersion": GATEWAY_API,
                "kind": "Gateway",
                "metadata": {"name": f"odd-{uuid.uuid4().hex[:8]}", "namespace": "default"},
                "spec": {"gatewayClassName": "wg-ai-gateway", "listeners": [named]},
            }
            made.callback(kube.delete, *identity(gateway))
            kube.apply(gateway)
            until(f"the controller to have seen a listener for {kinds}",
                  partial(seen_by_its_controller, kube, gateway, before), bool,
                  ENFORCED_SECONDS)  # fmt: skip
        backends = made.enter_context(closing(Backends(kube)))
        until_routed(demo, backends.egress_route(backends.destination(HOST)))
        expect(starts(kube) == before, EGRESS, f"its controller as before: {before}",
               f"{starts(kube)}")  # fmt: skip


def seen_by_its_controller(kube: Kube, gateway: Object, before: dict[str, int]) -> bool:
    """It has said something of it, or has ended over it."""
    found = existing(kube, GATEWAY_API, "Gateway", "default", gateway["metadata"]["name"])
    return bool(found.get("status", {}).get("conditions")) or starts(kube) != before


@requirement("HD-45")
def test_one_backend_of_two_is_missing(stack: Stack, backends: Backends, decide: Decision) -> None:
    """Straight at the egress gateway; the backend that is there asks for its key."""
    whole = backends.egress_route(backends.destination(HOST))
    until_routed(stack, whole)
    half = backends.egress_route(backends.destination(HOST), f"missing-{uuid.uuid4().hex[:8]}")
    until(f"{half} to be known", lambda: stack.at_egress("GET", f"{half}/v1/models").status,
          lambda status: status != 404, ENFORCED_SECONDS)  # fmt: skip

    def shares() -> dict[int, int]:
        seen = [stack.at_egress("GET", f"{half}/v1/models").status for _ in range(SHARES)]
        return {status: seen.count(status) for status in sorted(set(seen))}

    found = shares()
    stack.at_egress("GET", f"{whole}/v1/models").expect_status(401)
    decide({(401, 500): CLOSED, (500,): PRESENT}.get(tuple(found), f"statuses {found}"))


@requirement("HD-104")
@pytest.mark.disposable
@pytest.mark.capability("disposable_clusters")
def test_a_missing_secret(demo: Stack, decide: Decision) -> None:
    """One team's destination has no authority for its TLS; another makes a route meanwhile."""
    none = {"group": "", "kind": "Secret", "name": f"missing-{uuid.uuid4().hex[:8]}"}
    tls = {"mode": "Simple", "caBundleRef": [none]}
    with closing(Backends(demo.kube)) as backends:
        good = backends.destination(HOST)
        began = time.monotonic()
        until_routed(demo, backends.egress_route(good))
        end = time.monotonic() + max(FLICKER_SECONDS, 3 * (time.monotonic() - began))
        with closing(Backends(demo.kube)) as odd:
            odd.egress_route(odd.destination(HOST, tls=tls))
            late = f"{backends.egress_route(good)}/v1/models"
            status = 404
            while status == 404 and time.monotonic() < end:
                time.sleep(EVERY_SECONDS)
                status = demo.at_egress("GET", late, kept=False).status
        until(f"{late} to be served", lambda: demo.at_egress("GET", late, kept=False).status,
              lambda seen: seen == 401, ENFORCED_SECONDS)  # fmt: skip
    decide({404: PRESENT, 401: CLOSED}.get(status, f"{status}"))


def connection(exchange: Exchange) -> object:
    """From where the client was connected; None once it is not."""
    try:
        return exchange.response.extensions["network_stream"].get_extra_info("client_addr")
    except OSError:
        return None


def unkept(stack: Stack, address: str) -> int:
    """The status there on a connection of its own."""
    return stack.at_egress("GET", address, kept=False).status


@requirement("HD-46")
def test_connections_that_are_kept(stack: Stack, backends: Backends, decide: Decision) -> None:
    """Both ask for a route that is being made: who has been connected for a while, and who comes
    now. The first may be told a second later. A proxy that drains ends a kept connection now and
    then: what is asked on another one says nothing of it."""
    for _ in range(TIMES):
        before = connection(stack.at_egress("GET", "/no-route-yet").expect_status(404))
        address = f"{backends.egress_route(backends.destination(HOST))}/v1/models"
        until("the new route on a new connection",
              partial(unkept, stack, address),
              lambda status: status == 401, ENFORCED_SECONDS)  # fmt: skip
        found = []
        for pause in (0.0, SETTLED_SECONDS):
            time.sleep(pause)
            asked = stack.at_egress("GET", address)
            found += [asked.status] * (connection(asked) == before is not None)
        if found:
            decide({401: CLOSED, 404: PRESENT}.get(found[-1], f"statuses {found}"))
            return
    raise AssertionError(f"none of {TIMES} connections to the egress gateway was kept")
