"""wg-ai-gateway's generations on a cluster: the one that the demo has, and upstream's own, which is
hard on others. Observed of upstream on the real one."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from embedded.images.wg_ai_gateway.envoy_controller import Controller
from embedded.running import lifecycle, ready
from embedded.running.state import State
from fixtures.waiting import DEPLOYED_SECONDS, ENFORCED_SECONDS, until
from tests.conftest import DEMO, Cluster

IMAGE = "ghcr.io/nerdalert/wg-ai-gateway"
GATEWAY_API = "gateway.networking.k8s.io/v1"
ALL = {"namespaces": {"from": "All"}}
PLAIN = {"name": "http", "port": 80, "protocol": "HTTP", "allowedRoutes": ALL}
GRPC = {"name": "grpc", "port": 81, "protocol": "HTTP",
        "allowedRoutes": {"kinds": [{"kind": "GRPCRoute"}]}}  # fmt: skip
ROUTES = f"/apis/{GATEWAY_API}/httproutes"
WATCHED_SECONDS = 4.0
SERVED = 401  # the provider misses its key


@pytest.fixture(scope="module")
def upstream() -> Iterator[Cluster]:
    """The demo with upstream's generation: it becomes ready all the same."""
    state = State(f"upstream-{os.getpid()}")
    words = [sys.executable, "-m", "embedded.images", "envoy_controller", "--generation"]
    image = f"{IMAGE}={' '.join(words)} upstream"
    process = lifecycle.up(state, [image], DEMO, lifeline=True)
    try:
        ready.wait(state, lifecycle.START_SECONDS)
        yield Cluster(state)
    finally:
        lifecycle.down(state)
        process.wait()


def get(cluster: Cluster, *words: str) -> Any:
    return json.loads(cluster.kubectl("get", *words, "-o", "json"))


@contextmanager
def applied(cluster: Cluster, *objects: dict[str, Any]) -> Iterator[None]:
    listing = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
    cluster.kubectl("apply", "-f", "-", stdin=listing)
    try:
        yield
    finally:
        cluster.kubectl("delete", "-f", "-", "--wait=false", stdin=listing)


def route(name: str, gateway: str = "poc-gateway") -> dict[str, Any]:
    """To the demo's OpenAI, from a prefix that is the route's name."""
    backend = {"group": "ainetworking.prototype.x-k8s.io", "kind": "Backend",
               "name": "openai-backend", "port": 8000}  # fmt: skip
    slash = {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}
    rule = {
        "matches": [{"path": {"type": "PathPrefix", "value": f"/{name}/"}}],
        "filters": [{"type": "URLRewrite", "urlRewrite": {"path": slash}}],
        "backendRefs": [backend],
    }
    spec = {"parentRefs": [{"name": gateway}], "rules": [rule]}
    return {"apiVersion": GATEWAY_API, "kind": "HTTPRoute", "spec": spec,
            "metadata": {"name": name, "namespace": "default"}}  # fmt: skip


def address(cluster: Cluster, service: str) -> str:
    return f"http://{get(cluster, 'service', service)['spec']['clusterIP']}:10080"


def answered(base: str, path: str, status: int, seconds: float = ENFORCED_SECONDS) -> None:
    """Wait until a new connection gets this."""

    def ask() -> int | str:
        try:
            return httpx.get(f"{base}{path}", trust_env=False).status_code
        except httpx.TransportError as error:
            return str(error)

    until(f"{status} of {path}", ask, lambda seen: seen == status, seconds)


@pytest.mark.parametrize("kept", ["cluster", "upstream"])
def test_which_routes_a_kept_connection_has(request: pytest.FixtureRequest, kept: str) -> None:
    """The new ones where they come by themselves; upstream's are part of the listener, whose old
    connections stay with the old one."""
    here: Cluster = request.getfixturevalue(kept)
    base = address(here, "envoy-poc-gateway")
    for_ever = httpx.Limits(keepalive_expiry=None)  # else five seconds
    with httpx.Client(trust_env=False, limits=for_ever) as client:
        assert client.get(f"{base}/kept/v1/models").status_code == 404
        with applied(here, route("kept")):
            answered(base, "/kept/v1/models", SERVED)
            seen = client.get(f"{base}/kept/v1/models").status_code
    assert seen == (SERVED if kept == "cluster" else 404)


def test_upstream_deploys_beside_others(upstream: Cluster) -> None:
    """An Envoy with a LoadBalancer for a Gateway of another class, and a word on its routes."""
    at = ("-n", "openshift-ingress")
    service = get(upstream, *at, "service", "envoy-openshift-ingress-maas-default-gateway")
    assert service["spec"]["type"] == "LoadBalancer"
    assert service["status"]["loadBalancer"]["ingress"]

    def names() -> list[str]:
        parents = get(upstream, "httproute", "openai-bridge")["status"]["parents"]
        return [one["controllerName"] for one in parents]

    until("its word on a bridge", names, lambda seen: Controller.name in seen, ENFORCED_SECONDS)


def test_upstream_fights_within_bounds(upstream: Cluster) -> None:
    """It goes on and on, twice a second, and each time the others write theirs anew."""

    def revision() -> int:
        return int(
            json.loads(upstream.kubectl("get", "--raw", ROUTES))["metadata"]["resourceVersion"]
        )

    before, began = revision(), time.monotonic()
    time.sleep(WATCHED_SECONDS)
    a_second = (revision() - before) / (time.monotonic() - began)
    assert 1 <= a_second <= 10


def test_an_invalid_listener_of_the_demo(cluster: Cluster) -> None:
    """It is told, and the other one is served."""
    spec = {"gatewayClassName": "wg-ai-gateway", "listeners": [PLAIN, GRPC]}
    odd = {"apiVersion": GATEWAY_API, "kind": "Gateway", "spec": spec,
           "metadata": {"name": "odd", "namespace": "default"}}  # fmt: skip
    with applied(cluster, odd, route("through-odd", "odd")):
        path = '{.status.listeners[?(@.name=="grpc")].conditions[?(@.type=="ResolvedRefs")].reason}'
        wait = f"--for=jsonpath={path}=InvalidRouteKinds"
        cluster.kubectl("wait", "gateway/odd", wait, "--timeout=20s")
        answered(address(cluster, "envoy-odd"), "/through-odd/v1/models", SERVED)


def test_an_invalid_listener_ends_upstream(upstream: Cluster) -> None:
    """Again and again, and nothing is programmed before it is gone."""
    pods = ("-n", "ai-gateway-system", "pods")

    def restarts() -> int:
        return int(
            get(upstream, *pods)["items"][0]["status"]["containerStatuses"][0]["restartCount"]
        )

    before = restarts()
    base = address(upstream, "envoy-poc-gateway")
    add = json.dumps([{"op": "add", "path": "/spec/listeners/-", "value": GRPC}])
    upstream.kubectl("patch", "gateway", "poc-gateway", "--type=json", "-p", add)
    with applied(upstream, route("late")):
        until("it to end again", restarts, lambda n: n >= before + 2, DEPLOYED_SECONDS)
        assert httpx.get(f"{base}/late/v1/models", trust_env=False).status_code == 404
        log = upstream.kubectl("logs", "--previous", "-n", "ai-gateway-system",
                               "deploy/ai-gateway-controller")  # fmt: skip
        assert "NilListenerStatusError: default/poc-gateway: listener grpc" in log
        remove = json.dumps([{"op": "remove", "path": "/spec/listeners/1"}])
        upstream.kubectl("patch", "gateway", "poc-gateway", "--type=json", "-p", remove)
        # Its next start comes when the node's back-off, which doubles, has passed.
        answered(base, "/late/v1/models", SERVED, DEPLOYED_SECONDS)
