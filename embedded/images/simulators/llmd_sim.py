"""llm-d-inference-sim: a simulated vLLM.

Stands for ghcr.io/llm-d/llm-d-inference-sim. Upstream: llm-d/llm-d-inference-sim
`pkg/llm-d-inference-sim` (flags, endpoints, usage in streams only with
`stream_options.include_usage`; tokens are words and signs of the messages' contents).
Mode `random` is not random here: every answer is the one of the external-models quickstart's
example, sixteen tokens of two of the simulator's sentences, so that runs can be compared.
Answers of 0.6 have the fields of a transferred KV cache one by one, those of 0.7 have
`kv_transfer_params`: the two documents' example outputs.
Left out: LoRA, tools, latencies, KV-cache events, most of `/metrics`.
"""

from __future__ import annotations

import argparse
import json
import re
import time
import uuid
from collections.abc import AsyncIterator
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from embedded import web
from embedded.bodies import parsed

_ANSWER = "Today it is partially cloudy and raining. Testing, testing 1,2,3"
_TOKEN = re.compile(r"(?:\w+|[^\w\s])\s*")
# Where a prefill on another server was; here there is none.
_TRANSFER = {
    "do_remote_decode": False,
    "do_remote_prefill": False,
    "remote_block_ids": None,
    "remote_engine_id": "",
    "remote_host": "",
    "remote_port": 0,
}
Object = dict[str, Any]


class Simulator:
    """The endpoints for one served model."""

    def __init__(self, model: str, mode: str, generation: str) -> None:
        self._model, self._mode, self._created = model, mode, int(time.time())
        self._transfer = _TRANSFER if generation == "0.6" else {"kv_transfer_params": None}
        self._requests = 0

    def app(self) -> Starlette:
        routes = [
            Route("/health", self._ok),
            Route("/ready", self._ok),
            Route("/v1/models", self._models),
            Route("/v1/chat/completions", self._chat, methods=["POST"]),
            Route("/v1/completions", self._text, methods=["POST"]),
            Route("/metrics", self._metrics),
        ]
        return Starlette(routes=routes)

    async def _ok(self, _: Request) -> Response:
        return JSONResponse({})

    async def _models(self, _: Request) -> Response:
        model = {"id": self._model, "object": "model", "created": self._created,
                 "owned_by": "vllm", "root": self._model, "parent": None}  # fmt: skip
        return JSONResponse({"object": "list", "data": [model]})

    async def _metrics(self, _: Request) -> Response:
        label = f'{{model_name="{self._model}"}}'
        return PlainTextResponse(f"vllm:request_success_total{label} {self._requests}\n")

    async def _chat(self, request: Request) -> Response:
        return await self._complete(request, "chat.completion", "chatcmpl")

    async def _text(self, request: Request) -> Response:
        return await self._complete(request, "text_completion", "cmpl")

    async def _complete(self, request: Request, kind: str, prefix: str) -> Response:
        try:
            body = parsed(await request.body())
            if not isinstance(body, dict):
                raise ValueError("not an object")
        except ValueError:
            return _error(400, "BadRequestError", "failed to read and parse request body")
        if body.get("model") != self._model:
            message = f"The model `{body.get('model', '')}` does not exist."
            return _error(404, "NotFoundError", message)
        prompt = _prompt(body)
        words, reason = self._answer(prompt, body)
        self._requests += 1
        usage = {
            "prompt_tokens": len(prompt),
            "completion_tokens": len(words),
            "total_tokens": len(prompt) + len(words),
        }
        head = {
            "id": f"{prefix}-{uuid.uuid4()}",
            "created": int(time.time()),
            "model": self._model,
        }
        if body.get("stream"):
            chunks = _chunks(head, kind, words, reason, usage, body)
            return StreamingResponse(chunks, media_type="text/event-stream")
        text = "".join(words).rstrip()
        chat = {"message": {"role": "assistant", "content": text}}
        choice: Object = {"index": 0, "finish_reason": reason}
        choice |= chat if prefix == "chatcmpl" else {"text": text}
        whole = {**head, "usage": usage, "object": kind, **self._transfer, "choices": [choice]}
        return JSONResponse(whole)

    def _answer(self, prompt: list[str], body: Object) -> tuple[list[str], str]:
        words = prompt if self._mode == "echo" else _TOKEN.findall(_ANSWER)
        most = body.get("max_completion_tokens") or body.get("max_tokens")
        if most and len(words) > most:
            return words[:most], "length"
        return words, "stop"


def _prompt(body: Object) -> list[str]:
    """The tokens of the prompt, each with the space after it."""
    if "prompt" in body:
        return _TOKEN.findall(str(body["prompt"]))
    contents = [str(m.get("content", "")) for m in body.get("messages") or []]
    return [token for content in contents for token in _TOKEN.findall(content)]


async def _chunks(
    head: Object, kind: str, words: list[str], reason: str, usage: Object, body: Object
) -> AsyncIterator[str]:
    chunk = {**head, "object": f"{kind}.chunk" if kind.startswith("chat") else kind}

    def event(choices: list[Object], **more: Any) -> str:
        return f"data: {json.dumps({**chunk, 'choices': choices, **more})}\n\n"

    yield event([{"index": 0, "delta": {"role": "assistant"}, "finish_reason": None}])
    for word in words:
        yield event([{"index": 0, "delta": {"content": word}, "finish_reason": None}])
    yield event([{"index": 0, "delta": {}, "finish_reason": reason}])
    if (body.get("stream_options") or {}).get("include_usage"):
        yield event([], usage=usage)
    yield "data: [DONE]\n\n"


def _error(code: int, kind: str, message: str) -> Response:
    error = {"object": "error", "message": message, "type": kind, "param": None, "code": code}
    return JSONResponse(error, code)


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--model", required=True)
    parser.add_argument("--mode", choices=["random", "echo"], default="random")
    parser.add_argument("--generation", choices=["0.6", "0.7"], default="0.6")
    parser.add_argument("--ssl-certfile")
    parser.add_argument("--ssl-keyfile")
    flags = parser.parse_args(argv)
    app = Simulator(flags.model, flags.mode, flags.generation).app()
    tls = {"ssl_certfile": flags.ssl_certfile, "ssl_keyfile": flags.ssl_keyfile}
    web.server(app, flags.port, **tls).run()
