"""What every Gateway API controller does; a subclass says how its data plane does it.

Source: gateway-api `apis/v1` (conditions and their reasons), `geps/gep-1364` (status).
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from embedded.gatewayapi import attach, envoy
from embedded.gatewayapi.attach import GROUP, Attachment
from embedded.gatewayapi.routes import Entry
from embedded.gatewayapi.status import (
    beside,
    condition,
    conditions_of,
    in_place,
    is_true_now,
    status_of,
)
from embedded.shared.kube import Cache, Key, Kube
from embedded.shared.net import unprivileged
from embedded.shared.xds import AdsServer, Snapshot

CLASSES, GATEWAYS = f"{GROUP}/v1/gatewayclasses", f"{GROUP}/v1/gateways"
ROUTES, SERVICES, NAMESPACES = f"{GROUP}/v1/httproutes", "v1/services", "v1/namespaces"
Object = dict[str, Any]
Problem = tuple[str, str]  # (reason of ResolvedRefs=False, message)
_BROKEN_REF = "InvalidCertificateRef"
RouteTable = dict[str, dict[str, list[Entry]]]  # listener name → host name → Envoy routes


class Translator(Protocol):
    """Turns the rules of a Gateway's routes into Envoy's, and their backendRefs into clusters."""

    def rule(self, route: Object, index: int, name: str) -> tuple[list[Entry], list[Problem]]:
        """The Envoy routes of a rule, whose `name` has a `{match}` to fill in, and what is wrong
        with it."""

    def clusters(self) -> list[Object]:
        """The clusters that the rules so far lead to."""


@dataclass(frozen=True)
class Proxy:
    """What runs for a Gateway: its name, labels, extra containers, and Service annotations."""

    name: str
    labels: dict[str, str]
    containers: list[Object]
    annotations: dict[str, str]


class GatewayController(ABC):
    """Brings the Gateways of its classes, their Envoys and their status in step."""

    name: str  # GatewayClass `spec.controllerName`
    envoy_flags: tuple[str, ...] = envoy.DRAINED_AT_ONCE  # beside those that every Envoy has
    envoy_level = "warning"  # from which on it logs
    deployment: Object = {}  # more of each Envoy's
    route_name: str  # of Envoy routes: {namespace}, {route}, {rule} and {match} are filled in

    def __init__(self, kube: Kube, envoy_image: str, watched: list[str]) -> None:
        self._kube, self._image = kube, envoy_image
        self._acked = asyncio.Event()
        self.ads = AdsServer(self._acked.set)
        self._cache = Cache(kube, [CLASSES, GATEWAYS, ROUTES, SERVICES, NAMESPACES, *watched])

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._cache.run(self._reconcile))
            tasks.create_task(self._on_acks())

    async def _on_acks(self) -> None:
        while True:
            await self._acked.wait()
            self._acked.clear()
            self._cache.touch()

    # -- for the subclass ---------------------------------------------------------------

    @abstractmethod
    def _translator(self) -> Translator: ...

    @abstractmethod
    def _proxy(self, gateway: Object) -> Proxy: ...

    @abstractmethod
    def _xds_address(self) -> tuple[str, int]: ...

    @abstractmethod
    def _snapshot(
        self, gateway: Object, routes: RouteTable, clusters: list[Object]
    ) -> Callable[[str], Snapshot]: ...

    @abstractmethod
    def _listener_problem(self, gateway: Object, listener: Object) -> Problem | None:
        """Why a listener cannot be programmed: (reason, message)."""

    async def _deployed(self, gateway: Object, programmed: bool) -> None:
        """Called after a Gateway's objects were applied; nothing more by default."""
        return

    def _taken(self, own: set[str]) -> list[Object]:
        """The Gateways to look after, given the names of the controller's classes."""
        return [g for g in self._cache.list(GATEWAYS) if g["spec"]["gatewayClassName"] in own]

    # -- the loop -----------------------------------------------------------------------

    async def _reconcile(self) -> None:
        own = set()
        for found in self._cache.list(CLASSES):
            if found["spec"]["controllerName"] == self.name:
                own.add(found["metadata"]["name"])
                accepted = condition("Accepted", True, "Accepted", "GatewayClass accepted", found)
                await self._kube.set_status(CLASSES, found, {"conditions": [accepted]})
        parents: dict[Key, list[Object]] = defaultdict(list)
        for gateway in self._taken(own):
            await self._gateway(gateway, parents)
        for route in self._cache.list(ROUTES):
            metadata = route["metadata"]
            mine = parents.get((metadata["namespace"], metadata["name"]), [])
            await self._route_status(route, mine)

    async def _gateway(self, gateway: Object, parents: dict[Key, list[Object]]) -> None:
        """Deploy and configure a Gateway's Envoy; what is to be said of its routes goes to
        `parents`."""
        namespaces = {
            n["metadata"]["name"]: n["metadata"].get("labels", {})
            for n in self._cache.list(NAMESPACES)
        }
        attachments = [
            attach.attach(route, ref, gateway, namespaces)
            for route in self._cache.list(ROUTES)
            for ref in attach.parents_of(route, gateway)
        ]
        translator = self._translator()
        routes: RouteTable = defaultdict(lambda: defaultdict(list))
        for found in attachments:
            problems = self._translate(found, translator, routes)
            metadata = found.route["metadata"]
            status = self._parent_status(found, problems)
            parents[metadata["namespace"], metadata["name"]].append(status)
        key = f"{gateway['metadata']['namespace']}/{gateway['metadata']['name']}"
        self.ads.publish(key, self._snapshot(gateway, routes, translator.clusters()))
        proxy = self._proxy(gateway)
        await self._deploy(gateway, proxy, key)
        running, refused = self.ads.state(key)
        await self._deployed(gateway, running and not refused)
        await self._gateway_status(gateway, attachments, proxy, running, refused)

    def _translate(
        self, found: Attachment, translator: Translator, routes: RouteTable
    ) -> list[Problem]:
        """Add a route's rules to its listeners; the problems of its backendRefs."""
        metadata, problems = found.route["metadata"], []
        for index in range(len(found.route["spec"].get("rules") or [])):
            name = self.route_name.format(
                namespace=metadata["namespace"], route=metadata["name"], rule=index, match="{match}"
            )
            entries, broken = translator.rule(found.route, index, name)
            problems += broken
            for listener, hosts in found.listeners.items():
                for host in hosts:
                    routes[listener][host] += entries
        return problems

    # -- what a Gateway owns ------------------------------------------------------------

    async def _deploy(self, gateway: Object, proxy: Proxy, key: str) -> None:
        for resource, body in self._owned(gateway, proxy, key):
            await self._kube.apply(resource, body)

    def _owned(self, gateway: Object, proxy: Proxy, key: str) -> list[tuple[str, Object]]:
        """ServiceAccount, bootstrap, Service and Deployment of its Envoy."""
        numbers = sorted({li["port"] for li in gateway["spec"]["listeners"]})
        ports = [{"containerPort": unprivileged(n), "name": f"p{n}"} for n in numbers]
        service_ports = [
            {"name": f"p{n}", "port": n, "targetPort": unprivileged(n)} for n in numbers
        ]
        named = {
            "name": proxy.name,
            "namespace": gateway["metadata"]["namespace"],
            "ownerReferences": envoy.owned_by(gateway),
            "labels": proxy.labels,
        }
        container = envoy.container(self._image, key, ports, self.envoy_flags, self.envoy_level)
        pod = {
            "serviceAccountName": proxy.name,
            "terminationGracePeriodSeconds": 1,
            "containers": [container, *proxy.containers],
            "volumes": [{"name": "bootstrap", "configMap": {"name": proxy.name}}],
        }
        template = {"metadata": {"labels": proxy.labels}, "spec": pod}
        service = {"type": "LoadBalancer", "selector": proxy.labels, "ports": service_ports}
        selector = {"matchLabels": proxy.labels}
        deployment = {**self.deployment, "selector": selector, "template": template}
        bootstrap = {"envoy.json": envoy.bootstrap(*self._xds_address())}
        annotated = {**named, "annotations": proxy.annotations}
        return [
            ("v1/serviceaccounts", {"metadata": named}),
            ("v1/configmaps", {"metadata": named, "data": bootstrap}),
            (SERVICES, {"metadata": annotated, "spec": service}),
            ("apps/v1/deployments", {"metadata": named, "spec": deployment}),
        ]

    # -- status -------------------------------------------------------------------------

    async def _route_status(self, route: Object, mine: list[Object]) -> None:
        """Put our entries into a route's `status.parents`, beside others'."""
        current = status_of(route).get("parents") or []
        if mine or any(p.get("controllerName") == self.name for p in current):
            status = {"parents": in_place(current, self.name, mine)}
            await self._kube.set_status(ROUTES, route, status)

    def _parent_status(self, found: Attachment, problems: list[Problem]) -> Object:
        reason, message = problems[0] if problems else ("ResolvedRefs", "All references resolved")
        accepted = condition(
            "Accepted",
            not found.reason,
            found.reason or "Accepted",
            found.message or "Route was valid",
            found.route,
        )
        resolved = condition("ResolvedRefs", not problems, reason, message, found.route)
        ref = {"group": GROUP, "kind": "Gateway", **found.parent_ref}
        return {"controllerName": self.name, "parentRef": ref, "conditions": [accepted, resolved]}

    async def _gateway_status(
        self,
        gateway: Object,
        attachments: list[Attachment],
        proxy: Proxy,
        running: bool,
        refused: str,
    ) -> None:
        service = self._cache.get(SERVICES, gateway["metadata"]["namespace"], proxy.name) or {}
        ingress = (status_of(service).get("loadBalancer") or {}).get("ingress") or []
        if refused:
            reason, text = "Invalid", f"Envoy refused the configuration: {refused}"
        elif not (running or is_true_now(gateway, "Programmed")) or not ingress:
            # A Gateway once Programmed is not unprogrammed by every change of some route.
            reason, text = "Pending", "waiting for the Deployment's Envoy to take its configuration"
        else:
            reason, text = "Programmed", f"Resource programmed, assigned to {ingress[0]['ip']}"
        programmed = condition("Programmed", reason == "Programmed", reason, text, gateway)
        accepted = condition("Accepted", True, "Accepted", "Resource accepted", gateway)
        own = [accepted, programmed, self._resolved(gateway)]
        status = {
            "addresses": [{"type": "IPAddress", "value": i["ip"]} for i in ingress],
            "conditions": beside(own, conditions_of(status_of(gateway))),
            "listeners": [
                self._listener_status(gateway, li, attachments)
                for li in gateway["spec"]["listeners"]
            ],
        }
        await self._kube.set_status(GATEWAYS, gateway, status)

    def _resolved(self, gateway: Object) -> Object:
        """Gateway API knows it of listeners alone; Istio says it of the Gateway too."""
        problems = [self._listener_problem(gateway, li) for li in gateway["spec"]["listeners"]]
        broken = [p for p in problems if p and p[0] == _BROKEN_REF]
        reason, text = broken[0] if broken else ("ResolvedRefs", "All references resolved")
        return condition("ResolvedRefs", not broken, reason, text, gateway)

    def _listener_status(
        self, gateway: Object, listener: Object, attachments: list[Attachment]
    ) -> Object:
        problem = self._listener_problem(gateway, listener)
        reason, text = problem or ("", "No errors found")
        broken_ref = reason == _BROKEN_REF
        refused = bool(problem) and not broken_ref

        def line(kind: str, holds: bool, good: str, bad: str) -> Object:
            why = text if not holds else "No errors found"
            return condition(kind, holds, good if holds else bad, why, gateway)

        own = [
            line("Accepted", not refused, "Accepted", reason),
            condition("Conflicted", False, "NoConflicts", "No errors found", gateway),
            line("ResolvedRefs", not broken_ref, "ResolvedRefs", reason),
            line("Programmed", problem is None, "Programmed", "Invalid"),
        ]
        known = status_of(gateway).get("listeners") or []
        current: Object = next((o for o in known if o.get("name") == listener["name"]), {})
        return {
            "name": listener["name"],
            "attachedRoutes": sum(listener["name"] in a.listeners for a in attachments),
            "supportedKinds": [{"group": GROUP, "kind": "HTTPRoute"}],
            "conditions": beside(own, conditions_of(current)),
        }
