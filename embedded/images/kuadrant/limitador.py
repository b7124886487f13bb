"""Limitador: counts hits in fixed windows.

Stands for quay.io/kuadrant/limitador, and was held beside the real 2.1.0. Upstream:
Kuadrant/limitador `limitador-server/src/envoy_rls` (both gRPC services, here), `main.rs` (the
limits file: `limitador_file`), `http_api` (`limitador_http`), and the crate `limitador` (limits and
counters: `limitador_limits`). A call that a limit's condition breaks ends with INTERNAL; upstream's
stream is reset.
Two generations of it: 2.1 (the default: what Kuadrant of the documents' time and Kind's table
name) takes a key that a descriptor has not for null, so that all users without it share a counter,
and counts a report of 0 hits as 0. 2.4 leaves such a limit out, counts 0 as 1, has Kuadrant's calls
in its metrics, and tells by X-RateLimit-Reset when a window ends.
Left out: persistent storages, traces, reflection, custom labels, `--validate`. Upstream lists
limits and counters in no order; here they have the file's.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Any, NoReturn

import grpc
from envoy.service.ratelimit.v3 import rls_pb2

from embedded.images.kuadrant.limitador_file import NotLoaded, Reader
from embedded.images.kuadrant.limitador_http import Metrics, Shown, headers
from embedded.images.kuadrant.limitador_limits import Broken, Entries, Limit, Limits, Unavailable
from embedded.shared import rpc

__all__ = ["Limit", "Limits", "Reader", "Services", "Shown", "main"]
OK, OVER_LIMIT = rls_pb2.RateLimitResponse.OK, rls_pb2.RateLimitResponse.OVER_LIMIT
UNKNOWN = rls_pb2.RateLimitResponse.UNKNOWN
HTTP_PORT, PORT = 8080, 8081
GENERATIONS = ("2.1", "2.4")


class Services:
    """The two gRPC services on one set of limits; `shows` adds the headers of the draft."""

    def __init__(
        self, limits: Limits, metrics: Metrics, generation: str = "2.1", shows: bool = False
    ) -> None:
        self._limits, self._metrics, self._shows = limits, metrics, shows
        self._newer = generation != "2.1"

    async def should_rate_limit(self, request: Any, context: Any) -> Any:
        """Envoy's RLS: check and count; 0 hits count as 1."""
        if not request.domain:
            return rls_pb2.RateLimitResponse(overall_code=UNKNOWN)
        descriptors, hits = _descriptors(request), request.hits_addend or 1
        try:
            return self._taken(request.domain, descriptors, hits)
        except (Unavailable, Broken) as error:
            await _refuse(context, error)

    def _taken(self, domain: str, descriptors: Entries, hits: int) -> Any:
        answer = rls_pb2.RateLimitResponse(overall_code=OK)
        if self._shows:
            left = self._limits.left(domain, descriptors, hits)
            for name, value in headers(left, self._newer).items():
                answer.response_headers_to_add.add(key=name, value=value)
        over = self._limits.over(domain, descriptors, hits)
        if self._limits.take(domain, descriptors, hits):
            self._metrics.allowed(domain, descriptors, 1, hits)
        else:
            answer.overall_code = OVER_LIMIT
            self._metrics.refused(domain, descriptors, over)
        return answer

    async def check_rate_limit(self, request: Any, context: Any) -> Any:
        """Kuadrant's check: would one more hit stay within? Counts nothing."""
        if not request.domain:
            return rls_pb2.RateLimitResponse(overall_code=UNKNOWN)
        descriptors = _descriptors(request)
        try:
            fits = self._limits.within(request.domain, descriptors, 1)
            over = self._limits.over(request.domain, descriptors, 1)
        except (Unavailable, Broken) as error:
            await _refuse(context, error)
        if self._newer and fits:
            self._metrics.allowed(request.domain, descriptors, 1, 0)
        elif self._newer:
            self._metrics.refused(request.domain, descriptors, over)
        return rls_pb2.RateLimitResponse(overall_code=OK if fits else OVER_LIMIT)

    async def report(self, request: Any, context: Any) -> Any:
        """Kuadrant's report: count, refuse nothing."""
        if not request.domain:
            return rls_pb2.RateLimitResponse(overall_code=UNKNOWN)
        descriptors = _descriptors(request)
        hits = request.hits_addend or (1 if self._newer else 0)
        try:
            self._limits.add(request.domain, descriptors, hits)
        except (Unavailable, Broken) as error:
            await _refuse(context, error)
        if self._newer:
            self._metrics.allowed(request.domain, descriptors, 0, hits)
        return rls_pb2.RateLimitResponse(overall_code=OK)


def _descriptors(request: Any) -> Entries:
    return [{entry.key: entry.value for entry in d.entries} for d in request.descriptors]


async def _refuse(context: Any, error: Unavailable | Broken) -> NoReturn:
    print(f"a call has no answer: {error}", flush=True)
    if isinstance(error, Unavailable):
        await context.abort(grpc.StatusCode.UNAVAILABLE, "Service unavailable")
    await context.abort(grpc.StatusCode.INTERNAL, "the limit's condition cannot be decided")
    raise error


async def _serve(flags: argparse.Namespace) -> None:
    limits = Limits(nulls=flags.generation == "2.1")
    try:
        reader = Reader(flags.limits_file, limits)
    except (NotLoaded, OSError) as error:
        sys.exit(f"Failed to load limit file: {error}")
    metrics = Metrics(flags.metric_labels_default or "", flags.limit_name_in_labels)
    shows = flags.rate_limit_headers == "DRAFT_VERSION_03"
    services = Services(limits, metrics, flags.generation, shows)
    request = rls_pb2.RateLimitRequest
    server = rpc.server(flags.rls_port, flags.rls_ip)
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
    asyncio.get_running_loop().add_reader(reader.watch.fileno(), reader.look)
    shown = Shown(limits, metrics, reader, flags.generation != "2.1")
    await shown.serve(flags.http_port, flags.http_ip)


def main(argv: list[str]) -> None:
    """`limitador-server --http-port 8080 --rls-port 8081 LIMITS_FILE [memory]`.

    `--generation 2.1|2.4` is this stand-in's own; what is said of verbosity is left alone. Its
    addresses are the Pod's own, where the real one's are all.
    """
    parser = argparse.ArgumentParser(prog="limitador-server")
    parser.add_argument("-B", "--http-ip", default="")
    parser.add_argument("-b", "--rls-ip", default="")
    parser.add_argument("--http-port", type=int, default=HTTP_PORT)
    parser.add_argument("--rls-port", type=int, default=PORT)
    parser.add_argument(
        "--rate-limit-headers", choices=["NONE", "DRAFT_VERSION_03"], default="NONE"
    )
    parser.add_argument("--metric-labels-default")
    parser.add_argument("--limit-name-in-labels", action="store_true")
    parser.add_argument("-v", action="count")
    parser.add_argument("--generation", choices=GENERATIONS, default="2.1")
    parser.add_argument("limits_file", type=Path)
    parser.add_argument("storage", nargs="?", choices=["memory"], default="memory")
    rpc.run(_serve(parser.parse_args(argv)))
