"""Limitador: counts hits in fixed windows.

Stands for quay.io/kuadrant/limitador. Upstream: Kuadrant/limitador
`limitador-server/src/envoy_rls` (both gRPC services), `limitador/src/limit.rs` and
`storage/in_memory.rs` (counters), `main.rs` (a file that cannot be read or understood changes
nothing). Reads the limits file that Kuadrant writes and reloads it when it changes; counters of
limits that stay are kept.
Of the HTTP API (`http_api/server.rs`) it has `/status` and `/counters/{namespace}`, which ask
nobody who he is. Left out: the rest of it, metrics, persistent storages, rate-limit response
headers.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from envoy.service.ratelimit.v3 import rls_pb2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route

from embedded import cel, rpc, web

OK, OVER_LIMIT = rls_pb2.RateLimitResponse.OK, rls_pb2.RateLimitResponse.OVER_LIMIT
HTTP_PORT, PORT = 8080, 8081
_RELOAD_SECONDS = 0.05
_WRITTEN_SECONDS = 1.0
Entries = list[dict[str, str]]


@dataclass(frozen=True)
class Limit:
    """`maximum` hits in `seconds` for each combination of the variables' values."""

    namespace: str
    maximum: int
    seconds: int
    conditions: tuple[str, ...]
    variables: tuple[str, ...]

    @classmethod
    def read(cls, spec: dict[str, Any]) -> Limit:
        return cls(
            spec["namespace"],
            int(spec["max_value"]),
            int(spec["seconds"]),
            tuple(sorted(spec.get("conditions", []))),
            tuple(sorted(spec.get("variables", []))),
        )

    @property
    def identity(self) -> tuple[Any, ...]:
        """What a counter belongs to: everything but the maximum."""
        return (self.namespace, self.seconds, self.conditions, self.variables)

    def counter(self, descriptors: Entries) -> tuple[Any, ...] | None:
        """The key of the counter that a request hits, or None if the limit does not apply."""
        data = {"descriptors": descriptors}
        if not all(cel.holds(condition, data) for condition in self.conditions):
            return None
        try:
            values = tuple(cel.as_text(cel.evaluate(v, data)) for v in self.variables)
        except cel.CelError:
            return None
        return (*self.identity, values)


@dataclass
class _Counter:
    value: int
    ends: float


class Limits:
    """The limits in force and their counters; `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._limits: dict[str, list[Limit]] = {}
        self._counters: dict[tuple[Any, ...], _Counter] = {}

    def configure(self, specs: Iterable[dict[str, Any]]) -> list[str]:
        """Replace all limits; counters of limits with the same identity live on. Those that were
        running and do not, a line each: whoever had used up a budget has it again."""
        limits = [Limit.read(spec) for spec in specs]
        self._limits = {}
        for limit in limits:
            self._limits.setdefault(limit.namespace, []).append(limit)
        kept = {limit.identity for limit in limits}
        now = self._clock()
        lost = [k for k, c in self._counters.items() if k[:-1] not in kept and c.ends > now]
        self._counters = {k: c for k, c in self._counters.items() if k[:-1] in kept}
        return [f"{key[0]}: {key[-1]}" for key in lost]

    def within(self, namespace: str, descriptors: Entries, hits: int) -> bool:
        """Whether `hits` more would stay within every limit; counts nothing."""
        return all(
            self._value(key) + hits <= limit.maximum
            for limit, key in self._hit(namespace, descriptors)
        )

    def add(self, namespace: str, descriptors: Entries, hits: int) -> None:
        """Count `hits`, whatever the limits say; a window begins with its first hit."""
        for limit, key in self._hit(namespace, descriptors):
            counter = self._counters.get(key)
            if counter is None or counter.ends <= self._clock():
                counter = _Counter(0, self._clock() + limit.seconds)
                self._counters[key] = counter
            counter.value += hits

    def counters(self, namespace: str) -> list[tuple[Limit, tuple[str, ...], int, float]]:
        """Those that run: (limit, the variables' values, what is left, seconds to the end)."""
        now, limits = self._clock(), self._limits.get(namespace, [])
        known = {limit.identity: limit for limit in limits}
        return [
            (known[key[:-1]], key[-1], known[key[:-1]].maximum - found.value, found.ends - now)
            for key, found in self._counters.items()
            if key[:-1] in known and found.ends > now
        ]

    def _hit(self, namespace: str, descriptors: Entries) -> list[tuple[Limit, tuple[Any, ...]]]:
        found = [(li, li.counter(descriptors)) for li in self._limits.get(namespace, [])]
        return [(limit, key) for limit, key in found if key is not None]

    def _value(self, key: tuple[Any, ...]) -> int:
        counter = self._counters.get(key)
        return counter.value if counter and counter.ends > self._clock() else 0


class Services:
    """The two gRPC services on one set of limits."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    async def should_rate_limit(self, request: Any, _: Any) -> Any:
        """Envoy's RLS: check and count; 0 hits count as 1."""
        descriptors, hits = _descriptors(request), request.hits_addend or 1
        if not self._limits.within(request.domain, descriptors, hits):
            return rls_pb2.RateLimitResponse(overall_code=OVER_LIMIT)
        self._limits.add(request.domain, descriptors, hits)
        return rls_pb2.RateLimitResponse(overall_code=OK)

    async def check_rate_limit(self, request: Any, _: Any) -> Any:
        """Kuadrant's check: would one more hit stay within? Counts nothing."""
        fits = self._limits.within(request.domain, _descriptors(request), 1)
        return rls_pb2.RateLimitResponse(overall_code=OK if fits else OVER_LIMIT)

    async def report(self, request: Any, _: Any) -> Any:
        """Kuadrant's report: count, refuse nothing."""
        self._limits.add(request.domain, _descriptors(request), request.hits_addend or 1)
        return rls_pb2.RateLimitResponse(overall_code=OK)


def _descriptors(request: Any) -> Entries:
    return [{entry.key: entry.value for entry in d.entries} for d in request.descriptors]


class Shown:
    """The HTTP API: what the operator's probes ask, and what is counted."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    async def serve(self, port: int) -> None:
        routes = [
            Route("/status", self._status),
            Route("/counters/{namespace:path}", self._shown_counters),
        ]
        await web.server(Starlette(routes=routes), port, log_level="warning").serve()

    async def _status(self, _: Request) -> PlainTextResponse:
        return PlainTextResponse("OK")

    async def _shown_counters(self, request: Request) -> JSONResponse:
        found = self._limits.counters(request.path_params["namespace"])
        return JSONResponse(
            [
                {
                    "limit": _shown(limit),
                    "set_variables": dict(zip(limit.variables, values, strict=True)),
                    "remaining": left,
                    "expires_in_seconds": int(seconds),
                }
                for limit, values, left, seconds in found
            ]
        )


def _shown(limit: Limit) -> dict[str, Any]:
    return {
        "namespace": limit.namespace,
        "max_value": limit.maximum,
        "seconds": limit.seconds,
        "conditions": list(limit.conditions),
        "variables": list(limit.variables),
    }


async def _serve(limits_file: Path, http_port: int, rls_port: int) -> None:
    limits = Limits()
    services = Services(limits)
    request = rls_pb2.RateLimitRequest
    server = rpc.server(rls_port)
    rpc.add_unary(
        server,
        "envoy.service.ratelimit.v3.RateLimitService",
        {"ShouldRateLimit": (services.should_rate_limit, request)},
    )
    rpc.add_unary(
        server,
        "kuadrant.service.ratelimit.v1.RateLimitService",
        {
            "CheckRateLimit": (services.check_rate_limit, request),
            "Report": (services.report, request),
        },
    )
    await server.start()
    status = asyncio.create_task(Shown(limits).serve(http_port))
    reader = Reader(limits_file, limits)
    while not status.done():
        reader.read()
        await asyncio.sleep(_RELOAD_SECONDS)


class Reader:
    """Brings the file's limits into force; one that is no good is said, and changes nothing."""

    def __init__(self, path: Path, limits: Limits) -> None:
        self._path, self._limits, self._seen = path, limits, ""
        self._looked_at: tuple[int, int] = (0, 0)

    def read(self) -> None:
        """Read it, unless it is the file that was read already, and is not being written."""
        try:
            found = self._path.stat()
            looked_at = (found.st_ino, found.st_mtime_ns)
            if looked_at == self._looked_at and time.time() - found.st_mtime > _WRITTEN_SECONDS:
                return
            text = self._path.read_text()
        except OSError:  # it is being replaced: the next look comes soon
            return
        self._looked_at = looked_at
        if text == self._seen:
            return
        self._seen = text
        try:
            lost = self._limits.configure(yaml.load(text, Loader=yaml.CSafeLoader) or [])
        except (yaml.YAMLError, KeyError, TypeError, ValueError) as error:
            print(f"{self._path.name} not loaded, its limits stay: {error!r}", flush=True)
        else:
            print(f"limits loaded from {self._path.name}", flush=True)
            for one in lost:
                print(f"counter gone with its limit: {one}", flush=True)


def main(argv: list[str]) -> None:
    """`limitador-server --http-port 8080 --rls-port 8081 LIMITS_FILE [memory]`.

    What is said of headers, metrics and verbosity is taken and left alone.
    """
    parser = argparse.ArgumentParser(prog="limitador-server")
    parser.add_argument("--http-port", type=int, default=HTTP_PORT)
    parser.add_argument("--rls-port", type=int, default=PORT)
    parser.add_argument("--rate-limit-headers")
    parser.add_argument("--metric-labels-default")
    parser.add_argument("--limit-name-in-labels", action="store_true")
    parser.add_argument("-v", action="count")
    parser.add_argument("limits_file", type=Path)
    parser.add_argument("storage", nargs="?", choices=["memory"], default="memory")
    flags = parser.parse_args(argv)
    if not flags.limits_file.is_file():
        parser.error(f"there is no limits file {flags.limits_file}")
    rpc.run(_serve(flags.limits_file, flags.http_port, flags.rls_port))
