"""The wg-ai-gateway controller: Gateways of class `wg-ai-gateway` → Envoy over ADS.

Stands for ghcr.io/nerdalert/wg-ai-gateway. Upstream: kubernetes-sigs/wg-ai-gateway
`pkg/controllers`, `pkg/deployer/envoy` (what it creates for a Gateway),
`pkg/translator/envoy` (names, filters, clusters), with the prefix rewrite of its
pull request 38: a replacement of `/` makes no `//`.
Left out: `Service` destinations of other namespaces, Mutual TLS, MCP.
"""

from __future__ import annotations

import argparse
import asyncio
import os
from collections import defaultdict
from typing import Any

from embedded import rpc
from embedded.gatewayapi import attach, envoy
from embedded.gatewayapi.attach import GROUP, Attachment
from embedded.gatewayapi.routes import Backend, envoy_routes, virtual_hosts
from embedded.gatewayapi.status import condition
from embedded.kube import Cache, Kube
from embedded.net import unprivileged
from embedded.xds import AdsServer, Snapshot

CONTROLLER = "sigs.k8s.io/wg-ai-gateway-envoy-controller"
BACKEND_GROUP = "ainetworking.prototype.x-k8s.io"
BACKENDS = f"{BACKEND_GROUP}/v0alpha0/xbackenddestinations"
CLASSES, GATEWAYS = f"{GROUP}/v1/gatewayclasses", f"{GROUP}/v1/gateways"
ROUTES, SERVICES = f"{GROUP}/v1/httproutes", "v1/services"
XDS_PORT = 15001
Object = dict[str, Any]
Problem = tuple[str, str]


class Controller:
    """Brings Gateways of this controller's classes, their Envoys and their status in step."""

    def __init__(self, kube: Kube, envoy_image: str) -> None:
        self._kube, self._image = kube, envoy_image
        self._again = asyncio.Event()
        self.ads = AdsServer(self._again.set)
        watched = [CLASSES, GATEWAYS, ROUTES, BACKENDS, SERVICES, "v1/namespaces"]
        self._cache = Cache(kube, watched)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._cache.run(self._reconcile))
            tasks.create_task(self._on_acks())

    async def _on_acks(self) -> None:
        while True:
            await self._again.wait()
            self._again.clear()
            self._cache.touch()

    async def _reconcile(self) -> None:
        own = set()
        for found in self._cache.list(CLASSES):
            if found["spec"]["controllerName"] == CONTROLLER:
                own.add(found["metadata"]["name"])
                accepted = condition("Accepted", True, "Accepted", "GatewayClass accepted", found)
                await self._kube.set_status(CLASSES, found, {"conditions": [accepted]})
        parents: dict[tuple[str, str], list[Object]] = defaultdict(list)
        for gateway in self._cache.list(GATEWAYS):
            if gateway["spec"]["gatewayClassName"] in own:
                await self._gateway(gateway, parents)
        for route in self._cache.list(ROUTES):
            metadata = route["metadata"]
            mine = parents.get((metadata["namespace"], metadata["name"]), [])
            current = route.get("status", {}).get("parents", [])
            others = [p for p in current if p["controllerName"] != CONTROLLER]
            if mine or len(others) != len(current):
                await self._kube.set_status(ROUTES, route, {"parents": others + mine})

    async def _gateway(self, gateway: Object, parents: dict[tuple[str, str], list[Object]]) -> None:
        namespaces = {
            n["metadata"]["name"]: n["metadata"].get("labels", {})
            for n in self._cache.list("v1/namespaces")
        }
        attachments = [
            attach.attach(route, ref, gateway, namespaces)
            for route in self._cache.list(ROUTES)
            for ref in attach.parents_of(route, gateway)
        ]
        clusters: dict[str, Object] = {}
        routes: dict[str, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
        for found in attachments:
            problems = self._translate(found, clusters, routes)
            metadata = found.route["metadata"]
            parent = _parent_status(found, problems)
            parents[metadata["namespace"], metadata["name"]].append(parent)
        metadata = gateway["metadata"]
        key = f"{metadata['namespace']}/{metadata['name']}"

        def snapshot(address: str) -> Snapshot:
            return _snapshot(gateway, routes, list(clusters.values()), address)

        self.ads.publish(key, snapshot)
        await self._deploy(gateway)
        await self._status(gateway, attachments, key)

    def _translate(
        self,
        found: Attachment,
        clusters: dict[str, Object],
        routes: dict[str, dict[str, list[Any]]],
    ) -> list[Problem]:
        metadata, problems = found.route["metadata"], []
        for index, rule in enumerate(found.route["spec"].get("rules", [])):
            resolved, broken = [], []
            for ref in rule.get("backendRefs", []):
                cluster = self._cluster(ref, metadata["namespace"])
                if isinstance(cluster, tuple):
                    broken.append(cluster)
                else:
                    clusters[cluster["name"]] = cluster
                    resolved.append(Backend(cluster["name"], ref.get("weight", 1)))
            problems += broken
            name = f"{metadata['namespace']}-{metadata['name']}-rule{index}-match{{match}}"
            entries = envoy_routes(found.route, index, name, resolved, bool(broken))
            for listener, hosts in found.listeners.items():
                for host in hosts:
                    routes[listener][host] += entries
        return problems

    def _cluster(self, ref: Object, namespace: str) -> Object | Problem:
        """The Envoy cluster of a backendRef, or why there is none."""
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

    def _destination(self, backend: Object, ref: Object, namespace: str) -> Object | Problem:
        destination, name = backend["spec"]["destination"], ref["name"]
        ports = destination.get("ports", [])
        port = next((p for p in ports if ref.get("port") in (None, p["number"])), None)
        if port is None:
            return "BackendNotFound", f"backend {namespace}/{name} has no port {ref.get('port')}"
        host = destination.get("fqdn", {}).get("hostname", "")
        if destination["type"] == "Service":
            host = (
                f"{destination.get('service', {}).get('name', name)}.{namespace}.svc.cluster.local"
            )
        more: Object = {}
        if port.get("tls", {}).get("mode") == "Simple":
            more |= envoy.upstream_tls(host)
        if port.get("protocol") == "HTTP2":
            more |= envoy.http2()
        number = port["number"]
        return envoy.dns_cluster(f"{namespace}-{name}-{number}", host, number, **more)

    async def _deploy(self, gateway: Object) -> None:
        metadata, spec = gateway["metadata"], gateway["spec"]
        name, namespace = f"envoy-{metadata['name']}", metadata["namespace"]
        labels = {"app": name}
        common = {"namespace": namespace, "ownerReferences": envoy.owned_by(gateway)}
        numbers = sorted({li["port"] for li in spec["listeners"]})
        ports = [{"containerPort": unprivileged(n), "name": f"p{n}"} for n in numbers]
        container = envoy.container(self._image, f"{namespace}/{metadata['name']}", ports)
        xds_host = f"ai-gateway-controller.{os.environ['POD_NAMESPACE']}.svc.cluster.local"
        pod = {
            "serviceAccountName": name,
            "terminationGracePeriodSeconds": 1,
            "containers": [container],
            "volumes": [{"name": "bootstrap", "configMap": {"name": name}}],
        }
        service_ports = [
            {"name": f"p{n}", "port": n, "targetPort": unprivileged(n)} for n in numbers
        ]
        bootstrap = {"envoy.json": envoy.bootstrap(xds_host, XDS_PORT)}
        template = {"metadata": {"labels": labels}, "spec": pod}
        owned: list[tuple[str, Object]] = [
            ("v1/serviceaccounts", {}),
            ("v1/configmaps", {"data": bootstrap}),
            (
                "v1/services",
                {"spec": {"type": "LoadBalancer", "selector": labels, "ports": service_ports}},
            ),
            (
                "apps/v1/deployments",
                {"spec": {"selector": {"matchLabels": labels}, "template": template}},
            ),
        ]
        for resource, body in owned:
            named = {"name": name, **common, "labels": labels}
            await self._kube.apply(resource, {"metadata": named, **body})

    async def _status(self, gateway: Object, attachments: list[Attachment], key: str) -> None:
        metadata = gateway["metadata"]
        name = f"envoy-{metadata['name']}"
        service = self._cache.get(SERVICES, metadata["namespace"], name) or {}
        ingress = service.get("status", {}).get("loadBalancer", {}).get("ingress", [])
        running, refused = self.ads.state(key)
        ready = running and bool(ingress) and not refused
        text = f"Envoy refused: {refused}" if refused else "waiting for Envoy"
        programmed = condition(
            "Programmed",
            ready,
            "Programmed" if ready else "Invalid" if refused else "Pending",
            "Gateway programmed" if ready else text,
            gateway,
        )
        listeners = [
            {
                "name": li["name"],
                "attachedRoutes": sum(li["name"] in a.listeners for a in attachments),
                "supportedKinds": [{"group": GROUP, "kind": "HTTPRoute"}],
                "conditions": [
                    condition("Accepted", True, "Accepted", "Listener accepted", gateway),
                    condition("Programmed", True, "Programmed", "Listener programmed", gateway),
                    condition("ResolvedRefs", True, "ResolvedRefs", "No references", gateway),
                ],
            }
            for li in gateway["spec"]["listeners"]
        ]
        accepted = condition("Accepted", True, "Accepted", "Gateway accepted", gateway)
        status = {
            "addresses": [{"type": "IPAddress", "value": i["ip"]} for i in ingress],
            "conditions": [accepted, programmed],
            "listeners": listeners,
        }
        await self._kube.set_status(GATEWAYS, gateway, status)


def _snapshot(
    gateway: Object, routes: dict[str, dict[str, list[Any]]], clusters: list[Object], address: str
) -> Snapshot:
    listeners, configs = [], []
    for li in gateway["spec"]["listeners"]:
        config, port = f"route-{li['port']}", li["port"]
        chain = envoy.filter_chain(config, [], edge=False)
        real = unprivileged(port)
        listeners.append(envoy.listener(f"listener-{port}", address, real, [chain]))
        configs.append({"name": config, "virtual_hosts": virtual_hosts(routes[li["name"]])})
    return Snapshot(clusters, listeners, configs)


def _parent_status(found: Attachment, problems: list[Problem]) -> Object:
    route = found.route
    reason, message = problems[0] if problems else ("ResolvedRefs", "All references resolved")
    return {
        "controllerName": CONTROLLER,
        "parentRef": {"group": GROUP, "kind": "Gateway", **found.parent_ref},
        "conditions": [
            condition(
                "Accepted",
                not found.reason,
                found.reason or "Accepted",
                found.message or "Route accepted",
                route,
            ),
            condition("ResolvedRefs", not problems, reason, message, route),
        ],
    }


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
