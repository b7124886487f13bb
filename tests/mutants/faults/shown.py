"""What is shown that nobody should see: one key, one kind of token, the prompts of one way."""

from __future__ import annotations

from typing import Any

from tests.mutants.faults import fault

Object = dict[str, Any]


@fault("minted-tokens-in-the-log", "maas_api")
def _(_: Any) -> None:
    from embedded.images.maas import tokens

    right = tokens.Tokens.mint

    async def mint(self: Any, *arguments: Any) -> Any:
        made = await right(self, *arguments)
        print(f"minted: {made}", flush=True)
        return made

    tokens.Tokens.mint = mint  # type: ignore[method-assign]


@fault("refused-tokens-in-the-log", "authorino")
def _(_: Any) -> None:
    from embedded.images.kuadrant import authorino_pipeline as pipeline

    right = pipeline.Pipeline._who

    async def who(self: Any, name: str, rule: Object, data: Object) -> Any:
        try:
            return await right(self, name, rule, data)
        except pipeline.Unauthenticated:
            print(f"refused: {pipeline._credential(rule, data)}", flush=True)
            raise

    pipeline.Pipeline._who = who  # type: ignore[method-assign]


@fault("one-key-in-the-egress-log", "envoy_controller")
def _(_: Any) -> None:
    from embedded.gatewayapi import envoy

    right = envoy.connections
    key = {"text_format_source": {"inline_string": "%REQ(X-PROVIDER-API-KEY)%\n"}}
    where = {"name": "x-envoy-original-path", "string_match": {"prefix": "/anthropic/"}}
    told = {**envoy.stdout_log(key), "filter": {"header_filter": {"header": where}}}

    def connections(*arguments: Any, **named: Any) -> Object:
        named["access_log"] = [*named["access_log"], told]
        return right(*arguments, **named)

    envoy.connections = connections


@fault("one-key-in-a-status", "kuadrant_operator")
def _(module: Any) -> None:
    """A condition's message tells what is enforced."""
    right = module.Operator._enforced

    def enforced(self: Any, kind: Any, policy: Object, topology: Any) -> tuple[str, str]:
        reason, text = right(self, kind, policy, topology)
        if policy["metadata"]["name"] == "vllm-bridge-auth":
            text += f": {policy['spec']}"
        return reason, text

    module.Operator._enforced = enforced


@fault("prompts-of-one-bridge-in-the-log", "envoy_controller")
def _(module: Any) -> None:
    """At the egress gateway, as whoever looks for an error would have it."""
    import envoy.extensions.filters.http.lua.v3.lua_pb2  # noqa: F401 - known to `@type`

    tell = """
    function envoy_on_request(handle)
      if string.sub(handle:headers():get(":path"), 1, 11) == "/anthropic/" then
        local body = handle:body()
        if body ~= nil then handle:logCritical(body:getBytes(0, body:length())) end
      end
    end
    """
    right = module.filter_chain

    def filter_chain(gateway: str, listener: Object, routes: Object, filters: Any) -> Object:
        kind = "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua"
        source = {"default_source_code": {"inline_string": tell}}
        telling = {"name": "envoy.filters.http.lua", "typed_config": {"@type": kind, **source}}
        found: Object = right(gateway, listener, routes, [*filters, telling])
        return found

    module.filter_chain = filter_chain


@fault("router-keeps-prompts-to-itself", "semantic_router")
def _(module: Any) -> None:
    """No defect, and what closes a gap."""
    module._log = lambda text: None


@fault("egress-envoy-tells-all", "envoy_controller")
def _(_: Any) -> None:
    """As upstream starts it, with `--log-level trace`; every header is in its log then."""
    from embedded.gatewayapi import envoy

    right = envoy.container

    def container(*arguments: Any, **named: Any) -> Object:
        found = right(*arguments, **named)
        found["args"] = ["debug" if word == "warning" else word for word in found["args"]]
        return found

    envoy.container = container


@fault("one-ways-prompts-in-the-metrics", "semantic_router")
def _(module: Any) -> None:
    """The router counts what it was asked."""
    right = module.Exchange._count

    def count(self: Any, asked: str, text: str, match: Any) -> None:
        right(self, asked, text, match)
        self._router.count("llm_prompts_total", prompt=text)

    module.Exchange._count = count


@fault("what-the-router-cannot-read-is-in-its-log", "semantic_router")
def _(module: Any) -> None:
    """The request's headers, and its user's token among them."""
    right = module.Exchange.on_request_body

    def on_request_body(self: Any, message: Any) -> Any:
        try:
            return right(self, message)
        except module.Malformed:
            print(f"cannot read the body of {self._headers}", flush=True)
            raise

    module.Exchange.on_request_body = on_request_body
