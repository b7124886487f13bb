"""Faults of limits: those that the setup guide's profile has to notice."""

from __future__ import annotations

import contextlib
import re
from typing import Any

from tests.mutants.faults import fault, whole_answers

Object = dict[str, Any]


@fault("request-limit-after-upstream", "wasm_shim")
def _(module: Any) -> None:
    """Limits are told of, and refused requests forwarded."""
    from embedded.images.kuadrant import shim_actions

    right = shim_actions.Call.check_limits

    async def check(self: Any) -> None:
        try:
            await right(self)
        except shim_actions.Denied:
            self.late = True

    shim_actions.Call.check_limits = check  # type: ignore[method-assign]
    on_headers = module.Exchange.on_response_headers

    async def on_response_headers(self: Any, message: Any) -> Any:
        if getattr(self._call, "late", False):
            headers = {"content-type": "text/plain"}
            raise shim_actions.Denied(429, "Too Many Requests\n", headers, "late")
        return await on_headers(self, message)

    module.Exchange.on_response_headers = on_response_headers


@fault("limits-off-by-one", "limitador")
def _(module: Any) -> None:
    """One hit more than the limit says."""
    right = module.Limits.within
    module.Limits.within = lambda self, namespace, descriptors, hits: right(
        self, namespace, descriptors, hits - 1
    )


@fault("streams-counted-without-usage", "wasm_shim")
def _(module: Any) -> None:
    """As if somebody counted what was said: no defect, and what closes a gap."""
    right = module.SseUsage.last_with_usage

    def last_with_usage(self: Any) -> bytes:
        found: bytes = right(self)
        return found if b"total_tokens" in found else b'{"usage":{"total_tokens":200}}'

    module.SseUsage.last_with_usage = last_with_usage


@fault("errors-counted", "wasm_shim")
def _(_: Any) -> None:
    """An answer without usage counts as ten tokens."""
    from embedded.images.kuadrant import shim_actions
    from embedded.shared import cel

    right = shim_actions.Call._entry

    def entry(self, expression):  # type: ignore[no-untyped-def]
        with contextlib.suppress(cel.CelError, ValueError):
            key, value = right(self, expression)
            if key != shim_actions.HITS or value.isdecimal():
                return key, value
        return expression["key"], "10"

    shim_actions.Call._entry = entry  # type: ignore[method-assign]


@fault("last-answer-withheld", "wasm_shim")
def _(module: Any) -> None:
    """An answer of more than 1,000 tokens is refused instead of delivered."""
    whole_answers(module)
    right = module.Exchange.on_response_body

    async def on_response_body(self: Any, message: Any) -> Any:
        if b'"total_tokens": 5000' in message.body and isinstance(self._parser, module.WholeBody):
            from embedded.images.kuadrant.shim_actions import Denied

            raise Denied(429, "Too Many Requests\n", {}, "withheld")
        return await right(self, message)

    module.Exchange.on_response_body = on_response_body


@fault("rate-limit-shown-unenforced", "kuadrant_operator")
def _(module: Any) -> None:
    right = module.Operator._enforced

    def enforced(self: Any, kind: Any, policy: Object, topology: Any) -> tuple[str, str]:
        if kind is module.RATE:
            return "Unknown", "not yet"
        found: tuple[str, str] = right(self, kind, policy, topology)
        return found

    module.Operator._enforced = enforced


@fault("counted-after-the-answer", "limitador")
def _(module: Any) -> None:
    """Check and count are two steps, with others' in between."""

    async def should_rate_limit(self: Any, request: Any, _: Any) -> Any:
        descriptors, hits = module._descriptors(request), request.hits_addend or 1
        if not self._limits.within(request.domain, descriptors, hits):
            return module.rls_pb2.RateLimitResponse(overall_code=module.OVER_LIMIT)
        await module.asyncio.sleep(0.2)
        self._limits.add(request.domain, descriptors, hits)
        return module.rls_pb2.RateLimitResponse(overall_code=module.OK)

    module.Services.should_rate_limit = should_rate_limit


@fault("window-slides", "limitador")
def _(module: Any) -> None:
    """Each hit begins the window anew."""
    right = module.Limits.add

    def add(self: Any, namespace: str, descriptors: Any, hits: int) -> None:
        right(self, namespace, descriptors, hits)
        for limit, key in self._hit(namespace, descriptors):
            self._counters[key].ends = self._clock() + limit.seconds

    module.Limits.add = add


@fault("large-answers-unmetered", "wasm_shim")
def _(module: Any) -> None:
    """What is longer than 4 KiB is passed on unread."""
    right = module.Exchange.on_response_body

    async def on_response_body(self: Any, message: Any) -> Any:
        if len(message.body) > 4096:
            return module.pb.ProcessingResponse(response_body=module.pb.BodyResponse())
        return await right(self, message)

    module.Exchange.on_response_body = on_response_body


@fault("split-events-not-counted", "wasm_shim")
def _(module: Any) -> None:
    """Each piece of a stream is read by itself."""
    right = module.SseUsage.feed

    def feed(self: Any, chunk: bytes) -> None:
        self._rest = ""
        right(self, chunk)

    module.SseUsage.feed = feed


@fault("first-usage-counts", "wasm_shim")
def _(module: Any) -> None:
    """The first event of a stream that has a usage is the one that counts."""
    usage = re.compile(rb'data: ?(.*"total_tokens".*)')

    def feed(self: Any, chunk: bytes) -> None:
        self._rest += chunk.decode(errors="replace")
        if not self._found and (found := usage.search(self._rest.encode())):
            self._found = found[1].decode()

    module.SseUsage.feed = feed
