"""The Kuadrant operator: policies → AuthConfigs, limits, and the shim's action sets.

Stands for quay.io/kuadrant/kuadrant-operator (and the limitador-operator). Upstream:
Kuadrant/kuadrant-operator `internal/controller/{auth,ratelimit,tokenratelimit}_*`,
`internal/wasm`, `api/v1/merge_strategies.go`; conditions from `api/v1/…_types.go`.
A Kuadrant object is Ready at once: what it would install is there with the operator.
Left out: `sectionName` targets, the `merge` strategy, TLSPolicy, DNSPolicy, extensions.
"""

from __future__ import annotations

import argparse
import json
import os
from typing import Any

import yaml

from embedded.gatewayapi.attach import GROUP
from embedded.gatewayapi.status import condition, is_true, status_of
from embedded.images.kuadrant.kuadrant_affected import gateway_status, route_parents
from embedded.images.kuadrant.kuadrant_config import (
    action_sets,
    auth_config,
    limitador_limits,
    services,
)
from embedded.images.kuadrant.kuadrant_policies import AUTH, RATE, TOKEN, Kind, Path, named
from embedded.images.kuadrant.kuadrant_topology import Topology
from embedded.shared import rpc
from embedded.shared.kube import Cache, Kube

CLASSES, GATEWAYS = f"{GROUP}/v1/gatewayclasses", f"{GROUP}/v1/gateways"
ROUTES = f"{GROUP}/v1/httproutes"
AUTH_CONFIGS = "authorino.kuadrant.io/v1beta3/authconfigs"
KUADRANTS = "kuadrant.io/v1beta1/kuadrants"
WASM_PLUGINS = "extensions.istio.io/v1alpha1/wasmplugins"
CONFIG_MAPS = "v1/configmaps"
LIMITS = "limitador-limits-config-limitador"
SHIM_URL = "oci://quay.io/kuadrant/wasm-shim:latest"
KINDS = (AUTH, RATE, TOKEN)
Object = dict[str, Any]


class Operator:
    """Reconciles everything after every change."""

    def __init__(self, kube: Kube, namespace: str, timeouts: dict[str, str]) -> None:
        self._kube, self._namespace, self._timeouts = kube, namespace, timeouts
        watched = [CLASSES, GATEWAYS, ROUTES, AUTH_CONFIGS, WASM_PLUGINS, KUADRANTS]
        self._cache = Cache(kube, [*watched, *(kind.resource for kind in KINDS)])

    async def run(self) -> None:
        await self._cache.run(self._reconcile)

    async def _reconcile(self) -> None:
        topology = Topology(
            self._cache.list(CLASSES),
            self._cache.list(GATEWAYS),
            self._cache.list(ROUTES),
            {kind: self._cache.list(kind.resource) for kind in KINDS},
        )
        await self._auth_configs(topology.paths)
        await self._limits(topology.paths)
        await self._plugins(topology)
        for kind in KINDS:
            for policy in topology.policies[kind]:
                await self._status(kind, policy, topology)
        for one in self._cache.list(KUADRANTS):
            ready = condition("Ready", True, "Ready", "Kuadrant is ready", one)
            await self._kube.set_status(KUADRANTS, one, {"conditions": [ready]})
        for gateway in topology.gateways:
            await self._kube.set_status(GATEWAYS, gateway, gateway_status(gateway, topology))
        for route in topology.routes:
            parents = route_parents(route, topology)
            if parents or status_of(route).get("parents"):
                await self._kube.set_status(ROUTES, route, {"parents": parents})

    # -- what it writes -----------------------------------------------------------------

    async def _auth_configs(self, paths: list[Path]) -> None:
        wanted = {}
        for path in paths:
            if policy := path.enforced.get(AUTH):
                wanted[path.scope] = auth_config(path.scope, self._namespace, policy)
        for config in wanted.values():
            await self._kube.apply(AUTH_CONFIGS, config)
        for old in self._cache.list(AUTH_CONFIGS, self._namespace):
            name = old["metadata"]["name"]
            ours = old["metadata"].get("labels", {}).get("kuadrant.io/managed") == "true"
            if ours and name not in wanted:
                await self._kube.delete(AUTH_CONFIGS, self._namespace, name)

    async def _limits(self, paths: list[Path]) -> None:
        limits = [
            limit
            for path in paths
            for kind in (RATE, TOKEN)
            if (policy := path.enforced.get(kind))
            for limit in limitador_limits(kind, path.route_key, policy)
        ]
        # The same route behind two Gateways has one scope, and so one set of limits.
        unique = {json.dumps(limit): limit for limit in limits}
        ordered = [unique[key] for key in sorted(unique)]
        body = {
            "metadata": {"name": LIMITS, "namespace": self._namespace},
            "data": {"limitador-config.yaml": yaml.dump(ordered, Dumper=yaml.CSafeDumper)},
        }
        await self._kube.apply(CONFIG_MAPS, body)

    async def _plugins(self, topology: Topology) -> None:
        for gateway in topology.gateways:
            namespace, name = gateway["metadata"]["namespace"], gateway["metadata"]["name"]
            paths = [p for p in topology.paths if p.gateway is gateway]
            sets = action_sets(paths)
            plugin = f"kuadrant-{name}"
            if not sets:
                if self._cache.get(WASM_PLUGINS, namespace, plugin):
                    await self._kube.delete(WASM_PLUGINS, namespace, plugin)
                continue
            spec = {
                "phase": "STATS",
                "url": SHIM_URL,
                "targetRefs": [{"group": GROUP, "kind": "Gateway", "name": name}],
                "pluginConfig": {
                    "services": services(self._namespace, self._timeouts),
                    "actionSets": sets,
                },
            }
            metadata = {"name": plugin, "namespace": namespace}
            await self._kube.apply(WASM_PLUGINS, {"metadata": metadata, "spec": spec})

    # -- conditions ---------------------------------------------------------------------

    async def _status(self, kind: Kind, policy: Object, topology: Topology) -> None:
        problem = topology.problem(kind, policy)
        conditions = [
            condition(
                "Accepted",
                problem is None,
                problem[0] if problem else "Accepted",
                problem[1] if problem else f"{kind.name} has been accepted",
                policy,
            )
        ]
        if problem is None:
            reason, message = self._enforced(kind, policy, topology)
            holds = reason == "Enforced"
            conditions.append(condition("Enforced", holds, reason, message, policy))
        for one in conditions:  # of which generation they are, the status says for all of them
            del one["observedGeneration"]
        status = {
            "conditions": conditions,
            "observedGeneration": policy["metadata"]["generation"],
        }
        await self._kube.set_status(kind.resource, policy, status)

    def _enforced(self, kind: Kind, policy: Object, topology: Topology) -> tuple[str, str]:
        under = [p for p in topology.paths if policy in p.candidates.get(kind, [])]
        if not under:
            return "Unknown", f"{kind.name} is not in the path to any existing routes"
        mine = [p for p in under if p.effective.get(kind) is policy]
        if not mine:
            winners = {named(p.effective[kind]) for p in under}
            listing = ", ".join(sorted(winners))
            return "Overridden", f"{kind.name} is overridden by [{listing}]"
        if text := topology.invalid(kind, policy):
            return "InvalidCelExpression", text
        for path in mine:
            found = self._cache.get(AUTH_CONFIGS, self._namespace, path.scope)
            if kind is AUTH and not (is_true(found, "Ready") or _stays_enforced(policy)):
                return "Unknown", f"AuthConfig {path.scope[:12]} is not ready"
            plugin = f"kuadrant-{path.gateway['metadata']['name']}"
            namespace = path.gateway["metadata"]["namespace"]
            found = self._cache.get(WASM_PLUGINS, namespace, plugin)
            if not _in_effect(found) and not _stays_enforced(policy):
                return "Unknown", f"WasmPlugin {plugin} is not in effect yet"
        return "Enforced", f"{kind.name} has been successfully enforced"


def _stays_enforced(policy: Object) -> bool:
    """A policy in force is not out of it because another one is on its way."""
    is_seen = status_of(policy).get("observedGeneration") == policy["metadata"]["generation"]
    return is_seen and is_true(policy, "Enforced")


def _in_effect(plugin: Object | None) -> bool:
    """Whether Envoy and the shim run with a WasmPlugin.

    The real operator is content when it exists; here Enforced can be relied upon.
    """
    if plugin is None:
        return False
    status = status_of(plugin)
    loaded = status.get("loadedGeneration") == plugin["metadata"]["generation"]
    return bool(loaded and status.get("programmed"))


def main(argv: list[str]) -> None:
    """`--auth-timeout 200ms --limit-timeout 100ms`: Kuadrant's defaults."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--auth-timeout", default=os.environ.get("AUTH_SERVICE_TIMEOUT", "200ms"))
    parser.add_argument(
        "--limit-timeout", default=os.environ.get("RATELIMIT_SERVICE_TIMEOUT", "100ms")
    )
    flags = parser.parse_args(argv)
    timeouts = {"auth": flags.auth_timeout, "limit": flags.limit_timeout}
    operator = Operator(Kube("kuadrant-operator"), os.environ["POD_NAMESPACE"], timeouts)
    rpc.run(operator.run())
