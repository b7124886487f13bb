"""The semantic router's two HTTP ports: the classification API, and metrics.

Upstream: vllm-project/semantic-router at f2883b0, `pkg/apiserver/route_classify.go`,
`pkg/services/classification.go`, `pkg/observability/metrics`.
Left out: classification of anything but intents, embeddings, configuration.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from itertools import groupby
from typing import Any, Protocol

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from embedded.images.vsr.semantic_router_config import Config
from embedded.shared.bodies import parsed

Object = dict[str, Any]


class Router(Protocol):
    """What these ports show of a router."""

    config: Config
    counts: Counter[tuple[str, str]]

    def models(self) -> Object:
        """The listing."""
        ...


def api(router: Router) -> Starlette:
    """Port 8080: the classification API."""

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "healthy", "service": "classification-api"})

    async def models(_: Request) -> Response:
        return JSONResponse(router.models())

    async def classify(request: Request) -> Response:
        try:
            asked = parsed(await request.body())
        except ValueError as error:
            return _refused(400, "INVALID_INPUT", f"failed to parse JSON: {error}")
        text, options = _intent(asked)
        if not isinstance(text, str) or not isinstance(options, dict):
            return _refused(400, "INVALID_INPUT", "failed to parse JSON: text wants a string")
        if not text:
            return _refused(500, "CLASSIFICATION_ERROR", "text cannot be empty")
        return JSONResponse(_classified(router.config, text, options))

    return Starlette(
        routes=[
            Route("/health", health),
            Route("/v1/models", models),
            Route("/api/v1/classify/intent", classify, methods=["POST"]),
        ]
    )


def _intent(asked: Any) -> tuple[Any, Any]:
    """(text, options) as Go reads them: names without case, null as nothing."""
    if not isinstance(asked, dict | None):
        return None, {}
    named = {name.lower(): value for name, value in (asked or {}).items() if value is not None}
    return named.get("text", ""), named.get("options", {})


def _classified(config: Config, text: str, options: Object) -> Object:
    match = config.classify(text)
    decision = match.decision.name if match.decision else ""
    category, confidence = decision or "other", match.confidence
    found: Object = {
        "classification": {
            "category": category,
            "confidence": confidence,
            "processing_time_ms": 0,
        },
        "recommended_model": config.selected(match),
        "routing_decision": decision or "low_confidence_general",
        "matched_signals": {"keywords": [match.keyword_rule]} if match.keyword_rule else {},
    }
    if options.get("return_probabilities"):
        found["probabilities"] = {category: confidence}
    if decision:
        rules = [":".join(condition) for condition in match.conditions]
        result = {"decision_name": decision, "confidence": confidence, "matched_rules": rules}
        found["decision_result"] = result
    return found


def _refused(status: int, code: str, message: str) -> Response:
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    error = {"code": code, "message": message, "timestamp": at}
    return JSONResponse({"error": error}, status)


def metrics(router: Router) -> Starlette:
    """Port 9190: the router's counters, as Prometheus reads them."""

    async def scraped(_: Request) -> Response:
        lines = []
        for name, found in groupby(sorted(router.counts.items()), key=lambda one: one[0][0]):
            lines.append(f"# TYPE {name} counter")
            lines += [f"{name}{{{labels}}} {count}" for (_, labels), count in found]
        return PlainTextResponse("\n".join([*lines, ""]))

    return Starlette(routes=[Route("/metrics", scraped)])
