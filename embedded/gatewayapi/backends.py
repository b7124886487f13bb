"""Rules whose backendRefs are Services → Envoy routes, and clusters of their ready endpoints."""

from __future__ import annotations

from typing import Any

from embedded.gatewayapi import envoy
from embedded.gatewayapi.attach import granted
from embedded.gatewayapi.routes import Backend, Entry, envoy_routes
from embedded.shared.net import unprivileged

Object = dict[str, Any]
Problem = tuple[str, str]


class Backends:
    """Resolves backendRefs (`controller.Translator`) and remembers the clusters they need."""

    def __init__(
        self,
        services: list[Object],
        slices: list[Object],
        grants: list[Object],
        destination_rules: list[Object],
    ) -> None:
        self._services = {_key(s): s for s in services}
        self._slices, self._grants = slices, grants
        self._tls = {
            rule["spec"]["host"]
            for rule in destination_rules
            if rule["spec"].get("trafficPolicy", {}).get("tls", {}).get("mode") == "SIMPLE"
        }
        self._clusters: dict[str, Object] = {}

    def clusters(self) -> list[Object]:
        return list(self._clusters.values())

    def rule(self, route: Object, index: int, name: str) -> tuple[list[Entry], list[Problem]]:
        """As `controller.Translator` says."""
        rule, namespace = route["spec"]["rules"][index], route["metadata"]["namespace"]
        found, problems = [], []
        for ref in rule.get("backendRefs", []):
            backend = self._one(ref, namespace)
            if isinstance(backend, Backend):
                found.append(backend)
            else:
                problems.append(backend)
        return envoy_routes(route, index, name, found, bool(problems)), problems

    def _one(self, ref: Object, own: str) -> Backend | Problem:
        kind, name = ref.get("kind", "Service"), ref["name"]
        namespace = ref.get("namespace", own)
        if ref.get("group", "") or kind != "Service":
            text = f"referencing unsupported backendRef: group {ref.get('group')!r} kind {kind!r}"
            return "InvalidKind", text
        if not granted(self._grants, "HTTPRoute", own, ref, namespace):
            text = f"backendRef {name}/{namespace} not accessible to a HTTPRoute in namespace "
            return "RefNotPermitted", f'{text}"{own}" (missing a ReferenceGrant?)'
        service = self._services.get((namespace, name))
        if service is None:
            return "BackendNotFound", f"backend({name}.{namespace}.svc.cluster.local) not found"
        port = next((p for p in service["spec"]["ports"] if p["port"] == ref.get("port")), None)
        if port is None:
            text = f"Service {namespace}/{name} has no port {ref.get('port')}"
            return "BackendNotFound", text
        host = f"{name}.{namespace}.svc.cluster.local"
        cluster = f"outbound|{port['port']}||{host}"
        if cluster not in self._clusters:
            more = envoy.upstream_tls(host) if host in self._tls else {}
            found = self._endpoints(namespace, name, port.get("name", ""))
            self._clusters[cluster] = envoy.static_cluster(cluster, found, **more)
        return Backend(cluster, ref.get("weight", 1))

    def _endpoints(self, namespace: str, service: str, port_name: str) -> list[tuple[str, int]]:
        out = []
        for found in self._slices:
            labels = found["metadata"].get("labels", {})
            if labels.get("kubernetes.io/service-name") != service:
                continue
            if found["metadata"]["namespace"] != namespace:
                continue
            ports = {p.get("name", ""): p["port"] for p in found.get("ports") or []}
            out += [
                (address, unprivileged(ports[port_name]))
                for endpoint in found.get("endpoints") or []
                if (endpoint.get("conditions") or {}).get("ready") is not False
                and port_name in ports
                for address in endpoint["addresses"]
            ]
        return sorted(out)


def _key(obj: Object) -> tuple[str, str]:
    return obj["metadata"]["namespace"], obj["metadata"]["name"]
