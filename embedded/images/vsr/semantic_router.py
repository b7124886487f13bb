"""The vLLM Semantic Router's ext_proc server, as the two-gateway POC has it.

Stands for ghcr.io/vllm-project/semantic-router/extproc. Upstream: vllm-project/semantic-router
`src/semantic-router/pkg/extproc` (the four phases) at f2883b0, the POC's parent, beside which this
was run; `semantic_router_ports` has the two HTTP ports. The Envoy in front of it is the real one,
with the POC's configuration; what a client sees of an error is Envoy's doing
(`failure_mode_allow`). A body for `auto` is written anew from what `openai_request` keeps of it,
and every body is written into the log (`processor_req_body.go`, `Received request body`).
Left out: everything that needs a model download (domain, PII and jailbreak classification,
semantic cache, tools), the Response API, router replay, tracing, and of the metrics latencies,
tokens and reasoning. Of the releases from v0.3.0 there is only that they refuse the POC's
configuration (`--generation 0.3`).
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

from embedded.images.vsr import openai_request, semantic_router_ports
from embedded.images.vsr.semantic_router_config import (
    LATEST,
    POC,
    Config,
    ConfigError,
    Match,
    Model,
    load,
)
from embedded.shared import ext_proc, rpc, web
from embedded.shared.bodies import parsed

ENDPOINT, SELECTED = "x-vsr-destination-endpoint", "x-selected-model"
_INJECTED, _KEYWORDS = "x-vsr-injected-system-prompt", "x-vsr-matched-keywords"
_STREAM = "text/event-stream"
_LOGO = "https://github.com/vllm-project/semantic-router/blob/main/website/static/img/vllm.png"
Object = dict[str, Any]
Mode = processing_mode_pb2.ProcessingMode


class Malformed(Exception):
    """A body that is no JSON: gRPC InvalidArgument."""


@dataclass
class Answer:
    """What a phase tells Envoy: headers to set, and a body if it is to be another one."""

    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    clear_route_cache: bool = False

    def message(self) -> pb.CommonResponse:
        answer = ext_proc.common(self.headers, self.body, clear_route_cache=self.clear_route_cache)
        if _KEYWORDS in self.headers:  # upstream sets it in two places
            mutation = answer.header_mutation
            mutation.MergeFrom(
                ext_proc.common({_KEYWORDS: self.headers[_KEYWORDS]}).header_mutation
            )
        return answer


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
                self.count("llm_request_errors_total", model="unknown", reason="parse_error")
                self.count("llm_model_requests_total", model="unknown")
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))

    def count(self, name: str, **labels: str) -> None:
        """One more, under labels that Prometheus can read back."""
        found = (f"{label}={json.dumps(value)}" for label, value in sorted(labels.items()))
        self.counts[name, ",".join(found)] += 1

    def models(self) -> Object:
        """The listing: the router itself is the one model."""
        described = "Intelligent Router for Mixture-of-Models"
        one = {"id": self.config.auto_name, "object": "model", "created": int(time.time()),
               "owned_by": "vllm-semantic-router", "description": described,
               "logo_url": _LOGO}  # fmt: skip
        return {"object": "list", "data": [one]}


class Exchange:
    """What the router knows of one request while it passes."""

    def __init__(self, router: Router) -> None:
        self._router, self._config = router, router.config
        self._headers: dict[str, str] = {}
        self._response_headers: dict[str, str] = {_INJECTED: "false"}
        self._model = ""

    # -- phases -------------------------------------------------------------------------

    def on_request_headers(self, message: pb.HttpHeaders) -> pb.ProcessingResponse:
        """Changes nothing and strips nothing; answers only the listing itself."""
        self._headers = ext_proc.headers_of(message)
        path = self._headers.get(":path", "")
        if self._headers.get(":method") == "GET" and path.startswith("/v1/models"):
            return _immediate(200, self._router.models())
        return pb.ProcessingResponse(request_headers=pb.HeadersResponse())

    def on_request_body(self, message: pb.HttpBody) -> pb.ProcessingResponse:
        _log(f"Received request body {message.body.decode(errors='replace')}")
        body = _chat(message.body)
        self._model = name = openai_request.model(body)
        if self._is_of_the_loop:
            return self._looper(message.body, name)
        kept = openai_request.kept(body)
        text = _text(kept)
        match = self._config.classify(text) if text else Match(None)
        self._count(name, text, match)
        if match.keyword_rule:
            self._response_headers[_KEYWORDS] = match.keyword_rule
        if not self._config.is_auto(name):
            answer = self._named(name)
        elif text:
            answer = self._auto(name, kept | _streamed(body), match)
        else:
            answer = Answer()
        return pb.ProcessingResponse(request_body=pb.BodyResponse(response=answer.message()))

    def on_response_headers(self, message: pb.HttpHeaders) -> pb.ProcessingResponse:
        headers = ext_proc.headers_of(message)
        status = headers.get(":status", "")
        if status[:1] in ("4", "5") and not self._is_of_the_loop:
            reason, model = f"upstream_{status[0]}xx", self._model or "unknown"
            self._router.count("llm_request_errors_total", model=model, reason=reason)
        is_told = status.startswith("2") and not self._is_of_the_loop
        answer = Answer(self._response_headers if is_told else {})
        response = pb.ProcessingResponse(
            response_headers=pb.HeadersResponse(response=answer.message())
        )
        if _STREAM in headers.get("content-type", "").lower():
            response.mode_override.CopyFrom(
                Mode(response_header_mode=Mode.SEND, response_body_mode=Mode.STREAMED)
            )
        return response

    def on_response_body(self, message: pb.HttpBody) -> pb.ProcessingResponse:
        del message
        return pb.ProcessingResponse(response_body=pb.BodyResponse())

    # -- three kinds of request ---------------------------------------------------------

    def _auto(self, asked: str, body: Object, match: Match) -> Answer:
        """The router chooses: the body is written anew."""
        name = self._config.selected(match)
        if name in ("", asked):
            return Answer()
        body["model"] = name
        self._stream(body)
        prompted = False
        if match.decision:
            body = openai_request.remapped(body)
            self._reason(body, match, self._config.models.get(name))
            prompted = _prompt(body, match)
        answer = self._to(name)
        answer.body = _dump(body)
        answer.headers["content-length"] = str(len(answer.body))
        reasoning = match.decision is not None and match.decision.use_reasoning
        self._respond(name, match, prompted)
        self._response_headers["x-vsr-selected-reasoning"] = "on" if reasoning else "off"
        if match.decision:
            self._response_headers["x-vsr-selected-decision"] = match.decision.name
        labels = {"source_model": asked, "target_model": name}
        self._router.count("llm_model_routing_modifications_total", **labels)
        self._router.count("llm_routing_reason_codes_total", reason_code="auto_routing", model=name)
        self._model = name
        return answer

    def _named(self, name: str) -> Answer:
        """The client chooses: its body stays byte for byte."""
        self._respond(name, Match(None), False)
        self._response_headers["x-vsr-selected-reasoning"] = "off"
        model = name or "unknown"
        reason = "model_specified"
        self._router.count("llm_routing_reason_codes_total", reason_code=reason, model=model)
        return self._to(name)

    def _looper(self, raw: bytes, name: str) -> pb.ProcessingResponse:
        """A request of the router's own loop: no decisions, and the length is left as it was."""
        body = parsed(raw)
        if not isinstance(body, dict):
            message = "failed to process the loop's request: it is no object"
            error = {"message": message, "type": "invalid_request_error", "code": 500}
            return _immediate(500, {"error": error})
        written = _dump(openai_request.remapped({**body, "model": name}))
        answer = Answer({"x-vsr-selected-model": name}, written, clear_route_cache=True)
        return pb.ProcessingResponse(request_body=pb.BodyResponse(response=answer.message()))

    # -- details ------------------------------------------------------------------------

    @property
    def _is_of_the_loop(self) -> bool:
        return self._headers.get("x-vsr-looper-request") == "true"

    def _count(self, asked: str, text: str, match: Match) -> None:
        """What was decided. A model that the client named counts as unknown."""
        chosen = self._config.selected(match) if text and self._config.is_auto(asked) else ""
        self._router.count("llm_model_requests_total", model=chosen or "unknown")
        # Upstream counts every decision that holds, and the one that it takes once more.
        for decision in (*match.holding, *([match.decision] if match.decision else [])):
            self._router.count("llm_decision_match_total", decision_name=decision.name)

    def _to(self, name: str) -> Answer:
        """Headers for a model; a model without an endpoint gets none, and Envoy no host."""
        answer = Answer({SELECTED: name})
        model = self._config.models.get(name)
        if model and model.endpoint:
            answer.headers[ENDPOINT] = model.endpoint
        if model and model.access_key:
            answer.headers["authorization"] = f"Bearer {model.access_key}"
        return answer

    def _respond(self, name: str, match: Match, prompted: bool) -> None:
        if name:
            self._response_headers["x-vsr-selected-model"] = name
        self._response_headers[_INJECTED] = str(prompted).lower()

    def _stream(self, body: Object) -> None:
        asked = body.pop("stream", False)
        if asked or _STREAM in self._headers.get("accept", "").lower():
            streamed = {"stream": True, "stream_options": {"include_usage": True}}
            body |= openai_request.remapped(body) | streamed

    def _reason(self, body: Object, match: Match, model: Model | None) -> None:
        """The decision's wish, in the words of the model's family."""
        asked = body.pop("reasoning_effort", "low")
        decision, family = match.decision, model.reasoning if model else {}
        if decision is None or not family:
            return
        wanted = decision.use_reasoning
        if family.get("type") == "chat_template_kwargs":
            body["chat_template_kwargs"] = {family["parameter"]: wanted}
        elif family.get("type") == "reasoning_effort":
            effort = decision.reasoning_effort or self._config.reasoning_effort
            body["chat_template_kwargs"] = {family["parameter"]: effort if wanted else asked}


def _log(text: str) -> None:
    """As upstream's zap does, of whose lines this has only that one."""
    print(json.dumps({"level": "info", "ts": time.time(), "msg": text}), flush=True)


def _immediate(status: int, body: Object) -> pb.ProcessingResponse:
    raw = json.dumps(body).encode()
    return ext_proc.immediate(status, raw, {"content-type": "application/json"})


def _dump(body: Object) -> bytes:
    return openai_request.dumped(body)


def _chat(raw: bytes) -> Object:
    try:
        return openai_request.parsed(raw)
    except ValueError as error:
        raise Malformed(f"error parsing request body: {error}") from error


def _streamed(body: Object) -> Object:
    """`stream`, which is no field of the SDK's, if it is true."""
    return {"stream": True} if body.get("stream") is True else {}


def _text(body: Object) -> str:
    """What is classified: the last user message, and only without one what others said."""
    user, others = "", []
    for message in body.get("messages", []):
        if message["role"] == "user":
            user = _content(message)
        elif message["role"] in ("system", "assistant"):
            others.append(_content(message))
    return user or " ".join(others)


def _content(message: Object) -> str:
    content = message.get("content", "")
    if isinstance(content, str):
        return content
    is_system = message["role"] == "system"
    parts = [p["text"] for p in content if p["type"] == "text" or (is_system and p["text"])]
    return " ".join(parts)


def _prompt(body: Object, match: Match) -> bool:
    """Put the decision's system prompt in place of the first, or before it; whether it was."""
    decision, messages = match.decision, body["messages"]
    if decision is None or not decision.system_prompt:
        return False
    prompt = decision.system_prompt
    is_first = messages[0]["role"] == "system"
    if is_first and decision.keeps_system_prompt:
        before = messages[0].get("content", "")
        prompt = f"{prompt}\n\n{before if isinstance(before, str) else ''}"
    body["messages"] = [{"content": prompt, "role": "system"}, *messages[is_first:]]
    return True


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
        _listen(semantic_router_ports.api(router), flags.api_port),
        _listen(semantic_router_ports.metrics(router), flags.metrics_port),
    )


def main(argv: list[str]) -> None:
    """`--config FILE`, and the ports."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", type=Path, default=Path("/app/config/config.yaml"))
    parser.add_argument("--generation", choices=[POC, LATEST], default=POC)
    parser.add_argument("--port", type=int, default=50051)
    parser.add_argument("--api-port", type=int, default=8080)
    parser.add_argument("--metrics-port", type=int, default=9190)
    flags = parser.parse_args(argv)
    try:
        router = Router(load(flags.config, flags.generation))
    except ConfigError as error:
        sys.exit(str(error))
    rpc.run(_serve(router, flags))
