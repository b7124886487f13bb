"""The wg-ai-gateway controller: Gateways of class `wg-ai-gateway` → Envoy over ADS.

Stands for ghcr.io/nerdalert/wg-ai-gateway. Upstream: kubernetes-sigs/wg-ai-gateway
`pkg/controllers`, `pkg/deployer/envoy` (what it creates for a Gateway),
`pkg/translator/envoy` (names, filters, clusters), with the prefix rewrite of its
pull request 38: a replacement of `/` makes no `//`. As upstream, timeouts of HTTPRoutes are not
translated, so that Envoy's own 15 s hold, an FQDN backend gets its own name as Host, and
XBackendDestinations get no status. It differs in one thing: an edited XBackendDestination is in
effect at once, where upstream waits for the next event of a Gateway or route.
Left out: HTTPS listeners, `Service` destinations of other namespaces, Mutual TLS, MCP.
"""

from __future__ import annotations

import argparse
import ipaddress
import os
from collections.abc import Callable
from typing import Any

from embedded import rpc
from embedded.gatewayapi import envoy
from embedded.gatewayapi.controller import (
    SERVICES,
    GatewayController,
    Problem,
    Proxy,
    Resolver,
    RouteTable,
)
from embedded.gatewayapi.routes import Backend, virtual_hosts
from embedded.kube import Cache, Kube
from embedded.net import unprivileged
from embedded.xds import Snapshot

BACKEND_GROUP = "ainetworking.prototype.x-k8s.io"
BACKENDS = f"{BACKEND_GROUP}/v0alpha0/xbackenddestinations"
XDS_PORT = 15001
CONNECT_TIMEOUT, STREAM_IDLE_TIMEOUT = "5s", "15s"
Object = dict[str, Any]


class Destinations:
    """Resolves XBackendDestinations and Services to clusters that DNS finds."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._clusters: dict[str, Object] = {}

    def clusters(self) -> list[Object]:
        return list(self._clusters.values())

    def resolve(self, rule: Object, namespace: str) -> tuple[list[Backend], list[Problem]]:
        """As `embedded.gatewayapi.controller.Resolver` says."""
        found, problems = [], []
        for ref in rule.get("backendRefs", []):
            cluster = self._cluster(ref, namespace)
            if isinstance(cluster, tuple):
                problems.append(cluster)
            else:
                self._clusters[cluster["name"]] = cluster
                host = self._host(ref, namespace)
                found.append(Backend(cluster["name"], ref.get("weight", 1), host))
        return found, problems

    def _cluster(self, ref: Object, namespace: str) -> Object | Problem:
        name, kind, group = ref["name"], ref.get("kind", "Service"), ref.get("group", "")
        if group == BACKEND_GROUP and kind in ("Backend", "XBackendDestination"):
            backend = self._cache.get(BACKENDS, namespace, name)
            if backend is None:
                return "BackendNotFound", f"backend {namespace}/{name} not found"
            return self._destination(backend, ref, namespace)
        if group == "" and kind == "Service":
            if self._cache.get(SERVICES, namespace, name) is None:
                return "BackendNotFound", f"service {namespace}/{name} not found"
            host = f"{name}.{namespace}.svc.cluster.local"
            return envoy.dns_cluster(f"{namespace}-{name}-{ref['port']}", host, ref["port"])
        return "InvalidKind", f"unsupported backend reference {group}/{kind}"

    def _host(self, ref: Object, namespace: str) -> str:
        """The host name of an FQDN backend, "" for others."""
        backend = self._cache.get(BACKENDS, namespace, ref["name"]) if ref.get("group") else None
        destination = backend["spec"]["destination"] if backend else {}
        return str((destination.get("fqdn") or {}).get("hostname", ""))

    def _destination(self, backend: Object, ref: Object, namespace: str) -> Object | Problem:
        destination, name = backend["spec"]["destination"], ref["name"]
        ports = destination.get("ports", [])
        port = next((p for p in ports if ref.get("port") in (None, p["number"])), None)
        if port is None:
            return "BackendNotFound", f"backend {namespace}/{name} has no port {ref.get('port')}"
        host = destination.get("fqdn", {}).get("hostname", "")
        if destination["type"] == "Service":
            service = destination.get("service", {}).get("name", name)
            host = f"{service}.{namespace}.svc.cluster.local"
        more: Object = {}
        if port.get("tls", {}).get("mode") == "Simple":
            more |= envoy.upstream_tls(host)
        if port.get("protocol") == "HTTP2":
            more |= envoy.http2()
        number = port["number"]
        more["connect_timeout"] = CONNECT_TIMEOUT
        return envoy.dns_cluster(f"{namespace}-{name}-{number}", host, number, **more)


class Controller(GatewayController):
    """Gateways of class `wg-ai-gateway`."""

    name = "sigs.k8s.io/wg-ai-gateway-envoy-controller"
    route_name = "{namespace}-{route}-rule{rule}-match{match}"
    translates_timeouts = False
    resolves_gateways = False

    def __init__(self, kube: Kube, envoy_image: str) -> None:
        super().__init__(kube, envoy_image, [BACKENDS])

    def _resolver(self) -> Resolver:
        return Destinations(self._cache)

    def _xds_address(self) -> tuple[str, int]:
        namespace = os.environ["POD_NAMESPACE"]
        return f"ai-gateway-controller.{namespace}.svc.cluster.local", XDS_PORT

    def _proxy(self, gateway: Object) -> Proxy:
        name = f"envoy-{gateway['metadata']['name']}"
        return Proxy(name, {"app": name}, [], {})

    def _listener_problem(self, gateway: Object, listener: Object) -> Problem | None:
        if listener["protocol"] == "HTTP":
            return None
        return "UnsupportedProtocol", f"protocol {listener['protocol']} is not supported"

    def _snapshot(
        self, gateway: Object, routes: RouteTable, clusters: list[Object]
    ) -> Callable[[str], Snapshot]:
        served = [
            li for li in gateway["spec"]["listeners"] if not self._listener_problem(gateway, li)
        ]

        def snapshot(address: str) -> Snapshot:
            # A container's loopback is its own, and where `kubectl port-forward` comes from.
            bind = address if ipaddress.ip_address(address).is_loopback else "0.0.0.0"
            listeners, configs = [], []
            for li in served:
                config, port = f"route-{li['port']}", li["port"]
                chain = envoy.filter_chain(config, [], edge=False, idle=STREAM_IDLE_TIMEOUT)
                real = unprivileged(port)
                listeners.append(envoy.listener(f"listener-{port}", bind, real, [chain]))
                hosts = virtual_hosts(routes[li["name"]])
                configs.append({"name": config, "virtual_hosts": hosts})
            return Snapshot(clusters, listeners, configs)

        return snapshot


async def _serve(envoy_image: str) -> None:
    controller = Controller(Kube("wg-ai-gateway"), envoy_image)
    server = rpc.server(XDS_PORT)
    controller.ads.add_to(server)
    await server.start()
    await controller.run()


def main(argv: list[str]) -> None:
    """`--envoy-image IMAGE`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--envoy-image", default="docker.io/envoyproxy/envoy:v1.37-latest")
    rpc.run(_serve(parser.parse_args(argv).envoy_image))
