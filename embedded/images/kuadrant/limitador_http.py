"""Limitador's HTTP API and metrics: whoever reaches the port reads, and spends, anybody's budget.

Upstream: Kuadrant/limitador 2.1.0 `limitador-server/src/http_api/server.rs`, `request_types.rs`,
`prometheus_metrics.rs`. Left out: the OpenAPI document, `datastore_latency`; where upstream's task
ends without an answer this is a 500.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, Protocol

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from embedded.images.kuadrant.limitador_limits import Broken, Entries, Limit, Limits, Unavailable
from embedded.shared import cel, web

HEADERS_ASKED = "DraftVersion03"
_U64 = 1 << 64
_ESCAPED = {ord("\\"): "\\\\", ord('"'): '\\"', ord("\n"): "\\n"}


class Metrics:
    """What was let through and refused, by namespace and by the default labels."""

    def __init__(self, labels: str = "", names: bool = False) -> None:
        self._labels, self._names = labels, names
        self._counted: dict[str, Counter[tuple[tuple[str, str], ...]]] = {}

    def allowed(self, namespace: str, descriptors: Entries, calls: int, hits: int) -> None:
        labels = self._of(namespace, descriptors)
        for name, amount in (("authorized_calls", calls), ("authorized_hits", hits)):
            if amount:
                self._counted.setdefault(name, Counter())[labels] += amount

    def refused(self, namespace: str, descriptors: Entries, limit: Limit | None) -> None:
        labels = self._of(namespace, descriptors)
        if self._names:
            labels = (*labels, ("limit_name", (limit.name if limit else None) or ""))
        self._counted.setdefault("limited_calls", Counter())[labels] += 1

    def _of(self, namespace: str, descriptors: Entries) -> tuple[tuple[str, str], ...]:
        found: Any = {}
        if self._labels:
            try:
                found = cel.evaluate(self._labels, {"descriptors": descriptors})
            except cel.CelError:  # as upstream: no labels then
                found = {}
        mine = found.items() if isinstance(found, dict) else ()
        texts = [(str(key), value) for key, value in mine if isinstance(value, str)]
        return (*texts, ("limitador_namespace", namespace))

    def text(self) -> str:
        """In Prometheus' format."""
        lines = []
        for name, counted in sorted(self._counted.items()):
            lines += [f"# TYPE {name} counter"]
            lines += [f"{name}{{{_labels(key)}}} {value}" for key, value in counted.items()] + [""]
        for name, value in (("limitador_up", 1), ("datastore_partitioned", 0)):
            lines += [f"# TYPE {name} gauge", f"{name} {value}", ""]
        return "\n".join(lines) + "\n"


def _labels(pairs: tuple[tuple[str, str], ...]) -> str:
    return ",".join(f'{key}="{value.translate(_ESCAPED)}"' for key, value in pairs)


def headers(left: list[tuple[Limit, int, int]], reset: bool) -> dict[str, str]:
    """The draft's headers for the limits that apply, as `Limits.left` gives them."""
    if not left:
        return {}
    first, remaining, seconds = left[0]
    shown = [str(first.maximum)]
    for limit, _, _ in left:
        name = "" if limit.name is None else ';name="{}"'.format(limit.name.replace('"', "'"))
        shown.append(f"{limit.maximum};w={limit.seconds}{name}")
    found = {"X-RateLimit-Limit": ", ".join(shown), "X-RateLimit-Remaining": str(remaining)}
    return found | ({"X-RateLimit-Reset": str(seconds)} if reset else {})


class Status(Protocol):
    """Who knows since when which limits are in force."""

    def status(self) -> dict[str, Any]: ...


class Shown:
    """The HTTP API. `reset` says whether headers tell when a window ends."""

    def __init__(self, limits: Limits, metrics: Metrics, reader: Status, reset: bool) -> None:
        self._limits, self._metrics, self._reader = limits, metrics, reader
        self._reset = reset

    def app(self) -> Starlette:
        routes = [
            Route("/status", self._status),
            Route("/metrics", self._shown_metrics),
            Route("/limits/{namespace:path}", self._shown_limits),
            Route("/counters/{namespace:path}", self._shown_counters),
            Route("/check", self._check, methods=["POST"]),
            Route("/report", self._report, methods=["POST"]),
            Route("/check_and_report", self._check_and_report, methods=["POST"]),
        ]
        return Starlette(routes=routes)

    async def serve(self, port: int, address: str) -> None:
        """`address` "" is the Pod's own."""
        await web.server(self.app(), port, address=address, log_level="warning").serve()

    async def _status(self, _: Request) -> Response:
        return JSONResponse(self._reader.status())

    async def _shown_metrics(self, _: Request) -> Response:
        return PlainTextResponse(self._metrics.text())

    async def _shown_limits(self, request: Request) -> Response:
        if (namespace := _namespace(request)) is None:
            return Response(status_code=404)
        return JSONResponse([_shown(limit) for limit in self._limits.limits(namespace)])

    async def _shown_counters(self, request: Request) -> Response:
        if (namespace := _namespace(request)) is None:
            return Response(status_code=404)
        return JSONResponse(
            [
                {
                    "limit": _shown(limit),
                    "set_variables": dict(zip(limit.variables, values, strict=True)),
                    "remaining": left,
                    "expires_in_seconds": int(seconds),
                }
                for limit, values, left, seconds in self._limits.counters(namespace)
            ]
        )

    async def _check(self, request: Request) -> Response:
        try:
            namespace, descriptors, hits, _ = _asked(await request.body())
            if not self._limits.within(namespace, descriptors, hits):
                return PlainTextResponse("Too many requests", 429)
        except ValueError as error:
            return PlainTextResponse(str(error), 400)
        except (Unavailable, Broken):
            return PlainTextResponse("Internal server error", 500)
        return JSONResponse(None)

    async def _report(self, request: Request) -> Response:
        try:
            namespace, descriptors, hits, _ = _asked(await request.body())
            self._limits.add(namespace, descriptors, hits)
        except ValueError as error:
            return PlainTextResponse(str(error), 400)
        except (Unavailable, Broken):
            return PlainTextResponse("Internal server error", 500)
        return JSONResponse(None)

    async def _check_and_report(self, request: Request) -> Response:
        try:
            namespace, descriptors, hits, wanted = _asked(await request.body())
            left = self._limits.left(namespace, descriptors, hits)
            shown = headers(left, self._reset) if wanted == HEADERS_ASKED else {}
            over = self._limits.over(namespace, descriptors, hits)
            if not self._limits.take(namespace, descriptors, hits):
                self._metrics.refused(namespace, descriptors, over)
                return JSONResponse(None, 429, shown)
        except ValueError as error:
            return PlainTextResponse(str(error), 400)
        except (Unavailable, Broken):
            return JSONResponse(None, 500)
        self._metrics.allowed(namespace, descriptors, 1, hits)
        return JSONResponse(None, 200, shown)


def _namespace(request: Request) -> str | None:
    """The last segment of the path, in which a slash has to be written %2F."""
    raw = request.scope["raw_path"].split(b"?")[0]
    found: str = request.path_params["namespace"]
    return found if found and raw.count(b"/") == 2 else None


def _asked(body: bytes) -> tuple[str, Entries, int, str | None]:
    """(namespace, the one descriptor, hits, which headers are wanted); raises ValueError."""
    found = json.loads(body)
    if not isinstance(found, dict):
        raise ValueError("not an object")
    namespace, values, hits = (found.get(name) for name in ("namespace", "values", "delta"))
    wanted = found.get("response_headers")
    if not isinstance(namespace, str) or not isinstance(wanted, str | None):
        raise ValueError("namespace and response_headers are texts")
    if not isinstance(values, dict) or not all(isinstance(v, str) for v in values.values()):
        raise ValueError("values are texts")
    if isinstance(hits, bool) or not isinstance(hits, int) or not 0 <= hits < _U64:
        raise ValueError("delta is a whole number from 0 on")
    return namespace, [values], hits, wanted


def _shown(limit: Limit) -> dict[str, Any]:
    return {
        "id": limit.id,
        "namespace": limit.namespace,
        "max_value": limit.maximum,
        "seconds": limit.seconds,
        "name": limit.name,
        "conditions": list(limit.conditions),
        "variables": list(limit.variables),
    }
