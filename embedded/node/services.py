"""ClusterIPs and the forwarding behind them: what kube-proxy does, as TCP relays.

Upstream: `k8s.io/kubernetes/pkg/proxy`. A Service listens on its ClusterIP and (shifted)
ports while it exists; a connection goes to a random ready endpoint, or is closed at once
when there is none.
"""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import logging
import random
from typing import Any, cast

from embedded.apiserver.api import Api
from embedded.apiserver.resources import Resource
from embedded.apiserver.status import invalid
from embedded.apiserver.store import Store
from embedded.shared.net import Network, unprivileged

Object = dict[str, Any]
_SLICES = ("discovery.k8s.io", "endpointslices")
log = logging.getLogger("embedded.node")


class ClusterIPs:
    """Admission that gives every Service its address."""

    def __init__(self, network: Network) -> None:
        self._network, self._next = network, 0

    def __call__(self, store: Store, resource: Resource, obj: Object, old: Object | None) -> None:
        if resource.id != ("", "services"):
            return
        spec = obj["spec"]
        if old and old["spec"].get("clusterIP"):
            spec["clusterIP"] = old["spec"]["clusterIP"]
        elif spec.get("clusterIP") != "None" and spec.get("type") != "ExternalName":
            taken = {one["spec"].get("clusterIP") for one in store.objects(resource.id)}
            if wanted := spec.get("clusterIP"):
                self._check(obj["metadata"]["name"], wanted, taken)
            else:
                spec["clusterIP"] = self._free(taken)
        if spec.get("clusterIP"):
            spec["clusterIPs"] = [spec["clusterIP"]]
            spec |= {"ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack"}

    def _check(self, name: str, wanted: str, taken: set[str]) -> None:
        """That an address can be had which a Service asks for (`pkg/registry/core/service`)."""
        first, last = self._network.services
        inside = first <= ipaddress.IPv4Address(wanted) <= last
        if wanted in taken or not inside:
            why = "provided IP is already allocated"
            if not inside:
                why = f"the provided IP ({wanted}) is not in the valid range"
            text = f'Invalid value: ["{wanted}"]: failed to allocate IP {wanted}: {why}'
            cause = {"field": "spec.clusterIPs", "message": text, "reason": "FieldValueInvalid"}
            raise invalid("Service", "", name, [cause])

    def _free(self, taken: set[str]) -> str:
        while (found := self._network.service(self._next)) in taken:
            self._next += 1
        self._next += 1
        return found


class Forwarder:
    """Listens for every Service and relays to its endpoints."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._services = api.resource("", "services")
        self._servers: dict[tuple[str, int], asyncio.Server] = {}

    async def run(self) -> None:
        start = self._api.store.revision
        services = list(self._api.store.objects(self._services.id))
        kept = {(host, port) for service in services for host, port, _ in _listeners(service)}
        for gone in self._servers.keys() - kept:  # deleted while nobody followed
            self._servers.pop(gone).close()
        for service in services:
            await self._update(service)
        async for event in self._api.store.watch(self._services.id, start):
            if event.type == "DELETED":
                self._close(event.object, set())
            else:
                if event.old:
                    self._close(event.old, _listeners(event.object))
                await self._update(event.object)

    def close(self) -> None:
        for server in self._servers.values():
            server.close()

    async def _update(self, service: Object) -> None:
        for address, port, name in _listeners(service):
            if (address, port) in self._servers:
                continue
            namespace = service["metadata"]["namespace"]
            target = (namespace, service["metadata"]["name"], name)
            loop = asyncio.get_running_loop()
            try:
                self._servers[address, port] = await loop.create_server(
                    functools.partial(_Client, self, target), address, port
                )
            except OSError as error:
                log.error("Service %s/%s: %s:%s: %s", *target[:2], address, port, error)

    def _close(self, service: Object, kept: set[tuple[str, int, str]]) -> None:
        for address, port, _ in _listeners(service) - kept:
            if server := self._servers.pop((address, port), None):
                server.close()

    def endpoint(self, target: tuple[str, str, str]) -> tuple[str, int] | None:
        """A ready (address, port that really listens) for (namespace, service, port name)."""
        namespace, service, port_name = target
        found = []
        for slice_ in self._api.store.objects(_SLICES, namespace):
            if slice_["metadata"].get("labels", {}).get("kubernetes.io/service-name") != service:
                continue
            ports = [p["port"] for p in slice_.get("ports") or [] if p.get("name", "") == port_name]
            found += [
                (address, unprivileged(ports[0]))
                for endpoint in slice_.get("endpoints") or []
                for address in endpoint["addresses"]
                if (endpoint.get("conditions") or {}).get("ready") is not False and ports
            ]
        return random.choice(found) if found else None


def _listeners(service: Object) -> set[tuple[str, int, str]]:
    address = service["spec"].get("clusterIP", "")
    if not address or address == "None":
        return set()
    ports = service["spec"].get("ports", [])
    return {(address, unprivileged(p["port"]), p.get("name", "")) for p in ports}


class _Relay(asyncio.Protocol):
    """One side of a relayed connection; what comes before it is joined is kept."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self._peer: asyncio.Transport | None = None
        self._early: list[bytes] = []

    def join(self, peer: asyncio.Transport) -> None:
        """Pass everything on to the other side from now on."""
        self._peer = peer
        for data in self._early:
            peer.write(data)
        self._early.clear()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._peer:
            self._peer.write(data)
        else:
            self._early.append(data)

    def eof_received(self) -> bool:
        if self._peer and self._peer.can_write_eof():
            self._peer.write_eof()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        if self._peer:
            self._peer.close()

    def pause_writing(self) -> None:
        if self._peer:
            self._peer.pause_reading()

    def resume_writing(self) -> None:
        if self._peer:
            self._peer.resume_reading()


class _Client(_Relay):
    """The accepted side: connects to an endpoint, then joins the two."""

    def __init__(self, forwarder: Forwarder, target: tuple[str, str, str]) -> None:
        super().__init__()
        self._forwarder, self._target = forwarder, target
        self._connecting: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._connecting = asyncio.create_task(self._connect())

    async def _connect(self) -> None:
        endpoint = self._forwarder.endpoint(self._target)
        try:
            if endpoint is None:
                raise ConnectionRefusedError("no endpoints")
            _, upstream = await asyncio.get_running_loop().create_connection(_Relay, *endpoint)
        except OSError:
            self.transport.abort()
            return
        if self.transport.is_closing():
            upstream.transport.close()
            return
        upstream.join(self.transport)
        self.join(upstream.transport)
