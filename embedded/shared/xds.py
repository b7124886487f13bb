"""An ADS server: state-of-the-world xDS over one gRPC stream for each Envoy.

Source: Envoy `docs/root/api-docs/xds_protocol.rst`. Resources are written as JSON-like
dicts and packed here, so that a mistake in them is an error of this process, with the
field's name, and never reaches Envoy.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import importlib
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import grpc
from envoy.service.discovery.v3 import discovery_pb2
from google.protobuf import any_pb2, json_format

from embedded.shared import rpc

for _module in (
    "envoy.config.cluster.v3.cluster_pb2",
    "envoy.config.listener.v3.listener_pb2",
    "envoy.config.route.v3.route_pb2",
    "envoy.extensions.access_loggers.stream.v3.stream_pb2",
    "envoy.extensions.filters.http.ext_proc.v3.ext_proc_pb2",
    "envoy.extensions.filters.http.router.v3.router_pb2",
    "envoy.extensions.filters.listener.tls_inspector.v3.tls_inspector_pb2",
    "envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2",
    "envoy.extensions.network.dns_resolver.cares.v3.cares_dns_resolver_pb2",
    "envoy.extensions.transport_sockets.tls.v3.tls_pb2",
    "envoy.extensions.upstreams.http.v3.http_protocol_options_pb2",
):
    importlib.import_module(_module)  # registers the messages that `@type` names

Object = dict[str, Any]
_PREFIX = "type.googleapis.com/envoy.config."
CLUSTER = _PREFIX + "cluster.v3.Cluster"
LISTENER = _PREFIX + "listener.v3.Listener"
ROUTES = _PREFIX + "route.v3.RouteConfiguration"
_ORDER = (CLUSTER, LISTENER, ROUTES)


@dataclass(frozen=True)
class Snapshot:
    """Everything one Envoy should have, by type URL, as dicts."""

    clusters: list[Object] = field(default_factory=list)
    listeners: list[Object] = field(default_factory=list)
    routes: list[Object] = field(default_factory=list)

    def resources(self, type_url: str) -> list[Object]:
        return {CLUSTER: self.clusters, LISTENER: self.listeners, ROUTES: self.routes}[type_url]


Source = Callable[[str], Snapshot]


@dataclass
class _Node:
    """What is known of the Envoys of one node cluster."""

    source: Source | None = None
    version: str = ""
    kinds: tuple[str, ...] = ()  # what an Envoy has to take of it
    changed: set[asyncio.Event] = field(default_factory=set)
    acked: dict[int, dict[str, str]] = field(default_factory=dict)
    refused: str = ""


class AdsServer:
    """Serves snapshots by Envoy's `node.cluster`; a source gets the Envoy's own address.

    The address is the second part of `node.id` (`router~<address>~…`, Istio's form).
    """

    def __init__(self, on_ack: Callable[[], None] = lambda: None) -> None:
        self._nodes: dict[str, _Node] = defaultdict(_Node)
        self._on_ack = on_ack

    def publish(self, cluster: str, source: Source) -> None:
        """Give all Envoys of a node cluster what `source(address)` says."""
        node = self._nodes[cluster]
        snapshot = source("0.0.0.0")
        text = json.dumps(snapshot.__dict__, sort_keys=True)
        version = hashlib.sha256(text.encode()).hexdigest()[:12]
        node.source = source
        # Nobody asks for routes that stand in the listeners.
        inside = snapshot.listeners and not snapshot.routes
        node.kinds = (CLUSTER, LISTENER) if inside else _ORDER
        if version != node.version:
            node.version = version
            for event in node.changed:
                event.set()

    def state(self, cluster: str) -> tuple[bool, str]:
        """(whether an Envoy runs with the published snapshot, what it refused)."""
        node = self._nodes[cluster]
        current = any(
            all(acked.get(kind) == node.version for kind in node.kinds)
            for acked in node.acked.values()
        )
        return current, node.refused

    def add_to(self, server: grpc.aio.Server) -> None:
        service = "envoy.service.discovery.v3.AggregatedDiscoveryService"
        name = "StreamAggregatedResources"
        rpc.add_stream(server, service, name, self._stream, discovery_pb2.DiscoveryRequest)

    async def _stream(self, requests: AsyncIterator[Any], _: Any) -> AsyncIterator[Any]:
        stream = _Stream(self._nodes, self._on_ack)
        reader = asyncio.create_task(stream.read(requests))
        reader.add_done_callback(lambda _: stream.wake.set())
        try:
            while not reader.done():
                await stream.wake.wait()
                stream.wake.clear()
                for response in stream.responses():
                    yield response
        finally:
            reader.cancel()
            with contextlib.suppress(asyncio.CancelledError, grpc.RpcError):
                await reader
            stream.close()


class _Stream:
    """One Envoy's subscriptions, and what it was sent."""

    def __init__(self, nodes: dict[str, _Node], on_ack: Callable[[], None]) -> None:
        self._nodes, self._on_ack = nodes, on_ack
        self.wake = asyncio.Event()
        self._node = _Node()
        self._address = ""
        self._wanted: dict[str, set[str]] = {}
        self._sent: dict[str, tuple[str, frozenset[str]]] = {}
        self._nonces: dict[str, str] = {}
        self._clusters: list[Object] = []
        self._count = 0

    async def read(self, requests: AsyncIterator[Any]) -> None:
        async for request in requests:
            if request.node.cluster and not self._address:
                self._node = self._nodes[request.node.cluster]
                self._address = request.node.id.split("~")[1]
                self._node.changed.add(self.wake)
                self._node.acked[id(self)] = {}
            if request.response_nonce and request.response_nonce == self._nonces.get(
                request.type_url
            ):
                if request.HasField("error_detail"):
                    self._node.refused = request.error_detail.message
                    print(f"Envoy {self._address} refused: {self._node.refused}", flush=True)
                else:
                    self._node.acked[id(self)][request.type_url] = request.version_info
                    self._node.refused = ""
                self._on_ack()
            self._wanted[request.type_url] = set(request.resource_names)
            self.wake.set()

    def close(self) -> None:
        self._node.changed.discard(self.wake)
        self._node.acked.pop(id(self), None)

    def responses(self) -> list[Any]:
        if self._node.source is None:
            return []
        snapshot = self._node.source(self._address)
        out = []
        for type_url in _ORDER:
            if type_url not in self._wanted:
                continue
            names = frozenset(self._wanted[type_url]) if type_url == ROUTES else frozenset()
            chosen = [r for r in snapshot.resources(type_url) if not names or r["name"] in names]
            if type_url == CLUSTER:
                chosen += self._still_routed_to({one["name"] for one in chosen})
                names = frozenset(one["name"] for one in chosen)
            if self._sent.get(type_url) == (self._node.version, names):
                continue
            self._sent[type_url] = (self._node.version, names)
            if type_url == CLUSTER:
                self._clusters = chosen
            self._count += 1
            self._nonces[type_url] = str(self._count)
            out.append(
                discovery_pb2.DiscoveryResponse(
                    version_info=self._node.version,
                    type_url=type_url,
                    nonce=str(self._count),
                    resources=[pack(type_url, resource) for resource in chosen],
                )
            )
        return out

    def _still_routed_to(self, wanted: set[str]) -> list[Object]:
        """Clusters that go once Envoy has the routes of this version: until then its old routes
        name them (Envoy's documentation of xDS, "Eventual consistency considerations")."""
        routed = self._node.acked[id(self)].get(ROUTES) == self._node.version
        if routed or ROUTES not in self._wanted:
            return []
        return [one for one in self._clusters if one["name"] not in wanted]


def pack(type_url: str, resource: Object) -> any_pb2.Any:
    """A resource as a protobuf Any; raises ParseError naming a wrong field."""
    packed = any_pb2.Any()
    json_format.ParseDict({"@type": type_url, **resource}, packed)
    return packed
