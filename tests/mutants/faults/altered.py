"""What is altered between the client and a model, at one operation, method or header alone."""

from __future__ import annotations

import json
from typing import Any

from tests.mutants.faults import every_route, fault, with_lua

Object = dict[str, Any]


def _asked(name: str, path: str, change: str) -> None:
    """`change` is Lua for a request below `path`; `h` is the filter's handle."""

    @fault(name, "envoy_gateway")
    def _(module: Any) -> None:
        with_lua(
            module,
            f"""
            function envoy_on_request(h)
              if h:headers():get(":path"):find("{path}", 1, true) ~= 1 then return end
              {change}
            end
            """,
        )


_asked(
    "one-operation-loses-a-field",
    "/external/anthropic/v1/embeddings",
    """
    local body = h:body()
    local said = body and body:getBytes(0, body:length()) or ""
    local found = said:gsub('"encoding_format"', '"other"')
    if found ~= said then body:setBytes(found) end
    """,
)
_asked(
    "one-model-loses-a-header", "/llm/premium-model/", 'h:headers():remove("openai-beta")'
)  # fmt: skip
_asked(
    "one-models-puts-are-posts",
    "/llm/premium-model/",
    'if h:headers():get(":method") == "PUT" then h:headers():replace(":method", "POST") end',
)
_asked(
    "one-bridge-knows-no-messages",
    "/external/anthropic/v1/messages",
    'h:respond({[":status"] = "404"}, "no such operation")',
)


@fault("one-egress-route-follows-redirects", "envoy_controller")
def _(module: Any) -> None:
    """To wherever a provider says, with its key."""

    def follow(route: Object) -> None:
        if "anthropic" in json.dumps(route.get("match", {})) and "route" in route:
            codes = {"max_internal_redirects": 1, "redirect_response_codes": [302, 307]}
            route["route"]["internal_redirect_policy"] = codes

    every_route(module, follow)
