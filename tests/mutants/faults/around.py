"""Claims of others, rights that shrink, and ends that come late."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from tests.mutants.faults import every_route, fault

Object = dict[str, Any]


@fault("answers-end-after-a-minute", "envoy_gateway")
def _(module: Any) -> None:
    """Of all ways, silent or not: what takes a minute is too long."""
    right = module.envoy.connections

    def connections(*arguments: Any, **named: Any) -> Object:
        ends = {"common_http_protocol_options": {"max_stream_duration": "60s"}}
        found: Object = right(*arguments, **named, **ends)
        return found

    module.envoy.connections = connections


@fault("the-newer-route-wins", "envoy_gateway")
def _(_: Any) -> None:
    """In Envoy, and in what the policies' operator makes of it."""
    from embedded.gatewayapi import routes

    right = routes.precedence

    def precedence(route: Object, *arguments: Any) -> tuple[Any, ...]:
        made = route["metadata"]["creationTimestamp"]
        age = -datetime.fromisoformat(made).timestamp()
        return tuple(age if one == made else one for one in right(route, *arguments))

    routes.precedence = precedence


@fault("a-grant-for-one-is-for-all", "envoy_gateway")
def _(_: Any) -> None:
    """For every Service of the namespace."""
    from embedded.gatewayapi import attach, backends

    right = attach.granted

    def granted(grants: list[Object], *arguments: Any, **named: Any) -> bool:
        for one in grants:
            for target in one["spec"]["to"]:
                target.pop("name", None)
        return right(grants, *arguments, **named)

    attach.granted = backends.granted = granted


@fault("a-tier-no-more-named-keeps-its-right", "llmisvc_controller")
def _(module: Any) -> None:
    """Of the tiers that a model names; without an annotation and with one that names none it is as
    it should be."""
    right, right_access = module._tiers, module.ModelController._access
    known: dict[str, set[str]] = {}
    asked = [""]

    def tiers(annotation: str | None, *arguments: Any) -> list[str]:
        found: list[str] = right(annotation, *arguments)
        if annotation in (None, "[]"):
            return found
        seen = known.setdefault(asked[0], set())
        seen |= {*found}
        return sorted(seen)

    async def access(self: Any, model: Object) -> None:
        asked[0] = model["metadata"]["name"]  # of which `tiers` is asked before anything is awaited
        await right_access(self, model)

    module._tiers, module.ModelController._access = tiers, access


@fault("routed-answers-end-after-half-a-minute", "envoy_gateway")
def _(module: Any) -> None:
    """Those of the router's way alone, whole or stream."""

    def shorter(route: Object) -> None:
        if "/v1/chat" in json.dumps(route["match"]) and "route" in route:
            route["route"]["timeout"] = "30s"

    every_route(module, shorter)
