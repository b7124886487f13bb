"""What is counted otherwise than it was used, and who has to wait."""

from __future__ import annotations

import asyncio
import gzip
import itertools
from collections.abc import Callable
from typing import Any

from starlette.responses import JSONResponse

from tests.mutants.faults import fault

Object = dict[str, Any]
PAUSE_SECONDS = 0.05
OPEN_SECONDS = 0.25  # ten requests at once come within it on a busy machine too


@fault("limits-checked-before-they-are-counted", "limitador")
def _(module: Any) -> None:
    """Whoever comes between the check and the count is let in too."""

    async def should_rate_limit(self: Any, request: Any, _: Any) -> Any:
        found, hits = module._descriptors(request), request.hits_addend or 1
        fits = self._limits.within(request.domain, found, hits)
        await asyncio.sleep(OPEN_SECONDS)
        if fits:
            self._limits.add(request.domain, found, hits)
        code = module.OK if fits else module.OVER_LIMIT
        return module.rls_pb2.RateLimitResponse(overall_code=code)

    module.Services.should_rate_limit = should_rate_limit


@fault("parallel-reports-lost", "limitador")
def _(module: Any) -> None:
    """Of reports that come while another is being written none is."""
    right, writing = module.Services.report, [False]

    async def report(self: Any, request: Any, context: Any) -> Any:
        if writing[0]:
            return module.rls_pb2.RateLimitResponse(overall_code=module.OK)
        writing[0] = True
        await asyncio.sleep(10 * PAUSE_SECONDS)
        writing[0] = False
        return await right(self, request, context)

    module.Services.report = report


@fault("counters-for-nobody", "limitador")
def _(module: Any) -> None:
    async def forbidden(_: Any, __: Any) -> Any:
        return JSONResponse({}, 403)

    module.Shown._shown_counters = forbidden


@fault("streams-counted-at-their-first-event", "wasm_shim")
def _(module: Any) -> None:
    right = module.Exchange.on_response_body

    async def on_response_body(self: Any, message: Any) -> Any:
        if isinstance(self._parser, module.SseUsage) and not self._call.bodies.get("response"):
            self._call.bodies["response"] = b'{"usage": {"total_tokens": 1000}}'
            await self._call.report()
            return module.pb.ProcessingResponse(response_body=module.pb.BodyResponse())
        return await right(self, message)

    module.Exchange.on_response_body = on_response_body


@fault("answers-unpacked", "wasm_shim")
def _(module: Any) -> None:
    right = module.WholeBody.last_with_usage

    def last_with_usage(self: Any) -> bytes:
        body: bytes = right(self)
        return gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body

    module.WholeBody.last_with_usage = last_with_usage


@fault("requests-before-the-policies", "wasm_shim")
def _(module: Any) -> None:
    """The shim serves before it has its configuration, which it reads when it is asked."""
    right, process, asked = module.Shim.__init__, module.Shim.process, asyncio.Event()

    def init(self: Any, *arguments: Any) -> None:
        right(self, *arguments)
        self.loaded.set()

    async def first(self: Any, requests: Any, context: Any) -> Any:
        asked.set()
        async for answer in process(self, requests, context):
            yield answer

    async def later(self: Any) -> None:
        await asked.wait()
        await asyncio.sleep(20 * PAUSE_SECONDS)
        await self._cache.run(self._reconcile)

    module.Shim.__init__, module.Shim.process, module.Shim.run = init, first, later


@fault("ten-at-a-time", "envoy_controller")
def _(_: Any) -> None:
    """Ten requests keep a provider busy."""
    from embedded.gatewayapi import envoy

    right = envoy.dns_cluster
    breakers = {"thresholds": [{"max_requests": 10, "max_pending_requests": 1}]}

    def dns_cluster(*arguments: Any, **more: Any) -> Object:
        return right(*arguments, **more) | {"circuit_breakers": breakers}

    envoy.dns_cluster = dns_cluster


@fault("what-is-taken-back-stays", "wasm_shim")
def _(module: Any) -> None:
    """A request that its client takes back keeps one of two hundred places."""
    from grpc import StatusCode

    right = module.Shim.process
    places = [200]

    async def process(self: Any, requests: Any, context: Any) -> Any:
        if not places[0]:
            await context.abort(StatusCode.RESOURCE_EXHAUSTED, "no place is left")
        places[0] -= 1
        async for answer in right(self, requests, context):
            yield answer
        places[0] += 1

    module.Shim.process = process


@fault("no-tier-no-entry", "authorino")
def _(_: Any) -> None:
    """Whose metadata cannot be had is refused."""
    from embedded.images.kuadrant import authorino_pipeline as pipeline

    right = pipeline.Pipeline._metadata

    async def metadata(self: Any, name: str, rule: Object, data: Object) -> Any:
        found = await right(self, name, rule, data)
        if found is None:
            self._refuse("no metadata", data)
        return found

    pipeline.Pipeline._metadata = metadata  # type: ignore[method-assign]


@fault("five-reviews-a-second", "authorino")
def _(_: Any) -> None:
    """As releases up to 0.22, whatever their manifest says."""
    from embedded.images.kuadrant import authorino_limiter as limiter
    from embedded.images.kuadrant import authorino_pipeline as pipeline

    pipeline.Limiter = lambda _: limiter.Limiter(limiter.REVIEWS_PER_SECOND)  # type: ignore[misc, assignment]


def _now_and_then(every: int, change: Callable[[Any, dict[str, str]], dict[str, str]]) -> None:
    """The shim sets other headers for each so manieth request: `change` is given the request's and
    those of the one before."""
    from embedded.images.kuadrant import shim_actions

    right, count, before = shim_actions.Call.authorize, itertools.count(1), [{}]

    async def authorize(self: Any) -> None:
        await right(self)
        mine = dict(self.request_headers)
        if mine and next(count) % every == 0:
            self.request_headers = change(mine, before[0])
        before[0] = mine or before[0]

    shim_actions.Call.authorize = authorize  # type: ignore[method-assign]


@fault("headers-of-the-request-before", "wasm_shim")
def _(_: Any) -> None:
    """As a memory that two requests share would do it."""
    _now_and_then(20, lambda mine, before: before)


@fault("a-fiftieth-without-headers", "wasm_shim")
def _(_: Any) -> None:
    _now_and_then(50, lambda mine, before: {})
