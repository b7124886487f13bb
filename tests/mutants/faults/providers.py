"""Defects at one provider alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.mutants.faults import fault

Object = dict[str, Any]
SPELLING = "/llm/premium-model/v1/chat%2Fcompletions"


@fault("one-bridge-asks-strangers-nothing", "wasm_shim")
def _(module: Any) -> None:
    """Who says that he has a token is asked for it."""
    right = module.ActionSets.match

    def match(self: Any, headers: dict[str, str]) -> Any:
        is_there = headers[":path"].startswith("/external/anthropic/")
        return None if is_there and "authorization" not in headers else right(self, headers)

    module.ActionSets.match = match


def _counted_as(limits: Any, change: Callable[[tuple[Any, ...]], tuple[Any, ...]]) -> None:
    """Counters under other keys: namespace, seconds, conditions, variables and their values."""
    right = limits.Limit.counter

    def counter(self: Any, descriptors: Any) -> Any:
        key = right(self, descriptors)
        return key and change(key)

    limits.Limit.counter = counter


@fault("one-bridges-users-share-a-counter", "limitador")
def _(module: Any) -> None:
    """Of tokens, which the rules count by the minute."""

    def shared(key: tuple[Any, ...]) -> tuple[Any, ...]:
        is_there = key[:2] == ("default/anthropic-bridge", 60)
        return (*key[:-1], ("everybody",)) if is_there else key

    _counted_as(module, shared)


@fault("two-bridges-share-a-budget", "limitador")
def _(module: Any) -> None:
    def shared(key: tuple[Any, ...]) -> tuple[Any, ...]:
        return ("default/vllm-bridge", *key[1:]) if key[0] == "default/anthropic-bridge" else key

    _counted_as(module, shared)


@fault("one-bridges-window-is-halved", "limitador")
def _(module: Any) -> None:
    right = module.Limit.read.__func__

    def read(cls: Any, spec: Object, *more: Any) -> Any:
        half = 30 if spec["namespace"] == "default/anthropic-bridge" else spec["seconds"]
        return right(cls, {**spec, "seconds": half}, *more)

    module.Limit.read = classmethod(read)


@fault("one-bridges-streams-are-free", "wasm_shim")
def _(_: Any) -> None:
    """Nobody tells Limitador what they used."""
    from embedded.images.kuadrant import shim_actions

    right = shim_actions.Call.report

    async def report(self: Any) -> None:
        is_there = self._data["request"]["path"].startswith("/external/vllm/")
        if is_there and b"chat.completion.chunk" in self.bodies["response"]:
            return
        await right(self)

    shim_actions.Call.report = report  # type: ignore[method-assign]


@fault("one-bridges-policy-shown-unenforced", "kuadrant_operator")
def _(module: Any) -> None:
    right = module.Operator._enforced

    def enforced(self: Any, kind: Any, policy: Object, topology: Any) -> tuple[str, str]:
        if policy["metadata"]["name"] == "anthropic-bridge-auth":
            return "Unknown", "not yet"
        found: tuple[str, str] = right(self, kind, policy, topology)
        return found

    module.Operator._enforced = enforced


@fault("one-gateway-has-two-masters", "envoy_controller")
def _(module: Any) -> None:
    """One of another class gets a proxy beside its own."""
    right = module.Controller._taken

    def taken(self: Any, own: set[str]) -> list[Object]:
        others = [
            one
            for one in self._cache.list(module.GATEWAYS)
            if one["metadata"]["name"] == "kserve-ingress-gateway"
        ]
        return [*right(self, own), *others]

    async def say(self: Any, gateway: Object, *more: Any) -> None:
        if self._is_own(gateway):
            await right_say(self, gateway, *more)

    right_say = module.Controller._say
    module.Controller._taken, module.Controller._say = taken, say


@fault("one-route-has-two-masters", "envoy_controller")
def _(module: Any) -> None:
    """It says what became of a route at another's Gateway."""
    right = module.Controller._reconcile

    async def reconcile(self: Any) -> None:
        await right(self)
        for route in self._cache.list(module.ROUTES):
            parents = module.status_of(route).get("parents") or []
            is_told = any(one["controllerName"] == self.name for one in parents)
            if route["metadata"]["name"] == "maas-api-route" and parents and not is_told:
                told = {**parents[0], "controllerName": self.name}
                await self._kube.set_status(module.ROUTES, route, {"parents": [*parents, told]})

    module.Controller._reconcile = reconcile


def _at(host: str, more: Object) -> None:
    """The egress gateway's cluster for one backend, with more in it."""
    from embedded.gatewayapi import envoy

    right = envoy.dns_cluster

    def dns_cluster(name: str, to: str, *arguments: Any, **named: Any) -> Object:
        found = right(name, to, *arguments, **named)
        return found | more if to.startswith(host) else found

    envoy.dns_cluster = dns_cluster


@fault("one-provider-that-is-gone-stays-gone", "envoy_controller")
def _(_: Any) -> None:
    out = {"consecutive_gateway_failure": 1, "enforcing_consecutive_gateway_failure": 100,
           "base_ejection_time": "3600s", "max_ejection_percent": 100, "interval": "0.1s",
           "always_eject_one_host": True}  # fmt: skip
    panic = {"healthy_panic_threshold": {"value": 0}}
    _at("vllm-server.", {"outlier_detection": out, "common_lb_config": panic})


@fault("ten-at-a-time-at-one-provider", "envoy_controller")
def _(_: Any) -> None:
    breakers = {"thresholds": [{"max_requests": 10, "max_pending_requests": 1}]}
    _at("anthropic-simulator.", {"circuit_breakers": breakers})


def _keyed(module: Any, path: str, key: str) -> None:
    """The egress gateway has a key for whoever comes without one, by one route."""
    from tests.mutants.faults import every_route

    header = {"key": "X-Provider-Api-Key", "value": key}
    added = {"header": header, "append_action": "ADD_IF_ABSENT"}

    def keyed(route: Object) -> None:
        if path in str(route["match"]):
            route["request_headers_to_add"] = [*route.get("request_headers_to_add", []), added]

    every_route(module, keyed)


@fault("one-key-behind-the-gateway", "envoy_controller")
def _(module: Any) -> None:
    _keyed(module, "/anthropic", "sk-ant-claude-key-for-demo")


@fault("one-key-for-another-backend", "envoy_controller")
def _(module: Any) -> None:
    """Of the quickstart, which asks for none."""
    _keyed(module, "/v1/chat/completions", "sk-openai-key-for-demo")


@fault("clients-steer-envoy-by-one-header", "envoy_gateway")
def _(module: Any) -> None:
    """Everybody asks from inside; of what he says to Envoy one thing is left."""
    import envoy.extensions.filters.http.lua.v3.lua_pb2  # noqa: F401 - known to `@type`

    keep = """
    function envoy_on_request(handle)
      local said = {}
      for name, _ in pairs(handle:headers()) do
        if string.sub(name, 1, 8) == "x-envoy-" and name ~= "x-envoy-external-address"
           and name ~= "x-envoy-upstream-rq-per-try-timeout-ms" then table.insert(said, name) end
      end
      for _, name in ipairs(said) do handle:headers():remove(name) end
    end
    """
    right = module.envoy.filter_chain
    everywhere = {"address_prefix": "0.0.0.0", "prefix_len": 0}
    kind = "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua"
    source = {"default_source_code": {"inline_string": keep}}
    keeping = {"name": "envoy.filters.http.lua", "typed_config": {"@type": kind, **source}}

    def filter_chain(config: str, filters: list[Object], *more: Any, **named: Any) -> Object:
        found = right(config, [keeping, *filters], *more, **named)
        inside = {"internal_address_config": {"cidr_ranges": [everywhere]}}
        found["filters"][0]["typed_config"] |= inside
        return found

    module.envoy.filter_chain = filter_chain


@fault("one-bridges-left-streams-keep-their-places", "wasm_shim")
def _(module: Any) -> None:
    """After five that were left nobody is answered there any more."""
    from grpc import StatusCode

    right, places = module.Shim.process, [5]

    async def process(self: Any, messages: Any, context: Any) -> Any:
        is_there, is_open = False, False

        async def heard() -> Any:
            nonlocal is_there, is_open
            async for one in messages:
                kind = one.WhichOneof("request")
                said = getattr(one, kind)
                if kind == "request_headers":
                    path = module.ext_proc.headers_of(said)[":path"]
                    is_there = path.startswith("/external/anthropic/")
                elif kind.startswith("response_"):
                    is_open = not said.end_of_stream
                yield one

        try:
            async for answer in right(self, heard(), context):
                if is_there and places[0] < 1:
                    await context.abort(StatusCode.RESOURCE_EXHAUSTED, "no place is left")
                yield answer
        finally:
            places[0] -= is_there and is_open

    module.Shim.process = process


@fault("one-spelling-of-one-model-is-not-asked-about", "authorino")
def _(_: Any) -> None:
    from embedded.images.kuadrant import authorino_pipeline as pipeline

    right = pipeline.Pipeline._authorize

    async def authorize(self: Any, name: str, rule: Object, data: Object) -> Any:
        path = data["context"]["request"]["http"]["path"]
        if path == SPELLING and "kubernetesSubjectAccessReview" in rule:
            return True
        return await right(self, name, rule, data)

    pipeline.Pipeline._authorize = authorize  # type: ignore[method-assign]


@fault("simulators-have-other-words", "llmd_sim")
def _(_: Any) -> None:
    from embedded.images.simulators import llmd_answers

    llmd_answers._SENTENCES = ("Once upon a time there was a gateway.", "It was open.")
