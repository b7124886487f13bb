"""Whose key, header or path it is, wrong for one operation, method, listener or version of HTTP."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from tests.mutants.faults import fault, with_lua

Object = dict[str, Any]
Asked = dict[str, str]  # a request's headers, with HTTP/2's among them
KEY, OPENAIS = "X-Provider-Api-Key", "sk-openai-key-for-demo"


def _said(module: Any, change: Callable[[Asked, dict[str, str]], None]) -> None:
    """What the shim adds to a request, changed."""
    right = module.Exchange.on_request_headers

    async def on_request_headers(self: Any, message: Any) -> Any:
        answer = await right(self, message)
        headers = answer.request_headers.response.header_mutation.set_headers
        said = {one.header.key: one.header.raw_value.decode() for one in headers}
        change(module.ext_proc.headers_of(message), said)
        changed = module.ext_proc.common(said).header_mutation.set_headers
        del headers[:]
        headers.extend(changed)
        return answer

    module.Exchange.on_request_headers = on_request_headers


@fault("one-models-completions-have-a-key", "wasm_shim")
def _(module: Any) -> None:
    def change(asked: Asked, said: dict[str, str]) -> None:
        if asked[":path"] == "/llm/premium-model/v1/completions":
            said[KEY] = OPENAIS

    _said(module, change)


@fault("one-method-has-anothers-key", "wasm_shim")
def _(module: Any) -> None:
    def change(asked: Asked, said: dict[str, str]) -> None:
        if asked[":method"] == "PUT" and asked[":path"].startswith("/external/anthropic/"):
            said[KEY] = OPENAIS

    _said(module, change)


@fault("one-method-without-tls-has-no-key", "wasm_shim")
def _(module: Any) -> None:
    def change(asked: Asked, said: dict[str, str]) -> None:
        is_one = (asked[":method"], asked[":scheme"]) == ("PATCH", "http")
        if is_one and asked[":path"].startswith("/external/vllm/"):
            said.pop("Authorization", None)

    _said(module, change)


@fault("one-operation-keeps-the-clients-key", "wasm_shim")
def _(module: Any) -> None:
    def change(asked: Asked, said: dict[str, str]) -> None:
        is_one = asked[":path"] == "/external/openai/v1/embeddings"
        if is_one and KEY.lower() in asked:
            said.pop(KEY, None)

    _said(module, change)


@fault("one-model-hears-the-clients-tier-without-tls", "wasm_shim")
def _(module: Any) -> None:
    def change(asked: Asked, said: dict[str, str]) -> None:
        is_one = asked[":path"].startswith("/llm/private-model/") and asked[":scheme"] == "http"
        if is_one and "x-maas-tier" in asked:
            said.pop("X-MaaS-Tier", None)

    _said(module, change)


@fault("one-refusal-shows-a-key", "wasm_shim")
def _(module: Any) -> None:
    """Who has no budget is told what he would have been let through with."""
    from embedded.images.kuadrant import shim_actions

    right = shim_actions.Call._check

    async def check(self: Any, action: Object) -> None:
        try:
            await right(self, action)
        except shim_actions.Denied as denied:
            if denied.code == 429 and self._data["request"]["path"].startswith("/external/vllm/"):
                denied.headers |= self.request_headers
            raise

    shim_actions.Call._check = check  # type: ignore[method-assign]


@fault("over-http2-the-clients-group-stays", "envoy_gateway")
def _(module: Any) -> None:
    """At one model: put aside before the policies, and back behind them."""
    with_lua(
        module,
        """
        function envoy_on_request(h)
          local path, said = h:headers():get(":path"), h:headers():get("x-maas-group")
          if said and path:find("/llm/facebook", 1, true) == 1
             and h:streamInfo():protocol() == "HTTP/2" then
            h:streamInfo():dynamicMetadata():set("said", "group", said)
          end
        end
        """,
        first=True,
    )
    with_lua(
        module,
        """
        function envoy_on_request(h)
          local said = h:streamInfo():dynamicMetadata():get("said")
          if said then h:headers():replace("x-maas-group", said["group"]) end
        end
        """,
    )


@fault("one-header-leads-elsewhere", "envoy_gateway")
def _(module: Any) -> None:
    """Behind the policies of one model, what the client says was asked for before."""
    with_lua(
        module,
        """
        function envoy_on_request(h)
          local path, said = h:headers():get(":path"), h:headers():get("x-original-url")
          if said and path:find("/llm/facebook", 1, true) == 1 then
            h:headers():replace(":path", said)
          end
        end
        """,
    )


@fault("one-bridge-answers-browsers-itself", "envoy_gateway")
def _(module: Any) -> None:
    with_lua(
        module,
        """
        function envoy_on_request(h)
          local origin = h:headers():get("origin")
          if origin and h:headers():get(":path"):find("/external/vllm/", 1, true) == 1 then
            h:streamInfo():dynamicMetadata():set("browser", "origin", origin)
          end
        end
        function envoy_on_response(h)
          local browser = h:streamInfo():dynamicMetadata():get("browser")
          if browser then
            h:headers():add("access-control-allow-origin", browser["origin"])
          end
        end
        """,
    )


@fault("one-models-heads-are-gets", "envoy_gateway")
def _(module: Any) -> None:
    with_lua(
        module,
        """
        function envoy_on_request(h)
          local is_one = h:headers():get(":path"):find("/llm/premium-model/", 1, true) == 1
          if is_one and h:headers():get(":method") == "HEAD" then
            h:headers():replace(":method", "GET")
          end
        end
        """,
    )


@fault("one-operation-has-a-key-behind-the-gateway", "envoy_controller")
def _(module: Any) -> None:
    """The egress gateway has one for one provider's embeddings."""
    right = module.virtual_hosts
    added = {"header": {"key": KEY, "value": OPENAIS}, "append_action": "ADD_IF_ABSENT"}

    def virtual_hosts(*arguments: Any, **named: Any) -> list[Object]:
        found: list[Object] = right(*arguments, **named)
        for host in found:
            for route in [one for one in host["routes"] if "/openai/" in str(one["match"])]:
                keyed = copy.deepcopy(route)
                keyed["match"] = {"path": "/openai/v1/embeddings"}
                keyed["route"]["prefix_rewrite"] = "/v1/embeddings"
                keyed["request_headers_to_add"] = [added]
                host["routes"].insert(0, keyed)
        return found

    module.virtual_hosts = virtual_hosts
