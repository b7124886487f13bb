"""The vLLM Semantic Router's ext_proc server, as the two-gateway POC has it.

Stands for ghcr.io/vllm-project/semantic-router/extproc. Upstream: vllm-project/semantic-router
`src/semantic-router/pkg/extproc` (the four phases), `pkg/apiserver` (port 8080),
`pkg/observability/metrics` (port 9190). The Envoy in front of it is the real one, with the
POC's configuration; what a client sees of an error is Envoy's doing (`failure_mode_allow`).
Left out: everything that needs a model download (domain, PII and jailbreak classification,
semantic cache, tools), the Response API, router replay, tracing.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from envoy.extensions.filters.http.ext_proc.v3 import processing_mode_pb2
from envoy.service.ext_proc.v3 import external_processor_pb2 as pb
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from embedded import ext_proc, rpc, web
from embedded.bodies import parsed
from embedded.images.vsr.semantic_router_config import Config, ConfigError, Match, Model, load

ENDPOINT, SELECTED = "x-vsr-destination-endpoint", "x-selected-model"
_STREAM = "text/event-stream"
Object = dict[str, Any]
Mode = processing_mode_pb2.ProcessingMode


class Malformed(Exception):
    """A body that is no chat completion request: gRPC InvalidArgument."""


@dataclass
class Answer:
    """What a phase tells Envoy: headers to set, and a body if it is to be another one."""

    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    clear_route_cache: bool = False

    def message(self) -> pb.CommonResponse:
        return ext_proc.common(self.headers, self.body, clear_route_cache=self.clear_route_cache)


class Router:
    """Routes by the configuration, and counts."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.counts: Counter[tuple[str, str]] = Counter()

    async def process(
        self, messages: AsyncIterator[pb.ProcessingRequest], context: Any
    ) -> AsyncIterator[pb.ProcessingResponse]:
        """One HTTP request: `envoy.service.ext_proc.v3.ExternalProcessor/Process`."""
        exchange = Exchange(self)
        async for message in messages:
            kind = message.WhichOneof("request")
            try:
                yield getattr(exchange, f"on_{kind}")(getattr(message, kind))
            except Malformed as error:
                self.count("llm_request_errors_total", 'reason="parse_error"')
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))

    def count(self, name: str, labels: str) -> None:
        self.counts[name, labels] += 1

    def models(self) -> Object:
        """The listing: the router itself is the one model."""
        described = "Intelligent Router for Mixture-of-Models"
        one = {"id": self.config.auto_name, "object": "model", "created": int(time.time()),
               "owned_by": "vllm-semantic-router", "description": described}  # fmt: skip
        return {"object": "list", "data": [one]}


class Exchange:
    """What the router knows of one request while it passes."""

    def __init__(self, router: Router) -> None:
        self._router, self._config = router, router.config
        self._headers: dict[str, str] = {}
        self._response_headers: dict[str, str] = {}

    # -- phases -------------------------------------------------------------------------

    def on_request_headers(self, message: pb.HttpHeaders) -> pb.ProcessingResponse:
        """Changes nothing and strips nothing; answers only the listing itself."""
        self._headers = ext_proc.headers_of(message)
        path = self._headers.get(":path", "")
        if self._headers.get(":method") == "GET" and path.startswith("/v1/models"):
            body = json.dumps(self._router.models()).encode()
            return ext_proc.immediate(200, body, {"content-type": "application/json"})
        return pb.ProcessingResponse(request_headers=pb.HeadersResponse())

    def on_request_body(self, message: pb.HttpBody) -> pb.ProcessingResponse:
        body = _chat(message.body)
        if self._headers.get("x-vsr-looper-request") == "true":
            answer = self._looper(body)
        elif self._config.is_auto(body.get("model", "")):
            answer = self._auto(body)
        else:
            answer = self._named(body)
        return pb.ProcessingResponse(request_body=pb.BodyResponse(response=answer.message()))

    def on_response_headers(self, message: pb.HttpHeaders) -> pb.ProcessingResponse:
        headers = ext_proc.headers_of(message)
        success = headers.get(":status", "").startswith("2")
        answer = Answer(self._response_headers if success else {})
        response = pb.ProcessingResponse(
            response_headers=pb.HeadersResponse(response=answer.message())
        )
        if headers.get("content-type", "").startswith(_STREAM):
            response.mode_override.CopyFrom(
                Mode(response_header_mode=Mode.SEND, response_body_mode=Mode.STREAMED)
            )
        return response

    def on_response_body(self, message: pb.HttpBody) -> pb.ProcessingResponse:
        del message
        return pb.ProcessingResponse(response_body=pb.BodyResponse())

    # -- three kinds of request ---------------------------------------------------------

    def _auto(self, body: Object) -> Answer:
        """The router chooses: the body is written anew."""
        text = _text(body)
        if not text:
            return Answer()
        match = self._config.classify(text)
        name = self._config.selected(match)
        body["model"] = name
        self._reason(body, match, self._config.models.get(name))
        prompted = _prompt(body, match)
        self._stream(body)
        answer = self._to(name)
        answer.body = _dump(body)
        answer.headers["content-length"] = str(len(answer.body))
        if match.decision:
            self._router.count("llm_decision_match_total", f'decision_name="{match.decision.name}"')
            self._response_headers["x-vsr-selected-decision"] = match.decision.name
            reasoning = "on" if match.decision.use_reasoning else "off"
            self._response_headers["x-vsr-selected-reasoning"] = reasoning
        labels = f'source_model="{self._config.auto_name}",target_model="{name}"'
        self._router.count("llm_model_routing_modifications_total", labels)
        self._respond(name, match, prompted)
        return answer

    def _named(self, body: Object) -> Answer:
        """The client chooses: its body stays byte for byte."""
        name = body.get("model", "")
        self._respond(name, self._config.classify(_text(body)), False)
        return self._to(name)

    def _looper(self, body: Object) -> Answer:
        """A request of the router's own loop: no decisions, and the length is left as it was."""
        name = body.get("model", "")
        return Answer({"x-vsr-selected-model": name}, _dump(body), clear_route_cache=True)

    # -- details ------------------------------------------------------------------------

    def _to(self, name: str) -> Answer:
        """Headers for a model; a model without an endpoint gets none, and Envoy no host."""
        self._router.count("llm_model_requests_total", f'model="{name}"')
        answer = Answer({SELECTED: name})
        model = self._config.models.get(name)
        if model and model.endpoint:
            answer.headers[ENDPOINT] = model.endpoint
        if model and model.access_key:
            answer.headers["authorization"] = f"Bearer {model.access_key}"
        return answer

    def _respond(self, name: str, match: Match, prompted: bool) -> None:
        self._response_headers["x-vsr-selected-model"] = name
        self._response_headers["x-vsr-injected-system-prompt"] = str(prompted).lower()
        if match.keyword_rule:
            self._response_headers["x-vsr-matched-keywords"] = match.keyword_rule

    def _stream(self, body: Object) -> None:
        if body.get("stream") or _STREAM in self._headers.get("accept", ""):
            options = body.get("stream_options") or {}
            body |= {"stream": True, "stream_options": {**options, "include_usage": True}}

    @staticmethod
    def _reason(body: Object, match: Match, model: Model | None) -> None:
        if match.decision is None or model is None or not model.reasoning:
            return
        wanted = match.decision.use_reasoning
        body.pop("reasoning_effort", None)
        if model.reasoning.get("type") == "chat_template_kwargs":
            kwargs = body.get("chat_template_kwargs") or {}
            body["chat_template_kwargs"] = {**kwargs, model.reasoning["parameter"]: wanted}
        elif wanted:
            body["reasoning_effort"] = "high"


def _dump(body: Object) -> bytes:
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()


def _chat(raw: bytes) -> Object:
    try:
        body = parsed(raw)
    except ValueError as error:
        raise Malformed(f"error parsing request body: {error}") from error
    if not isinstance(body, dict):
        raise Malformed("error parsing request body: not an object")
    if not isinstance(body.get("model", ""), str):
        raise Malformed("error parsing request body: model is not a string")
    messages = body.get("messages", [])
    if not isinstance(messages, list) or not all(isinstance(m, dict) for m in messages):
        raise Malformed("error parsing request body: messages is not a list of objects")
    return body


def _text(body: Object) -> str:
    """What is classified: the last user message, else all others."""
    found = [(m.get("role"), _content(m)) for m in body.get("messages", [])]
    users = [text for role, text in found if role == "user" and text]
    return users[-1] if users else " ".join(text for _, text in found if text)


def _content(message: Object) -> str:
    content = message.get("content")
    if isinstance(content, list):
        parts = [p.get("text", "") for p in content if isinstance(p, dict)]
        return " ".join(part for part in parts if part)
    return content if isinstance(content, str) else ""


def _prompt(body: Object, match: Match) -> bool:
    """Put the decision's system prompt in place of the first, or before it; whether it was."""
    decision, messages = match.decision, body["messages"]
    if decision is None or not decision.system_prompt:
        return False
    if messages[0].get("role") != "system":
        messages.insert(0, {"role": "system", "content": decision.system_prompt})
    elif decision.keeps_system_prompt:
        messages[0]["content"] = f"{decision.system_prompt}\n\n{_content(messages[0])}"
    else:
        messages[0]["content"] = decision.system_prompt
    return True


# -- the other ports ------------------------------------------------------------------------


def _api(router: Router) -> Starlette:
    """The classification API."""

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "healthy", "service": "classification-api"})

    async def models(_: Request) -> Response:
        return JSONResponse(router.models())

    async def classify(request: Request) -> Response:
        with contextlib.suppress(ValueError):
            body = parsed(await request.body())
            if isinstance(body, dict) and body.get("text"):
                match = router.config.classify(str(body["text"]))
                decision = match.decision.name if match.decision else ""
                found = {"category": decision, "confidence": 1.0 if decision else 0.0}
                model = router.config.selected(match)
                return JSONResponse({"classification": found, "routing_decision": decision,
                                     "recommended_model": model})  # fmt: skip
        error = {"code": "INVALID_INPUT", "message": "text cannot be empty"}
        return JSONResponse({"error": error}, 400)

    return Starlette(
        routes=[
            Route("/health", health),
            Route("/v1/models", models),
            Route("/api/v1/classify/intent", classify, methods=["POST"]),
        ]
    )


def _metrics(router: Router) -> Starlette:
    async def metrics(_: Request) -> Response:
        lines = [f"{n}{{{labels}}} {c}" for (n, labels), c in sorted(router.counts.items())]
        return PlainTextResponse("\n".join([*lines, ""]))

    return Starlette(routes=[Route("/metrics", metrics)])


async def _listen(app: Starlette, port: int) -> None:
    server = web.server(app, port, access_log=False)
    # Two servers in one process: signals end the process, they are not for either of them.
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign, assignment]
    await server.serve()


async def _serve(router: Router, flags: argparse.Namespace) -> None:
    server = rpc.server(flags.port)
    ext_proc.add_to(server, router.process)
    await server.start()
    await asyncio.gather(
        _listen(_api(router), flags.api_port), _listen(_metrics(router), flags.metrics_port)
    )


def main(argv: list[str]) -> None:
    """`--config FILE`, and the ports."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", type=Path, default=Path("/app/config/config.yaml"))
    parser.add_argument("--port", type=int, default=50051)
    parser.add_argument("--api-port", type=int, default=8080)
    parser.add_argument("--metrics-port", type=int, default=9190)
    flags = parser.parse_args(argv)
    try:
        router = Router(load(flags.config))
    except ConfigError as error:
        sys.exit(str(error))
    rpc.run(_serve(router, flags))
