"""In which order an Envoy is told of what it has to know."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from envoy.service.discovery.v3 import discovery_pb2

from embedded.shared.xds import CLUSTER, ROUTES, AdsServer, Snapshot, _Stream

GATEWAY = "default/gateway"


def snapshot(*names: str) -> Snapshot:
    """Clusters of these names, and one route configuration."""
    clusters = [{"name": name, "type": "STATIC"} for name in names]
    return Snapshot(clusters, [], [{"name": "routes", "virtual_hosts": []}])


class Envoy:
    """What one asks for and acknowledges, and what it is told: (kind, how many resources) each."""

    def __init__(self, server: AdsServer) -> None:
        self._stream = _Stream(server._nodes, lambda: None)
        self._last: dict[str, Any] = {}

    def hears(self) -> list[tuple[str, int]]:
        found = self._stream.responses()
        self._last.update({one.type_url: one for one in found})
        return [(one.type_url, len(one.resources)) for one in found]

    async def asks(self, kind: str) -> list[tuple[str, int]]:
        """For the first time, or with the version and nonce that it was told last."""
        request = discovery_pb2.DiscoveryRequest(type_url=kind)
        request.node.cluster, request.node.id = GATEWAY, "router~127.0.0.1~pod~cluster.local"
        if kind == ROUTES:
            request.resource_names.append("routes")
        if told := self._last.get(kind):
            request.response_nonce, request.version_info = told.nonce, told.version_info

        async def one() -> AsyncIterator[Any]:
            yield request

        await self._stream.read(one())
        return self.hears()


def test_a_cluster_goes_after_the_routes_that_name_it() -> None:
    """Otherwise a request in between would get 503; a new one comes before its routes."""

    async def run() -> None:
        server = AdsServer()
        server.publish(GATEWAY, lambda _: snapshot("stays", "goes"))
        envoy = Envoy(server)
        assert await envoy.asks(CLUSTER) == [(CLUSTER, 2)]
        assert await envoy.asks(ROUTES) == [(ROUTES, 1)]
        for kind in (CLUSTER, ROUTES):
            assert await envoy.asks(kind) == []
        server.publish(GATEWAY, lambda _: snapshot("stays", "comes"))
        assert envoy.hears() == [(CLUSTER, 3), (ROUTES, 1)]
        assert await envoy.asks(CLUSTER) == []
        assert await envoy.asks(ROUTES) == [(CLUSTER, 2)]
        assert await envoy.asks(CLUSTER) == []

    asyncio.run(run())
