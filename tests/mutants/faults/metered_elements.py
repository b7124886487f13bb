"""Holes in limits at one element: one route of one tier, one model, one way to write a usage."""

from __future__ import annotations

import asyncio
import json
import re
import zlib
from collections.abc import Callable
from typing import Any

from tests.mutants.faults import fault

Object = dict[str, Any]
LARGE, LONG_SECONDS = 65_536, 10.0
_TOTAL = re.compile(rb"total_tokens\W+(\d+)")


def _limits_of(namespace: str, change: Callable[[Object], Object]) -> Callable[[Any], None]:
    """The limits of one route as Limitador reads them."""

    def breaks(module: Any) -> None:
        right = module.Limit.read.__func__

        def read(cls: Any, spec: Object, *more: Any) -> Any:
            own = change(spec) if spec["namespace"] == namespace else {}
            return right(cls, {**spec, **own}, *more)

        module.Limit.read = classmethod(read)

    return breaks


def _of(maximum: int, **said: int) -> Callable[[Object], Object]:
    """For the limit with this maximum."""
    return lambda spec: said if spec["max_value"] == maximum else {}


fault("one-tier-has-anothers-tokens-on-one-route", "limitador")(
    _limits_of("default/anthropic-bridge", _of(100_000, max_value=50_000))
)
fault("one-tiers-requests-return-early-on-one-route", "limitador")(
    _limits_of("default/vllm-bridge", _of(20, seconds=60))
)
fault("one-tiers-tokens-return-late-on-one-route", "limitador")(
    _limits_of("llm/premium-model-kserve-route", _of(100_000, seconds=180))
)


@fault("tokens-are-forgotten-with-any-policy", "limitador")
def _(module: Any) -> None:
    """Limits that are read anew begin a minute anew, and what has two goes on."""
    right = module.Limits.configure

    def configure(self: Any, *arguments: Any) -> Any:
        found = right(self, *arguments)
        self._counters = {k: c for k, c in self._counters.items() if c.limit.seconds != 60}
        return found

    module.Limits.configure = configure


def _reported(alter: Callable[[Any], bool]) -> None:
    """The report of each call for which `alter`, which may change its answer, says so."""
    from embedded.images.kuadrant import shim_actions

    right = shim_actions.Call.report

    async def report(self: Any) -> None:
        if alter(self):
            await right(self)

    shim_actions.Call.report = report  # type: ignore[method-assign]


def _body(call: Any) -> Object:
    try:
        found = json.loads(call.bodies["response"])
    except (ValueError, KeyError):
        return {}
    return found if isinstance(found, dict) else {}


@fault("cached-prompts-are-free", "wasm_shim")
def _(_: Any) -> None:
    """What a model had in its cache is taken off."""

    def alter(call: Any) -> bool:
        body = _body(call)
        usage = body.get("usage")
        details = usage.get("prompt_tokens_details") if isinstance(usage, dict) else None
        if details:
            usage["total_tokens"] -= details.get("cached_tokens", 0)
            call.bodies["response"] = json.dumps(body).encode()
        return True

    _reported(alter)


@fault("a-usage-in-the-text-counts", "wasm_shim")
def _(_: Any) -> None:
    """The first that looks like one, wherever it stands."""

    def alter(call: Any) -> bool:
        if found := _TOTAL.search(call.bodies.get("response", b"")):
            call.bodies["response"] = b'{"usage": {"total_tokens": %s}}' % found[1]
        return True

    _reported(alter)


@fault("errors-of-one-way-are-counted", "wasm_shim")
def _(_: Any) -> None:
    """As if they had used a little."""

    def alter(call: Any) -> bool:
        is_there = call._data["request"]["path"].startswith("/external/vllm/")
        if is_there and "error" in _body(call):
            call.bodies["response"] = b'{"usage": {"total_tokens": 5}}'
        return True

    _reported(alter)


@fault("without-tls-tokens-are-free", "wasm_shim")
def _(_: Any) -> None:
    _reported(lambda call: call._data["request"]["scheme"] != "http")


@fault("one-model-behind-the-router-is-free", "wasm_shim")
def _(_: Any) -> None:
    _reported(lambda call: (
        not call._data["request"]["path"].startswith("/v1/chat/")
        or _body(call).get("model") != "Model-A"
    ))  # fmt: skip


@fault("one-ways-streams-count-twice", "wasm_shim")
def _(_: Any) -> None:
    """Of completions."""

    def alter(call: Any) -> bool:
        body = _body(call)
        is_there = call._data["request"]["path"] == "/external/anthropic/v1/completions"
        if is_there and body.get("object", "").endswith(".chunk"):
            body["usage"]["total_tokens"] *= 2
            call.bodies["response"] = json.dumps(body).encode()
        return True

    _reported(alter)


@fault("large-answers-of-one-way-are-free", "wasm_shim")
def _(_: Any) -> None:
    _reported(lambda call: (
        not call._data["request"]["path"].startswith("/external/openai/")
        or len(call.bodies.get("response", b"")) < LARGE
    ))  # fmt: skip


@fault("long-answers-of-one-way-are-free", "wasm_shim")
def _(_: Any) -> None:
    """Who has answered is forgotten by then."""
    from embedded.images.kuadrant import shim_actions

    right = shim_actions.Call.check_limits

    async def check_limits(self: Any) -> None:
        self.began = asyncio.get_running_loop().time()
        await right(self)

    shim_actions.Call.check_limits = check_limits  # type: ignore[method-assign]
    _reported(lambda call: (
        not call._data["request"]["path"].startswith("/llm/premium-model/")
        or asyncio.get_running_loop().time() - call.began < LONG_SECONDS
    ))  # fmt: skip


@fault("a-new-token-has-a-new-budget", "wasm_shim")
def _(_: Any) -> None:
    """On one bridge a user is his token."""
    from embedded.images.kuadrant import shim_actions

    right = shim_actions.Call.authorize

    async def authorize(self: Any) -> None:
        await right(self)
        request, identity = self._data["request"], self._data["auth"].get("identity", {})
        if request["path"].startswith("/external/vllm/") and "userid" in identity:
            token = request["headers"].get("authorization", "")
            identity["userid"] += f"-{zlib.crc32(token.encode())}"

    shim_actions.Call.authorize = authorize  # type: ignore[method-assign]


@fault("one-operation-is-refused-when-it-was-answered", "wasm_shim")
def _(module: Any) -> None:
    """Completions of one provider."""
    from embedded.images.kuadrant import shim_actions

    right, on_headers = shim_actions.Call.check_limits, module.Exchange.on_response_headers

    async def check_limits(self: Any) -> None:
        try:
            await right(self)
        except shim_actions.Denied:
            if self._data["request"]["path"] != "/external/openai/v1/completions":
                raise
            self.is_late = True

    async def on_response_headers(self: Any, message: Any) -> Any:
        if getattr(self._call, "is_late", False):
            headers = {"content-type": "text/plain"}
            raise shim_actions.Denied(429, "Too Many Requests\n", headers, "kuadrant_limit")
        return await on_headers(self, message)

    shim_actions.Call.check_limits = check_limits  # type: ignore[method-assign]
    module.Exchange.on_response_headers = on_response_headers


@fault("large-streams-of-one-model-are-cut", "wasm_shim")
def _(module: Any) -> None:
    """What comes after so many bytes is not passed on."""
    right = module.Exchange.on_response_body

    async def on_response_body(self: Any, message: Any) -> Any:
        answer = await right(self, message)
        path = self._call._data["request"]["path"] if self._call else ""
        self.passed = getattr(self, "passed", 0) + len(message.body)
        is_stream = isinstance(self._parser, module.SseUsage)
        if path.startswith("/llm/premium-model/") and is_stream and self.passed > LARGE:
            answer.response_body.response.body_mutation.clear_body = True
        return answer

    module.Exchange.on_response_body = on_response_body
