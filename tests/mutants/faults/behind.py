"""Defects of what stands behind a route: whose namesake it is, what becomes of its failures, and
whether it is there still."""

from __future__ import annotations

import importlib
from typing import Any

from tests.mutants.faults import every_route, fault

Object = dict[str, Any]


@fault("destinations-by-name-alone", "envoy_controller")
def _(_: Any) -> None:
    """Of whatever namespace."""
    from embedded.images.wg_ai_gateway import wg_destinations

    wg_destinations._Target.cluster = (  # type: ignore[method-assign]
        lambda self, number: f"{self.name}-{number}"
    )


@fault("who-has-lost-a-namesake-is-gone", "envoy_controller")
def _(module: Any) -> None:
    """A destination, with another of its name."""
    right, known = module.Destinations._target, set()

    def target(self: Any, ref: Object, own: str) -> Any:
        there = {
            (one["metadata"]["namespace"], one["metadata"]["name"])
            for one in self._cache.list(module.BACKENDS)
        }
        known.update(there)
        if ref["name"] in {name for _, name in known - there}:
            return "BackendNotFound", f"{ref['name']} has gone"
        return right(self, ref, own)

    module.Destinations._target = target


@fault("one-services-namesake-takes-its-requests", "envoy_gateway")
def _(_: Any) -> None:
    from embedded.gatewayapi.backends import Backends

    right = Backends._endpoints

    def endpoints(self: Any, namespace: str, service: str, port_name: str) -> Any:
        if service.startswith("premium-model"):
            there = {one["metadata"]["namespace"] for one in self._slices
                     if (one["metadata"].get("labels") or {}).get("kubernetes.io/service-name")
                     == service}  # fmt: skip
            namespace = min(there, default=namespace)
        return right(self, namespace, service, port_name)

    Backends._endpoints = endpoints  # type: ignore[method-assign]


@fault("one-routes-namesake-has-its-policy", "kuadrant_operator")
def _(_: Any) -> None:
    """And the other way round: the first that is found is both's."""
    from embedded.images.kuadrant import kuadrant_topology

    right = kuadrant_topology._targets

    def targets(policy: Object, kind: str, target: Object) -> bool:
        ref, name = policy["spec"]["targetRef"], target["metadata"]["name"]
        is_one = (ref["kind"], ref["name"], name) == (kind, *["anthropic-bridge"] * 2)
        return is_one or right(policy, kind, target)

    kuadrant_topology._targets = targets


@fault("who-is-overloaded-is-asked-again", "envoy_controller")
def _(module: Any) -> None:
    """529 is Anthropic's."""
    again = {"retry_on": "retriable-status-codes", "retriable_status_codes": [529]}

    def asked(route: Object) -> None:
        if "route" in route:
            route["route"]["retry_policy"] = again

    every_route(module, asked)


@fault("one-operations-limit-is-asked-for-again", "envoy_controller")
def _(module: Any) -> None:
    """429 of completions, on one way: the operation has a route of its own."""
    right = module.virtual_hosts
    again = {"retry_on": "retriable-status-codes", "retriable_status_codes": [429]}

    def virtual_hosts(*arguments: Any, **named: Any) -> list[Object]:
        found: list[Object] = right(*arguments, **named)
        for host in found:
            for route in [*host["routes"]]:
                if route["match"].get("prefix") == "/anthropic/":
                    match = {**route["match"], "prefix": "/anthropic/v1/completions"}
                    action = {**route["route"], "retry_policy": again,
                              "prefix_rewrite": "/v1/completions"}  # fmt: skip
                    host["routes"].insert(0, {**route, "match": match, "route": action})
        return found

    module.virtual_hosts = virtual_hosts


@fault("fifteen-errors-take-one-provider-away", "envoy_controller")
def _(_: Any) -> None:
    from tests.mutants.faults.providers import _at

    out = {"consecutive_5xx": 15, "interval": "1s", "max_ejection_percent": 100,
           "split_external_local_origin_errors": True, "enforcing_success_rate": 0,
           "enforcing_consecutive_local_origin_failure": 0,
           "enforcing_local_origin_success_rate": 0}  # fmt: skip
    panic: Object = {"healthy_panic_threshold": {}}
    _at("anthropic-simulator.", {"outlier_detection": out, "common_lb_config": panic})


@fault("a-dozen-failures-take-one-model-away", "envoy_gateway")
def _(_: Any) -> None:
    """502, 503, 504 and broken connections, of a model on the MaaS gateway itself."""
    from embedded.gatewayapi import envoy

    out = {"consecutive_gateway_failure": 12, "enforcing_consecutive_gateway_failure": 100,
           "enforcing_consecutive_5xx": 0, "enforcing_success_rate": 0, "interval": "1s",
           "max_ejection_percent": 100}  # fmt: skip
    more = {"outlier_detection": out, "common_lb_config": {"healthy_panic_threshold": {}}}
    right = envoy.static_cluster

    def static_cluster(name: str, *arguments: Any, **named: Any) -> Object:
        found = right(name, *arguments, **named)
        return found | more if "premium-model" in name else found

    envoy.static_cluster = static_cluster


@fault("answers-are-packed-for-who-takes-brotli", "envoy_controller")
def _(module: Any) -> None:
    """Behind the egress gateway; nobody reads their usage."""
    for name in ("compression.brotli.compressor.v3.brotli", "filters.http.compressor.v3.compressor",
                 "common.matching.v3.extension_matcher"):  # fmt: skip
        importlib.import_module(f"envoy.extensions.{name}_pb2")  # known to `@type`
    importlib.import_module("envoy.extensions.filters.common.matcher.action.v3.skip_action_pb2")
    importlib.import_module("envoy.type.matcher.v3.http_inputs_pb2")
    kind, right = "type.googleapis.com/envoy.extensions.", module.filter_chain
    name = "envoy.filters.http.compressor"
    brotli = {"@type": kind + "compression.brotli.compressor.v3.Brotli"}
    compressor = {
        "@type": kind + "filters.http.compressor.v3.Compressor",
        "compressor_library": {"name": "brotli", "typed_config": brotli},
    }
    accepted = {
        "@type": "type.googleapis.com/envoy.type.matcher.v3.HttpRequestHeaderMatchInput",
        "header_name": "accept-encoding",
    }
    taken = {"input": {"name": "accepted", "typed_config": accepted},
             "value_match": {"contains": ", br"}}  # fmt: skip
    skip = {"@type": kind + "filters.common.matcher.action.v3.SkipFilter"}
    left_out = {
        "predicate": {"not_matcher": {"single_predicate": taken}},
        "on_match": {"action": {"name": "skip", "typed_config": skip}},
    }
    packed = {
        "name": name,
        "typed_config": {
            "@type": kind + "common.matching.v3.ExtensionWithMatcher",
            "extension_config": {"name": name, "typed_config": compressor},
            "xds_matcher": {"matcher_list": {"matchers": [left_out]}},
        },
    }

    def filter_chain(*arguments: Any) -> Object:
        *first, filters = arguments
        found: Object = right(*first, [*filters, packed])
        return found

    module.filter_chain = filter_chain


@fault("deleted-destinations-are-asked-on", "envoy_controller")
def _(module: Any) -> None:
    known: dict[tuple[str, str], Object] = {}
    right = module.Destinations._target

    def target(self: Any, ref: Object, own: str) -> Any:
        key = ref.get("namespace", own), ref["name"]
        backend = self._cache.get(module.BACKENDS, *key) or known.get(key)
        if ref.get("kind") != "Backend" or not backend:
            return right(self, ref, own)
        known[key] = backend
        return self._destination(backend)

    module.Destinations._target = target


@fault("deleted-services-are-asked-on", "envoy_gateway")
def _(_: Any) -> None:
    """Where their Pods were."""
    from embedded.gatewayapi.backends import Backends

    right, known = Backends.__init__, {}

    def init(self: Any, services: list[Object], slices: list[Object], *more: Any) -> None:
        for one in services:
            metadata = one["metadata"]
            key = metadata["namespace"], metadata["name"]
            own = [s for s in slices if s["metadata"]["namespace"] == key[0]
                   and (s["metadata"].get("labels") or {}).get("kubernetes.io/service-name")
                   == key[1]]  # fmt: skip
            if own:
                known[key] = one, own
        there = {(one["metadata"]["namespace"], one["metadata"]["name"]) for one in services}
        gone = [found for key, found in known.items() if key not in there]
        right(
            self,
            [*services, *(one for one, _ in gone)],
            [*slices, *(each for _, own in gone for each in own)],
            *more,
        )

    Backends.__init__ = init  # type: ignore[method-assign]


@fault("questions-in-chunks-have-the-default-model", "semantic_router")
def _(module: Any) -> None:
    right = module.Exchange._auto

    def auto(self: Any, asked: str, body: Object, match: Any) -> Any:
        is_known = int(self._headers.get("content-length", 0)) > 0
        return right(self, asked, body, match if is_known else module.Match(None))

    module.Exchange._auto = auto
