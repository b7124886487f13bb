"""The wg-ai-gateway controller: Gateways of class `wg-ai-gateway` → Envoy over ADS.

Stands for ghcr.io/nerdalert/wg-ai-gateway. Upstream: kubernetes-sigs/wg-ai-gateway at 548475f,
`prototypes/backend-control-plane`: `pkg/controllers` (statuses), `pkg/deployer/envoy` (what it
creates for a Gateway), `pkg/translator/envoy` (listeners, routes, clusters: `wg_listeners`,
`wg_routes` and `wg_destinations` say what is odd there). As upstream:

- a Gateway's status has no addresses and no listeners, and its conditions no observedGeneration;
  it is Programmed once its Envoy runs, also with a configuration that Envoy refused;
- while a destination's Secret is missing, its Gateways take nothing new (TranslationError), but
  for `mended`;
- Envoy writes its own text access log, and answers have no x-request-id;
- XBackendDestinations get no status, and what was said of a route stays when its last Gateway of
  this class is gone from it;
- objects are called `envoy-<name>` in `default` and `envoy-<namespace>-<name>` elsewhere.

`--generation` says how far it goes with upstream where that hurts everybody on the cluster:

                                demo (default)    mended            upstream
    Gateways that it takes      of its class      of its class      all that routes name
    a route's status.parents    own entries       own entries       replaced whole
    routes reach Envoy          by themselves     by themselves     in a new listener
    one backend missing of two  all requests 500  its share is 500  all requests 500
    a destination's Secret      missing: nothing  missing: its      missing: nothing
                                new is taken      share is 500      new is taken
    a listener for GRPCRoute    status.listeners  status.listeners  the controller ends, for ever
    Envoy's log                 warnings          warnings          all, with keys and tokens
    an Envoy that was scaled    stays so          stays so          is one again at the next event

So with `upstream` each Gateway of another class gets an Envoy beside its own, statuses are fought
for with their controllers (here twice a second; upstream does nothing else), and connections that
are kept have the old routes until they are drained, in up to ten minutes. What such a status says
of invalid listeners upstream works out too, and drops.

It differs in that: what is edited is in effect at once, where upstream polls its Deployment every
two seconds, and looks again at what is no Gateway or route when something makes it; xDS goes by the
Pod's address, the admin interface listens on it alone, and Envoy has a readiness probe; DNS is
asked each second, after failures more often; objects that exist already under its names are taken
over; a route that no listener accepts is told so, where upstream writes a condition without a
status, which a real API server refuses, and all of that write with it.
Left out: GRPCRoute, MCP, extensions of destinations.
"""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import os
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from embedded.gatewayapi import attach, envoy
from embedded.gatewayapi.attach import GROUP, Attachment
from embedded.gatewayapi.controller import (
    GATEWAYS,
    ROUTES,
    SERVICES,
    GatewayController,
    Problem,
    Proxy,
    RouteTable,
    Translator,
)
from embedded.gatewayapi.status import condition, conditions_of, status_of
from embedded.images.wg_ai_gateway.wg_destinations import (
    BACKENDS,
    SECRETS,
    SLICES,
    Destinations,
    TranslationError,
)
from embedded.images.wg_ai_gateway.wg_listeners import envoy_listener, filter_chain, invalid
from embedded.images.wg_ai_gateway.wg_routes import virtual_hosts
from embedded.shared import rpc
from embedded.shared.kube import Key, Kube
from embedded.shared.net import unprivileged
from embedded.shared.xds import Snapshot

XDS_PORT = 15001
DEMO, MENDED, UPSTREAM = "demo", "mended", "upstream"
MANAGED = "aigateway.networking.k8s.io/managed"
_LIMITS = {"limits": {"cpu": "2", "memory": "1Gi"}, "requests": {"cpu": "100m", "memory": "128Mi"}}
_FIGHT_SECONDS = 0.5
Object = dict[str, Any]


class NilListenerStatusError(Exception):
    """What upstream dies of: the status of a listener that is not valid."""


class Controller(GatewayController):
    """Gateways of class `wg-ai-gateway`, or all of them."""

    name = "sigs.k8s.io/wg-ai-gateway-envoy-controller"
    route_name = "{namespace}-{route}-rule{rule}-match{match}"

    def __init__(self, kube: Kube, envoy_image: str, generation: str = DEMO) -> None:
        super().__init__(kube, envoy_image, [BACKENDS, SLICES, SECRETS])
        self._generation = generation
        if generation == UPSTREAM:
            self.envoy_flags = ()  # Envoy's own: gradually, in ten minutes
            self.envoy_level = "trace"
            self.deployment = {"replicas": 1}
        self._own: set[str] = set()
        self._fights = Fights(kube, self._cache.touch)

    def _taken(self, own: set[str]) -> list[Object]:
        self._own = own
        if self._generation != UPSTREAM:
            return super()._taken(own)
        routes = self._cache.list(ROUTES)
        found = [
            gateway
            for gateway in self._cache.list(GATEWAYS)
            if self._is_own(gateway) or any(attach.parents_of(r, gateway) for r in routes)
        ]
        for gateway in found:
            for listener in gateway["spec"]["listeners"]:
                if problem := invalid(gateway, listener):
                    text = f"{_key(gateway)}: listener {listener['name']}: {problem[1]}"
                    raise NilListenerStatusError(text)
        return found

    def _is_own(self, gateway: Object) -> bool:
        return gateway["spec"]["gatewayClassName"] in self._own

    async def _reconcile(self) -> None:
        await super()._reconcile()
        await self._fights.strike()

    async def _gateway(self, gateway: Object, parents: dict[Key, list[Object]]) -> None:
        said: dict[Key, list[Object]] = defaultdict(list)
        try:
            await super()._gateway(gateway, said)
        except TranslationError as error:
            await self._deploy(gateway, self._proxy(gateway), _key(gateway))
            await self._say(gateway, "TranslationError", str(error), [])
        else:
            for key, entries in said.items():
                parents[key] += entries

    # -- what Envoy gets ----------------------------------------------------------------

    def _translator(self) -> Translator:
        return Destinations(self._cache, shares=self._generation == MENDED)

    def _xds_address(self) -> tuple[str, int]:
        namespace = os.environ["POD_NAMESPACE"]
        return f"ai-gateway-controller.{namespace}.svc.cluster.local", XDS_PORT

    def _snapshot(
        self, gateway: Object, routes: RouteTable, clusters: list[Object]
    ) -> Callable[[str], Snapshot]:
        name, inside = gateway["metadata"]["name"], self._generation == UPSTREAM
        by_port: dict[int, list[Object]] = defaultdict(list)
        configs: list[Object] = []
        for li in gateway["spec"]["listeners"]:
            if self._listener_problem(gateway, li):
                continue
            hosts = virtual_hosts(name, li["port"], routes[li["name"]])
            config = f"listener_{li['name']}_routes"
            routed = {"name": config, "virtual_hosts": hosts}
            source = {"route_config": routed} if inside else envoy.rds(config)
            configs += [] if inside else [routed]
            by_port[li["port"]].append(filter_chain(name, li, source, []))

        def snapshot(address: str) -> Snapshot:
            # A container's loopback is its own, and where `kubectl port-forward` comes from.
            bind = address if ipaddress.ip_address(address).is_loopback else "0.0.0.0"
            listeners = [
                envoy_listener(port, bind, unprivileged(port), chains)
                for port, chains in by_port.items()
            ]
            return Snapshot(clusters, listeners, configs)

        return snapshot

    # -- what a Gateway owns ------------------------------------------------------------

    def _proxy(self, gateway: Object) -> Proxy:
        metadata = gateway["metadata"]
        name = metadata["name"].replace("_", "-").lower()
        if metadata["namespace"] != "default":
            name = f"{metadata['namespace']}-{name}"
        return Proxy(f"envoy-{name}", {"app": f"envoy-{name}"}, [], {})

    def _owned(self, gateway: Object, proxy: Proxy, key: str) -> list[tuple[str, Object]]:
        ports: dict[int, Object] = {}
        for li in gateway["spec"]["listeners"]:
            ports.setdefault(li["port"], {
                "name": li["name"].replace(".", "-")[:63],
                "port": li["port"],
                "targetPort": unprivileged(li["port"]),
                "protocol": "TCP",
                "appProtocol": li["protocol"].lower(),
            })  # fmt: skip
        owners = [{k: v for k, v in owner.items() if k != "controller"}
                  for owner in envoy.owned_by(gateway)]  # fmt: skip
        marks = {"ownerReferences": owners, "labels": {MANAGED: self.name.replace("/", "-")}}
        found = super()._owned(gateway, proxy, key)
        for resource, body in found:
            body["metadata"] = {**body["metadata"], **marks}
            if resource == SERVICES:
                body["spec"]["ports"] = list(ports.values())
            elif resource == "apps/v1/deployments":
                container = body["spec"]["template"]["spec"]["containers"][0]
                container["resources"] = _LIMITS
        return found

    # -- status -------------------------------------------------------------------------

    def _listener_problem(self, gateway: Object, listener: Object) -> Problem | None:
        """Why a listener is not served. One that names kinds of routes beside HTTPRoute is."""
        if listener["protocol"] not in ("HTTP", "HTTPS"):
            return "UnsupportedProtocol", f"protocol {listener['protocol']} is not supported"
        problem = invalid(gateway, listener)
        kinds = (listener.get("allowedRoutes") or {}).get("kinds") or []
        partly = problem and problem[0] == "InvalidRouteKinds" and _has_ours(kinds)
        return None if partly else problem

    def _parent_status(self, found: Attachment, problems: list[Problem]) -> Object:
        return super()._parent_status(found, problems[-1:])

    async def _gateway_status(
        self,
        gateway: Object,
        attachments: list[Attachment],
        proxy: Proxy,
        running: bool,
        refused: str,
    ) -> None:
        """Nothing before its Envoy has said something; then all is well, whatever that was."""
        listeners = gateway["spec"]["listeners"]
        if all(self._listener_problem(gateway, li) for li in listeners):
            await self._say(gateway, "Invalid", "no listener can be served", attachments)
        elif running or refused:
            await self._say(gateway, "Programmed", "Envoy has its configuration", attachments)

    async def _say(
        self, gateway: Object, reason: str, text: str, attachments: list[Attachment]
    ) -> None:
        accepted = condition("Accepted", True, "Accepted", "the Gateway is taken", gateway)
        programmed = condition("Programmed", reason == "Programmed", reason, text, gateway)
        said = [{k: v for k, v in one.items() if k != "observedGeneration"}
                for one in (accepted, programmed)]  # fmt: skip
        others = [c for c in conditions_of(status_of(gateway))
                  if c["type"] not in ("Accepted", "Programmed")]  # fmt: skip
        status: Object = {"conditions": said + others}
        if not self._is_own(gateway):
            self._fights.over(GATEWAYS, gateway, status)
            return
        listeners = gateway["spec"]["listeners"]
        status["listeners"] = None
        if any(invalid(gateway, li) or self._listener_problem(gateway, li) for li in listeners):
            status["listeners"] = [self._listener_status(gateway, li, attachments)
                                   for li in listeners]  # fmt: skip
        await self._kube.set_status(GATEWAYS, gateway, status)

    def _listener_status(
        self, gateway: Object, listener: Object, attachments: list[Attachment]
    ) -> Object:
        problem = self._listener_problem(gateway, listener)
        wrong, text = problem or invalid(gateway, listener) or ("", "nothing is wrong")
        kinds = (listener.get("allowedRoutes") or {}).get("kinds")
        named = [{"group": GROUP, "kind": "HTTPRoute"}]
        states = (
            ("Accepted", wrong not in ("UnsupportedProtocol", "HostnameConflict"), "Accepted"),
            ("ResolvedRefs", wrong != "InvalidRouteKinds", "ResolvedRefs"),
            ("Programmed", problem is None, "Programmed"),
        )
        conflicted = wrong == "HostnameConflict"
        reason = wrong if conflicted else "NoConflicts"
        return {
            "name": listener["name"],
            "attachedRoutes": sum(listener["name"] in a.listeners for a in attachments),
            "supportedKinds": named if not kinds or _has_ours(kinds) else [],
            "conditions": [
                condition("Conflicted", conflicted, reason, text, gateway),
                *(condition(kind, holds, good if holds else wrong, text, gateway)
                  for kind, holds, good in states),
            ],
        }  # fmt: skip

    async def _route_status(self, route: Object, mine: list[Object]) -> None:
        if not mine:
            return
        if self._generation != UPSTREAM:
            await super()._route_status(route, mine)
            return
        current = status_of(route).get("parents") or []
        if any(entry.get("controllerName") != self.name for entry in current):
            self._fights.over(ROUTES, route, {"parents": mine})
        else:
            await self._kube.set_status(ROUTES, route, {"parents": mine})


class Fights:
    """Statuses that others write too: overwritten one at a time, each in its turn, so that the
    cluster has time for something else."""

    def __init__(self, kube: Kube, wake: Callable[[], None]) -> None:
        self._kube, self._wake = kube, wake
        self._over: dict[str, tuple[str, Object, Object]] = {}
        self._struck: dict[str, float] = {}
        self._due = 0.0
        self._waking: asyncio.TimerHandle | None = None

    def over(self, resource: str, obj: Object, status: Object) -> None:
        """Have a status overwritten, when its turn comes."""
        self._over[obj["metadata"]["uid"]] = resource, obj, status

    async def strike(self) -> None:
        """Overwrite one, if it is time; all are named again by the next reconciliation."""
        waiting, self._over = self._over, {}
        if not waiting:
            return
        now = time.monotonic()
        if now >= self._due:
            uid = min(waiting, key=lambda uid: self._struck.get(uid, 0.0))
            self._struck[uid], self._due = now, now + _FIGHT_SECONDS
            await self._kube.set_status(*waiting[uid])
        if self._waking is None or self._waking.cancelled() or self._waking.when() < now:
            loop = asyncio.get_running_loop()
            self._waking = loop.call_later(self._due - now, self._wake)


def _has_ours(kinds: list[Object]) -> bool:
    return any((k.get("group", GROUP), k["kind"]) == (GROUP, "HTTPRoute") for k in kinds)


def _key(gateway: Object) -> str:
    return f"{gateway['metadata']['namespace']}/{gateway['metadata']['name']}"


async def _serve(envoy_image: str, generation: str) -> None:
    controller = Controller(Kube("wg-ai-gateway"), envoy_image, generation)
    server = rpc.server(XDS_PORT)
    controller.ads.add_to(server)
    await server.start()
    await controller.run()


def main(argv: list[str]) -> None:
    """`--envoy-image IMAGE --generation demo|mended|upstream`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--envoy-image", default="docker.io/envoyproxy/envoy:v1.37-latest")
    parser.add_argument("--generation", choices=[DEMO, MENDED, UPSTREAM], default=DEMO)
    flags = parser.parse_args(argv)
    rpc.run(_serve(flags.envoy_image, flags.generation))
