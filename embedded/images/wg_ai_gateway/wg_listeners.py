"""A Gateway's listeners → Envoy's, as wg-ai-gateway makes them.

Upstream: kubernetes-sigs/wg-ai-gateway `pkg/translator/envoy/translator.go` (which listeners are
valid), `listener.go` (connection manager, TLS). As there, an HTTPS listener gets no certificate,
and two HTTP listeners of a port are told apart by nothing: Envoy refuses both kinds.
"""

from __future__ import annotations

from typing import Any

from embedded.gatewayapi import envoy
from embedded.gatewayapi.attach import GROUP
from embedded.gatewayapi.controller import Problem

STREAM_IDLE_TIMEOUT, REQUEST_TIMEOUT, DRAIN_TIMEOUT = "15s", "60s", "15s"
_TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"
Object = dict[str, Any]


def invalid(gateway: Object, listener: Object) -> Problem | None:
    """Why a listener is none, and what upstream's controller ends of."""
    if not _serves_routes(listener):
        return "InvalidRouteKinds", "allowedRoutes names other kinds than HTTPRoute"
    others = [li for li in gateway["spec"]["listeners"] if li["name"] != listener["name"]]
    place = listener["port"], listener.get("hostname", "")
    if place in [(li["port"], li.get("hostname", "")) for li in others]:
        return "HostnameConflict", f"another listener has port {place[0]} and host {place[1]!r}"
    return None


def _serves_routes(listener: Object) -> bool:
    """Whether it allows nothing but HTTPRoutes: one kind more is as bad as none."""
    kinds = (listener.get("allowedRoutes") or {}).get("kinds") or []
    return all((k.get("group", GROUP), k["kind"]) == (GROUP, "HTTPRoute") for k in kinds)


def filter_chain(
    gateway: str, listener: Object, routes: Object, http_filters: list[Object]
) -> Object:
    """What is done with a listener's connections; `routes` are a field of the HTTP manager."""
    chain = envoy.connections(
        f"gateway_{gateway}_listener_{listener['name']}",
        routes,
        http_filters,
        access_log=[envoy.stdout_log()],
        request_timeout=REQUEST_TIMEOUT,
        stream_idle_timeout=STREAM_IDLE_TIMEOUT,
        drain_timeout=DRAIN_TIMEOUT,
    )
    if listener["protocol"] == "HTTPS":
        socket = {"name": "envoy.transport_sockets.tls", "typed_config": {"@type": _TLS}}
        chain["transport_socket"] = socket
        if listener.get("hostname"):
            chain["filter_chain_match"] = {"server_names": [listener["hostname"]]}
    return chain


def envoy_listener(port: int, host: str, real: int, chains: list[Object]) -> Object:
    """A Gateway's port, at the address and port that are really listened at."""
    return {
        "name": f"listener-{port}",
        "address": envoy.address(host, real),
        "listener_filters": [envoy.TLS_INSPECTOR],
        "filter_chains": chains,
    }
