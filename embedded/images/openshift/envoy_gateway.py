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
import base64
import os
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from embedded.gatewayapi import attach, envoy
from embedded.gatewayapi.attach import GROUP
from embedded.gatewayapi.backends import Backends
from embedded.gatewayapi.controller import (
    SERVICES,
    GatewayController,
    Problem,
    Proxy,
    RouteTable,
    Translator,
)
from embedded.gatewayapi.routes import virtual_hosts
from embedded.images.kuadrant.shim_filters import PORT as SHIM_PORT
from embedded.images.kuadrant.wasm_shim import WASM_PLUGINS
from embedded.node.dns import HOSTNAME
from embedded.shared import rpc
from embedded.shared.kube import Kube
from embedded.shared.net import unprivileged
from embedded.shared.xds import Snapshot

GRANTS, SECRETS = f"{GROUP}/v1beta1/referencegrants", "v1/secrets"
DESTINATION_RULES = "networking.istio.io/v1/destinationrules"
SLICES = "discovery.k8s.io/v1/endpointslices"
RBAC, SHIM_ROLE = "rbac.authorization.k8s.io", "gateway-shim"
XDS_PORT = 15010
Object = dict[str, Any]


class Controller(GatewayController):
    """Gateways of class `openshift-default`."""

    name = "openshift.io/gateway-controller/v1"
    route_name = "{namespace}.{route}.{rule}.{match}"

    def __init__(self, kube: Kube, envoy_image: str, shim_image: str) -> None:
        watched = [GRANTS, DESTINATION_RULES, WASM_PLUGINS, SLICES, SECRETS]
        super().__init__(kube, envoy_image, watched)
        self._shim_image = shim_image

    def _translator(self) -> Translator:
        kinds = (SERVICES, SLICES, GRANTS, DESTINATION_RULES)
        return Backends(*(self._cache.list(kind) for kind in kinds))

    def _xds_address(self) -> tuple[str, int]:
        namespace = os.environ["POD_NAMESPACE"]
        return f"istiod-openshift-gateway.{namespace}.svc.cluster.local", XDS_PORT

    def _proxy(self, gateway: Object) -> Proxy:
        metadata, spec = gateway["metadata"], gateway["spec"]
        hosts = {li["hostname"] for li in spec["listeners"] if "hostname" in li}
        # The shim is part of Envoy in the real stack; here it is always there, idle or not.
        shim = {
            "name": "wasm-shim",
            "image": self._shim_image,
            "args": ["--gateway", f"{metadata['namespace']}/{metadata['name']}"],
            "readinessProbe": {"tcpSocket": {"port": SHIM_PORT}},
        }
        return Proxy(
            name=f"{metadata['name']}-{spec['gatewayClassName']}",
            labels={"gateway.networking.k8s.io/gateway-name": metadata["name"]},
            containers=[shim],
            annotations={HOSTNAME: ",".join(sorted(hosts))} if hosts else {},
        )

    def _owned(self, gateway: Object, proxy: Proxy, key: str) -> list[tuple[str, Object]]:
        namespace = gateway["metadata"]["namespace"]
        account = {"kind": "ServiceAccount", "name": proxy.name, "namespace": namespace}
        binding = {
            "metadata": {
                "name": proxy.name,
                "namespace": namespace,
                "ownerReferences": envoy.owned_by(gateway),
            },
            "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": SHIM_ROLE},
            "subjects": [account],
        }
        return [(f"{RBAC}/v1/rolebindings", binding), *super()._owned(gateway, proxy, key)]

    async def _deployed(self, gateway: Object, programmed: bool) -> None:
        """Say on each WasmPlugin that Envoy runs with it (Istio says nothing)."""
        for plugin in self._plugins(gateway) if programmed else []:
            await self._kube.set_status(WASM_PLUGINS, plugin, {"programmed": True})

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

    # -- listeners ----------------------------------------------------------------------

    def _listener_problem(self, gateway: Object, listener: Object) -> Problem | None:
        if listener["protocol"] not in ("HTTP", "HTTPS"):
            return "UnsupportedProtocol", f"protocol {listener['protocol']} is not supported"
        certificate = self._certificate(gateway, listener)
        if isinstance(certificate, str):
            return "InvalidCertificateRef", certificate
        return None

    def _certificate(self, gateway: Object, listener: Object) -> Object | str | None:
        """PEM texts for a TLS listener, why there are none, or None for plain HTTP."""
        if listener["protocol"] != "HTTPS":
            return None
        refs = listener.get("tls", {}).get("certificateRefs", [])
        if not refs:
            return "no certificateRefs"
        own = gateway["metadata"]["namespace"]
        namespace, name = refs[0].get("namespace", own), refs[0]["name"]
        to = {"group": "", "kind": "Secret", "name": name}
        if not attach.granted(self._cache.list(GRANTS), "Gateway", own, to, namespace):
            return f"no ReferenceGrant for Secret {namespace}/{name}"
        secret = self._cache.get(SECRETS, namespace, name)
        if secret is None or {"tls.crt", "tls.key"} - secret.get("data", {}).keys():
            return f"Secret {namespace}/{name} not found or without tls.crt and tls.key"
        data = {k: base64.b64decode(v).decode() for k, v in secret["data"].items()}
        return {"certificate": data["tls.crt"], "key": data["tls.key"]}

    def _snapshot(
        self, gateway: Object, routes: RouteTable, clusters: list[Object]
    ) -> Callable[[str], Snapshot]:
        filters = [envoy.EXT_PROC] if self._plugins(gateway) else []
        by_port: dict[int, list[Object]] = defaultdict(list)
        for li in gateway["spec"]["listeners"]:
            if self._listener_problem(gateway, li) is None:
                by_port[li["port"]].append(li)
        chains, configs = defaultdict(list), []
        for port, group in by_port.items():
            for li in group:
                config = f"{li['protocol'].lower()}.{port}.{li['name']}"
                tls = self._certificate(gateway, li)
                chain = envoy.filter_chain(config, filters, tls if isinstance(tls, dict) else None)
                if tls and "hostname" in li:  # who asks for another name finds nobody, as on Istio
                    chain["filter_chain_match"] = {"server_names": [li["hostname"]]}
                chains[port].append(chain)
                configs.append({"name": config, "virtual_hosts": virtual_hosts(routes[li["name"]])})

        def snapshot(address: str) -> Snapshot:
            listeners = [
                envoy.listener(f"0.0.0.0_{port}", address, unprivileged(port), found)
                for port, found in chains.items()
            ]
            local = envoy.static_cluster("wasm-shim", [(address, SHIM_PORT)], **envoy.http2())
            return Snapshot([*clusters, local], listeners, configs)

        return snapshot


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
