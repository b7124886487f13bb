"""Pieces of Envoy configuration, and the Deployment that runs an Envoy for a Gateway."""

from __future__ import annotations

import json
import os
from typing import Any

from embedded.shared.net import DNS_PORT

Object = dict[str, Any]
_EXT = "type.googleapis.com/envoy.extensions."
ADMIN_PORT = 15000
_ACCESS_LOG = {
    "time": "%START_TIME%",
    "request_id": "%REQ(X-REQUEST-ID)%",
    "conformance_id": "%REQ(X-CONFORMANCE-ID)%",
    "method": "%REQ(:METHOD)%",
    "received_path": "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
    "sent_path": "%REQ(:PATH)%",
    "host": "%REQ(:AUTHORITY)%",
    "code": "%RESPONSE_CODE%",
    "details": "%RESPONSE_CODE_DETAILS%",
    "flags": "%RESPONSE_FLAGS%",
    "route": "%ROUTE_NAME%",
    "upstream": "%UPSTREAM_HOST%",
    "cluster": "%UPSTREAM_CLUSTER%",
}
EXT_PROC = {
    "name": "envoy.filters.http.ext_proc",
    "typed_config": {
        "@type": _EXT + "filters.http.ext_proc.v3.ExternalProcessor",
        "grpc_service": {"envoy_grpc": {"cluster_name": "wasm-shim"}, "timeout": "30s"},
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


def address(host: str, port: int) -> Object:
    return {"socket_address": {"address": host, "port_value": port}}


def endpoints(cluster: str, found: list[tuple[str, int]]) -> Object:
    """A load assignment of fixed addresses."""
    targets = [{"endpoint": {"address": address(host, port)}} for host, port in found]
    return {"cluster_name": cluster, "endpoints": [{"lb_endpoints": targets}]}


def static_cluster(name: str, found: list[tuple[str, int]], **more: Any) -> Object:
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": endpoints(name, found),
        **more,
    }


def dns_cluster(name: str, host: str, port: int, **more: Any) -> Object:
    """A LOGICAL_DNS cluster that asks the cluster's DNS server: `$CLUSTER_DNS`, or the system's."""
    cares: Object = {
        "@type": _EXT + "network.dns_resolver.cares.v3.CaresDnsResolverConfig",
        "dns_resolver_options": {"no_default_search_domain": True},
    }
    if server := os.environ.get("CLUSTER_DNS"):
        cares["resolvers"] = [address(server, DNS_PORT)]
    resolver = {"name": "envoy.network.dns_resolver.cares", "typed_config": cares}
    return {
        "name": name,
        "type": "LOGICAL_DNS",
        "connect_timeout": "1s",
        "dns_lookup_family": "V4_ONLY",
        "dns_refresh_rate": "1s",
        "dns_failure_refresh_rate": {"base_interval": "0.05s", "max_interval": "0.2s"},
        "typed_dns_resolver_config": resolver,
        "load_assignment": endpoints(name, [(host, port)]),
        **more,
    }


def http2() -> Object:
    """The cluster option that gRPC needs."""
    options = {
        "@type": _EXT + "upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http2_protocol_options": {}},
    }
    return {
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options
        }
    }


def upstream_tls(server_name: str, common: Object | None = None) -> Object:
    """TLS to a backend, by a `CommonTlsContext`; nothing is verified of which that says nothing,
    as with `mode: SIMPLE` of Istio without a CA."""
    context = {
        "@type": _EXT + "transport_sockets.tls.v3.UpstreamTlsContext",
        "sni": server_name,
        "common_tls_context": common or {},
    }
    socket = {"name": "envoy.transport_sockets.tls", "typed_config": context}
    return {"transport_socket": socket}


TLS_INSPECTOR = {
    "name": "envoy.filters.listener.tls_inspector",
    "typed_config": {"@type": _EXT + "filters.listener.tls_inspector.v3.TlsInspector"},
}


def listener(name: str, host: str, port: int, filter_chains: list[Object]) -> Object:
    """Looks into TLS handshakes where filter chains are chosen by the name that is asked for."""
    by_name = any("filter_chain_match" in chain for chain in filter_chains)
    return {
        "name": name,
        "address": address(host, port),
        **({"listener_filters": [TLS_INSPECTOR]} if by_name else {}),
        "filter_chains": filter_chains,
    }


def filter_chain(
    route_config: str,
    http_filters: list[Object],
    tls: Object | None = None,
) -> Object:
    """HTTP for users, with routes from RDS; `tls` has `certificate` and `key` as PEM text.

    Paths are normalised, and forwarding headers are not trusted.
    """
    chain = connections(
        route_config,
        rds(route_config),
        http_filters,
        access_log=[stdout_log({"json_format": _ACCESS_LOG})],
        use_remote_address=True,
        normalize_path=True,
        stream_idle_timeout="300s",
        preserve_external_request_id=True,
        always_set_request_id_in_response=True,
        upgrade_configs=[{"upgrade_type": "websocket"}],  # as Istio has it
        server_name="istio-envoy",  # pilot/pkg/networking/core/networkfilter.go
    )
    if tls is None:
        return chain
    context = {
        "@type": _EXT + "transport_sockets.tls.v3.DownstreamTlsContext",
        "common_tls_context": {
            "alpn_protocols": ["h2", "http/1.1"],
            "tls_certificates": [
                {
                    "certificate_chain": {"inline_string": tls["certificate"]},
                    "private_key": {"inline_string": tls["key"]},
                }
            ],
        },
    }
    socket = {"name": "envoy.transport_sockets.tls", "typed_config": context}
    return {**chain, "transport_socket": socket}


def rds(route_config: str) -> Object:
    """Routes that come by themselves, without a new listener."""
    source = {"ads": {}, "resource_api_version": "V3"}
    return {"rds": {"route_config_name": route_config, "config_source": source}}


def stdout_log(log_format: Object | None = None) -> Object:
    """An access log; in Envoy's own text format without another."""
    config = {"@type": _EXT + "access_loggers.stream.v3.StdoutAccessLog"}
    more = {"log_format": log_format} if log_format else {}
    return {"name": "envoy.access_loggers.stdout", "typed_config": {**config, **more}}


def connections(name: str, routes: Object, http_filters: list[Object], **more: Any) -> Object:
    """A filter chain that speaks HTTP, with the routes that `routes` says; `more` are fields of its
    HttpConnectionManager."""
    router = {"@type": _EXT + "filters.http.router.v3.Router"}
    manager: Object = {
        "@type": _EXT + "filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        **routes,
        "http_filters": [
            *http_filters,
            {"name": "envoy.filters.http.router", "typed_config": router},
        ],
        **more,
    }
    network = "envoy.filters.network.http_connection_manager"
    return {"filters": [{"name": network, "typed_config": manager}]}


def bootstrap(xds_host: str, xds_port: int) -> str:
    """The bootstrap file: everything else comes over ADS."""
    ads = {
        "api_type": "GRPC",
        "transport_api_version": "V3",
        "grpc_services": [{"envoy_grpc": {"cluster_name": "xds_cluster"}}],
    }
    source = {"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": "0s"}
    return json.dumps(
        {
            "dynamic_resources": {"ads_config": ads, "cds_config": source, "lds_config": source},
            "static_resources": {
                "clusters": [dns_cluster("xds_cluster", xds_host, xds_port, **http2())]
            },
        },
        indent=1,
    )


DRAINED_AT_ONCE = ("--drain-time-s", "1", "--drain-strategy", "immediate")


def container(
    image: str, gateway_key: str, ports: list[Object], flags: tuple[str, ...], level: str
) -> Object:
    """The Envoy container of a gateway's Pod, with more `flags`, which logs from `level` on; its
    bootstrap is mounted at /etc/envoy."""
    admin = json.dumps({"admin": {"address": address("$(POD_IP)", ADMIN_PORT)}})
    return {
        "name": "envoy",
        "image": image,
        "args": [
            "-c", "/etc/envoy/envoy.json",
            "--config-yaml", admin,
            "--service-cluster", gateway_key,
            "--service-node", "router~$(POD_IP)~$(POD_NAME)~cluster.local",
            "--disable-hot-restart",
            "--concurrency", "1",
            "--log-level", level,
            "--file-flush-interval-msec", "20",
            *flags,
        ],
        "env": [
            {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        ],
        "ports": ports,
        "readinessProbe": {"httpGet": {"path": "/ready", "port": ADMIN_PORT}},
        "volumeMounts": [{"name": "bootstrap", "mountPath": "/etc/envoy"}],
    }  # fmt: skip


def owned_by(gateway: Object) -> list[Object]:
    """ownerReferences that tie an object to its Gateway."""
    metadata = gateway["metadata"]
    return [
        {
            "apiVersion": gateway["apiVersion"],
            "kind": gateway["kind"],
            "name": metadata["name"],
            "uid": metadata["uid"],
            "controller": True,
        }
    ]
