"""Component faults: a stand-in with defects, run in place of the right one.

`python -m tests.mutants.faults FAULT[+FAULT…] ARG…` breaks functions of a stand-in and runs it;
`--image NAME=…` of the cluster puts it in. Nothing in the stand-ins knows of faults. They are
grouped by the profile that first needed them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from embedded.images import stand_in

FAULTS: dict[str, tuple[str, Callable[[Any], None]]] = {}


def fault(name: str, image: str) -> Callable[[Callable[[Any], None]], Callable[[Any], None]]:
    """Register a function that breaks the module of a stand-in; its name is its own."""

    def register(function: Callable[[Any], None]) -> Callable[[Any], None]:
        assert name not in FAULTS, f"two faults are called {name}"
        FAULTS[name] = (stand_in(image), function)
        return function

    return register


def whole_answers(shim: Any) -> None:
    """Let the shim see JSON answers whole, not in pieces, for faults that change or refuse them."""
    right = shim.Exchange.on_response_headers

    async def on_response_headers(self: Any, message: Any) -> Any:
        answer = await right(self, message)
        if isinstance(self._parser, shim.WholeBody) and not message.end_of_stream:
            answer.mode_override.response_body_mode = shim.Mode.BUFFERED
        return answer

    shim.Exchange.on_response_headers = on_response_headers


def every_route(module: Any, change: Callable[[dict[str, Any]], None]) -> None:
    """Change each route of the virtual hosts that a gateway makes."""
    right = module.virtual_hosts

    def virtual_hosts(*arguments: Any, **named: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = right(*arguments, **named)
        for host in found:
            for route in host["routes"]:
                change(route)
        return found

    module.virtual_hosts = virtual_hosts


def with_lua(module: Any, source: str, first: bool = False) -> None:
    """A filter in the Envoys of a gateway, behind the policies' or before it."""
    import envoy.extensions.filters.http.lua.v3.lua_pb2  # noqa: F401 - known to `@type`

    right = module.envoy.connections
    kind = "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua"
    config = {"@type": kind, "default_source_code": {"inline_string": source}}
    own = {"name": "envoy.filters.http.lua", "typed_config": config}

    def connections(
        name: str, routes: dict[str, Any], filters: list[dict[str, Any]], **more: Any
    ) -> dict[str, Any]:
        placed = [own, *filters] if first else [*filters, own]
        found: dict[str, Any] = right(name, routes, placed, **more)
        return found

    module.envoy.connections = connections


from tests.mutants.faults import (  # noqa: E402, F401
    altered,
    around,
    askers,
    behind,
    bodies,
    changing,
    dual_gateway,
    everywhere,
    external_models,
    guises,
    hardening,
    hardening_limits,
    keys,
    listings,
    maas_gateway,
    maas_gateway_limits,
    metered_elements,
    metering_everywhere,
    mixed_providers,
    moments,
    neighbours,
    providers,
    refusals,
    restarts,
    rights,
    routed_elements,
    running,
    second_ways,
    shown,
    yesterday,
)
