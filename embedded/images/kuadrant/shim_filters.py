"""Istio's EnvoyFilters around the shim: those that it reads, and the one that puts it in place.

Kuadrant's operator names services by Envoy clusters, which its EnvoyFilters add to the gateway
(Kuadrant/kuadrant-operator `internal/controller/cluster_patch_helpers.go`). Where the wasm module
cannot be pulled, the filter that Istio makes of the WasmPlugin is taken out, and an ext_proc filter
that asks the shim comes before the router.
"""

from __future__ import annotations

from typing import Any

ENVOY_FILTERS = "networking.istio.io/v1alpha3/envoyfilters"
PORT = 50052
HOST = "wasm-shim.kuadrant-system.svc.cluster.local"
Object = dict[str, Any]
_MANAGER = "envoy.filters.network.http_connection_manager"
# What istio/istio `pilot/pkg/model/extensions.go` calls the filter of a WasmPlugin: with its
# misspelling, and since it makes TrafficExtensions of them.
_MODULES = [
    "extenstions.istio.io/wasmplugin/{module}",
    "extensions.istio.io/trafficextension/{module}~istio-translated-wasmplugin",
]
_EXT = "type.googleapis.com/envoy.extensions."


def clusters_of(filters: list[Object]) -> dict[str, str]:
    """Envoy cluster name → `host:port`, of every cluster that EnvoyFilters add."""
    found = {}
    for one in filters:
        for patch in one["spec"].get("configPatches", []):
            value = patch.get("patch", {}).get("value") or {}
            if patch.get("applyTo") != "CLUSTER" or "load_assignment" not in value:
                continue
            for locality in value["load_assignment"].get("endpoints", []):
                for endpoint in locality.get("lb_endpoints", []):
                    socket = endpoint["endpoint"]["address"]["socket_address"]
                    found[value["name"]] = f"{socket['address']}:{int(socket['port_value'])}"
    return found


def in_its_place(plugin: Object) -> Object:
    """The EnvoyFilter for the Gateway of a WasmPlugin."""
    metadata = plugin["metadata"]
    module = f"{metadata['namespace']}.{metadata['name']}"
    gateway = f"{metadata['namespace']}/{plugin['spec']['targetRefs'][0]['name']}"
    owner = {
        "apiVersion": plugin["apiVersion"],
        "kind": plugin["kind"],
        "name": metadata["name"],
        "uid": metadata["uid"],
    }
    named = [pattern.format(module=module) for pattern in _MODULES]
    removed = [_patch(name, {"operation": "REMOVE"}) for name in named]
    insert = {"operation": "INSERT_BEFORE", "value": _filter(gateway)}
    cluster = {
        "applyTo": "CLUSTER",
        "match": {"context": "GATEWAY"},
        "patch": {"operation": "ADD", "value": _cluster()},
    }
    return {
        "metadata": {
            "name": f"wasm-shim-{metadata['name']}",
            "namespace": metadata["namespace"],
            "ownerReferences": [owner],
        },
        "spec": {
            "targetRefs": plugin["spec"]["targetRefs"],
            "configPatches": [*removed, _patch("envoy.filters.http.router", insert), cluster],
        },
    }


def _patch(subfilter: str, patch: Object) -> Object:
    chain = {"filter": {"name": _MANAGER, "subFilter": {"name": subfilter}}}
    match = {"context": "GATEWAY", "listener": {"filterChain": chain}}
    return {"applyTo": "HTTP_FILTER", "match": match, "patch": patch}


def _filter(gateway: str) -> Object:
    return {
        "name": "envoy.filters.http.ext_proc",
        "typed_config": {
            "@type": _EXT + "filters.http.ext_proc.v3.ExternalProcessor",
            "grpc_service": {
                "envoy_grpc": {"cluster_name": "wasm-shim"},
                "timeout": "30s",
                "initial_metadata": [{"key": "gateway", "value": gateway}],
            },
            "message_timeout": "30s",
            "allow_mode_override": True,
            "processing_mode": {
                "request_header_mode": "SEND",
                "response_header_mode": "SKIP",
                "request_trailer_mode": "SKIP",
                "response_trailer_mode": "SKIP",
            },
        },
    }


def _cluster() -> Object:
    options = {
        "@type": _EXT + "upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http2_protocol_options": {}},
    }
    address = {"socket_address": {"address": HOST, "port_value": PORT}}
    endpoint = {"lb_endpoints": [{"endpoint": {"address": address}}]}
    return {
        "name": "wasm-shim",
        "type": "STRICT_DNS",
        "connect_timeout": "1s",
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options
        },
        "load_assignment": {"cluster_name": "wasm-shim", "endpoints": [endpoint]},
    }
