"""The gateway controller behind GatewayClass `openshift-default` (Istio on OpenShift).

Stands for the OpenShift ingress operator with its istiod. Upstream: istio/istio
`pilot/pkg/config/kube/gateway` (conditions, Deployment and Service per Gateway, names),
openshift/cluster-ingress-operator `pkg/operator/controller/gatewayclass`. It serves its
Envoys over ADS, and knows of Istio's own API what the documents' stack uses:
`DestinationRule` TLS to a backend, and `WasmPlugin`, which puts the shim beside Envoy.
Left out: TLSRoute, GRPCRoute, TCPRoute, mTLS, sidecars, ServiceEntry, EnvoyFilter.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import os
from collections import defaultdict
from typing import Any

from embedded import rpc
from embedded.gatewayapi import attach, envoy
from embedded.gatewayapi.attach import GROUP, Attachment
from embedded.gatewayapi.backends import Backends
from embedded.gatewayapi.routes import envoy_routes, virtual_hosts
from embedded.gatewayapi.status import condition
from embedded.images.wasm_shim import PORT as SHIM_PORT
from embedded.images.wasm_shim import WASM_PLUGINS
from embedded.kube import Cache, Kube
from embedded.net import unprivileged
from embedded.node.dns import HOSTNAME
from embedded.xds import AdsServer, Snapshot

CONTROLLER = "openshift.io/gateway-controller/v1"
CLASSES, GATEWAYS = f"{GROUP}/v1/gatewayclasses", f"{GROUP}/v1/gateways"
ROUTES, GRANTS = f"{GROUP}/v1/httproutes", f"{GROUP}/v1beta1/referencegrants"
DESTINATION_RULES = "networking.istio.io/v1/destinationrules"
SERVICES, SLICES = "v1/services", "discovery.k8s.io/v1/endpointslices"
XDS_PORT = 15010
RBAC, SHIM_ROLE = "rbac.authorization.k8s.io", "gateway-shim"
Object = dict[str, Any]
Key = tuple[str, str]


class Controller:
    """Brings Gateways, their Envoys and their status in step."""

    def __init__(self, kube: Kube, envoy_image: str, shim_image: str) -> None:
        self._kube = kube
        self._envoy_image, self._shim_image = envoy_image, shim_image
        self._again = asyncio.Event()
        self.ads = AdsServer(self._again.set)
        watched = [CLASSES, GATEWAYS, ROUTES, GRANTS, DESTINATION_RULES, WASM_PLUGINS, SERVICES,
                   SLICES, "v1/secrets", "v1/namespaces"]  # fmt: skip
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
                accepted = condition(
                    "Accepted", True, "Accepted", "Handled by the gateway controller", found
                )
                await self._kube.set_status(CLASSES, found, {"conditions": [accepted]})
        parents: dict[Key, list[Object]] = defaultdict(list)
        for gateway in self._cache.list(GATEWAYS):
            if gateway["spec"]["gatewayClassName"] in own:
                await self._gateway(gateway, parents)
        for route in self._cache.list(ROUTES):
            metadata = route["metadata"]
            mine = parents.get((metadata["namespace"], metadata["name"]), [])
            others = [
                p
                for p in route.get("status", {}).get("parents", [])
                if p["controllerName"] != CONTROLLER
            ]
            if mine or others or route.get("status", {}).get("parents"):
                await self._kube.set_status(ROUTES, route, {"parents": others + mine})

    # -- one Gateway --------------------------------------------------------------------

    async def _gateway(self, gateway: Object, parents: dict[Key, list[Object]]) -> None:
        namespaces = {
            n["metadata"]["name"]: n["metadata"].get("labels", {})
            for n in self._cache.list("v1/namespaces")
        }
        attachments = [
            attach.attach(route, ref, gateway, namespaces)
            for route in self._cache.list(ROUTES)
            for ref in attach.parents_of(route, gateway)
        ]
        backends = Backends(
            self._cache.list(SERVICES),
            self._cache.list(SLICES),
            self._cache.list(GRANTS),
            self._cache.list(DESTINATION_RULES),
        )
        routes: dict[str, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
        for found in attachments:
            problems = self._translate(found, backends, routes)
            metadata = found.route["metadata"]
            parent = _parent_status(found, problems)
            parents[metadata["namespace"], metadata["name"]].append(parent)
        certificates = {li["name"]: self._certificate(gateway, li) for li in
                        gateway["spec"]["listeners"]}  # fmt: skip
        shim = bool(self._plugins(gateway))
        metadata = gateway["metadata"]
        key = f"{metadata['namespace']}/{metadata['name']}"

        def snapshot(address: str) -> Snapshot:
            return _snapshot(gateway, routes, backends.clusters(), certificates, shim, address)

        self.ads.publish(key, snapshot)
        await self._deploy(gateway)
        if shim and self.ads.state(key) == (True, ""):
            await self._plugins_programmed(gateway)
        await self._gateway_status(gateway, attachments, certificates, key)

    def _translate(
        self,
        found: Attachment,
        backends: Backends,
        routes: dict[str, dict[str, list[Any]]],
    ) -> list[tuple[str, str]]:
        """Add a route's rules to its listeners; the problems of its backendRefs."""
        metadata, problems = found.route["metadata"], []
        for index, rule in enumerate(found.route["spec"].get("rules", [])):
            resolved, broken = backends.resolve(rule, metadata["namespace"])
            problems += broken
            name = f"{metadata['namespace']}.{metadata['name']}.{index}.{{match}}"
            entries = envoy_routes(found.route, index, name, resolved, bool(broken))
            for listener, hosts in found.listeners.items():
                for host in hosts:
                    routes[listener][host] += entries
        return problems

    def _certificate(self, gateway: Object, listener: Object) -> Object | str | None:
        """PEM texts for a TLS listener, why there are none, or None for plain HTTP."""
        if listener["protocol"] != "HTTPS":
            return None
        refs = listener.get("tls", {}).get("certificateRefs", [])
        if not refs:
            return "no certificateRefs"
        namespace = refs[0].get("namespace", gateway["metadata"]["namespace"])
        own = gateway["metadata"]["namespace"]
        to = {"group": "", "kind": "Secret", "name": refs[0]["name"]}
        grants = self._cache.list(GRANTS)
        if not attach.granted(grants, "Gateway", own, to, namespace):
            return f"no ReferenceGrant for Secret {namespace}/{refs[0]['name']}"
        secret = self._cache.get("v1/secrets", namespace, refs[0]["name"])
        if secret is None or {"tls.crt", "tls.key"} - secret.get("data", {}).keys():
            return f"Secret {namespace}/{refs[0]['name']} not found or without tls.crt and tls.key"
        data = {k: base64.b64decode(v).decode() for k, v in secret["data"].items()}
        return {"certificate": data["tls.crt"], "key": data["tls.key"]}

    def _plugins(self, gateway: Object) -> list[Object]:
        metadata = gateway["metadata"]
        return [
            plugin
            for plugin in self._cache.list(WASM_PLUGINS, metadata["namespace"])
            if any(
                ref["kind"] == "Gateway" and ref["name"] == metadata["name"]
                for ref in plugin["spec"].get("targetRefs", [])
            )
        ]

    async def _plugins_programmed(self, gateway: Object) -> None:
        """Say on each WasmPlugin that Envoy runs with it (Istio says nothing)."""
        for plugin in self._plugins(gateway):
            await self._kube.set_status(WASM_PLUGINS, plugin, {"programmed": True})

    # -- what a Gateway owns ------------------------------------------------------------

    async def _deploy(self, gateway: Object) -> None:
        metadata, spec = gateway["metadata"], gateway["spec"]
        namespace = metadata["namespace"]
        name = f"{metadata['name']}-{spec['gatewayClassName']}"
        labels = {"gateway.networking.k8s.io/gateway-name": metadata["name"]}
        common = {"namespace": namespace, "ownerReferences": envoy.owned_by(gateway)}
        numbers = sorted({li["port"] for li in spec["listeners"]})
        container_ports = [{"containerPort": unprivileged(n), "name": f"p{n}"} for n in numbers]
        containers = [envoy.container(self._envoy_image, f"{namespace}/{metadata['name']}",
                                      container_ports)]  # fmt: skip
        # The shim is part of Envoy in the real stack; here it is always there, idle or not.
        containers.append(
            {
                "name": "wasm-shim",
                "image": self._shim_image,
                "args": ["--gateway", f"{namespace}/{metadata['name']}"],
                "readinessProbe": {"tcpSocket": {"port": SHIM_PORT}},
            }
        )
        xds_host = f"istiod-openshift-gateway.{os.environ['POD_NAMESPACE']}.svc.cluster.local"
        hosts = {li["hostname"] for li in spec["listeners"] if "hostname" in li}
        ports = [{"name": f"p{n}", "port": n, "targetPort": unprivileged(n)} for n in numbers]
        annotations = {HOSTNAME: ",".join(sorted(hosts))} if hosts else {}
        template = {
            "metadata": {"labels": labels},
            "spec": {
                "serviceAccountName": name,
                "terminationGracePeriodSeconds": 1,
                "containers": containers,
                "volumes": [{"name": "bootstrap", "configMap": {"name": name}}],
            },
        }
        role = {"apiGroup": RBAC, "kind": "ClusterRole", "name": SHIM_ROLE}
        owned: list[tuple[str, Object]] = [
            (
                f"{RBAC}/v1/rolebindings",
                {
                    "metadata": {"name": name, **common},
                    "roleRef": role,
                    "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
                },
            ),
            ("v1/serviceaccounts", {"metadata": {"name": name, **common}}),
            (
                "v1/configmaps",
                {
                    "metadata": {"name": name, **common},
                    "data": {"envoy.json": envoy.bootstrap(xds_host, XDS_PORT)},
                },
            ),
            (
                "v1/services",
                {
                    "metadata": {"name": name, **common, "annotations": annotations},
                    "spec": {"type": "LoadBalancer", "selector": labels, "ports": ports},
                },
            ),
            (
                "apps/v1/deployments",
                {
                    "metadata": {"name": name, **common, "labels": labels},
                    "spec": {"selector": {"matchLabels": labels}, "template": template},
                },
            ),
        ]
        for resource, body in owned:
            await self._kube.apply(resource, body)

    async def _gateway_status(
        self,
        gateway: Object,
        attachments: list[Attachment],
        certificates: dict[str, Object | str | None],
        key: str,
    ) -> None:
        metadata, spec = gateway["metadata"], gateway["spec"]
        service = self._cache.get(
            SERVICES, metadata["namespace"], f"{metadata['name']}-{spec['gatewayClassName']}"
        )
        ingress = (service or {}).get("status", {}).get("loadBalancer", {}).get("ingress", [])
        running, refused = self.ads.state(key)
        listeners = [
            _listener_status(gateway, li, attachments, certificates[li["name"]])
            for li in spec["listeners"]
        ]
        if refused:
            text = f"Envoy refused the configuration: {refused}"
            programmed = condition("Programmed", False, "Invalid", text, gateway)
        elif not running or not ingress:
            text = "waiting for the Deployment's Envoy to take its configuration"
            programmed = condition("Programmed", False, "Pending", text, gateway)
        else:
            text = f"Resource programmed, assigned to service(s) {ingress[0]['ip']}"
            programmed = condition("Programmed", True, "Programmed", text, gateway)
        accepted = condition("Accepted", True, "Accepted", "Resource accepted", gateway)
        addresses = [{"type": "IPAddress", "value": i["ip"]} for i in ingress]
        status = {
            "addresses": addresses,
            "conditions": [accepted, programmed],
            "listeners": listeners,
        }
        await self._kube.set_status(GATEWAYS, gateway, status)


def _snapshot(
    gateway: Object,
    routes: dict[str, dict[str, list[Any]]],
    clusters: list[Object],
    certificates: dict[str, Object | str | None],
    shim: bool,
    address: str,
) -> Snapshot:
    listeners, configs = [], []
    filters = [envoy.EXT_PROC] if shim else []
    by_port: dict[int, list[Object]] = defaultdict(list)
    for li in gateway["spec"]["listeners"]:
        by_port[li["port"]].append(li)
    for port, group in by_port.items():
        chains = []
        for li in group:
            tls = certificates[li["name"]]
            if isinstance(tls, str):
                continue
            config = f"{li['protocol'].lower()}.{port}.{li['name']}"
            chain = envoy.filter_chain(config, filters, tls)
            if tls and "hostname" in li and len(group) > 1:
                chain["filter_chain_match"] = {"server_names": [li["hostname"]]}
            chains.append(chain)
            configs.append({"name": config, "virtual_hosts": virtual_hosts(routes[li["name"]])})
        if chains:
            real = unprivileged(port)
            listeners.append(envoy.listener(f"0.0.0.0_{port}", address, real, chains))
    local = envoy.static_cluster("wasm-shim", [(address, SHIM_PORT)], **envoy.http2())
    return Snapshot([*clusters, local], listeners, configs)


def _parent_status(found: Attachment, problems: list[tuple[str, str]]) -> Object:
    route = found.route
    accepted = condition(
        "Accepted",
        not found.reason,
        found.reason or "Accepted",
        found.message or "Route was valid",
        route,
    )
    reason, message = problems[0] if problems else ("ResolvedRefs", "All references resolved")
    resolved = condition("ResolvedRefs", not problems, reason, message, route)
    ref = {"group": GROUP, "kind": "Gateway", **found.parent_ref}
    return {"controllerName": CONTROLLER, "parentRef": ref, "conditions": [accepted, resolved]}


def _listener_status(
    gateway: Object,
    listener: Object,
    attachments: list[Attachment],
    certificate: Object | str | None,
) -> Object:
    broken = certificate if isinstance(certificate, str) else ""
    supported = listener["protocol"] in ("HTTP", "HTTPS")
    count = sum(listener["name"] in a.listeners for a in attachments)
    reason = "Accepted" if supported else "UnsupportedProtocol"
    text = "No errors found" if supported else f"protocol {listener['protocol']} is not supported"
    return {
        "name": listener["name"],
        "attachedRoutes": count,
        "supportedKinds": [{"group": GROUP, "kind": "HTTPRoute"}],
        "conditions": [
            condition("Accepted", supported, reason, text, gateway),
            condition("Conflicted", False, "NoConflicts", "No errors found", gateway),
            condition(
                "ResolvedRefs",
                not broken,
                "InvalidCertificateRef" if broken else "ResolvedRefs",
                broken or "No errors found",
                gateway,
            ),
            condition(
                "Programmed",
                supported and not broken,
                "Invalid" if broken or not supported else "Programmed",
                broken or "No errors found",
                gateway,
            ),
        ],
    }


async def _serve(envoy_image: str, shim_image: str) -> None:
    controller = Controller(Kube("istiod"), envoy_image, shim_image)
    server = rpc.server(XDS_PORT)
    controller.ads.add_to(server)
    await server.start()
    await controller.run()


def main(argv: list[str]) -> None:
    """`--envoy-image IMAGE --shim-image IMAGE`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--envoy-image", required=True)
    parser.add_argument("--shim-image", required=True)
    flags = parser.parse_args(argv)
    rpc.run(_serve(flags.envoy_image, flags.shim_image))
