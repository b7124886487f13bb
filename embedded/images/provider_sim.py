"""provider-sim: an OpenAI-like endpoint that checks `X-Provider-Api-Key`.

Stands for ghcr.io/nerdalert/provider-sim. Upstream: nerdalert/egress-ai-gateway-poc
`simulator/main.go`: it matches paths by their end (so it cannot tell whether a prefix was
stripped), echoes the model that was asked for, and answers a missing or wrong key with
401. Left out: nothing that the documents mention; it does not stream.
"""

from __future__ import annotations

import argparse
import os
import time
from typing import Any

import uvicorn
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

_CONTENT = "The API key was validated successfully. This is a simulated response."
_ERRORS = {
    "missing_api_key": "X-Provider-Api-Key header is required",
    "invalid_api_key": "Invalid API key provided",
}


class Provider:
    """An ASGI application for one key and model."""

    def __init__(self, key: str, model: str) -> None:
        self._key, self._model = key, model

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._respond(Request(scope, receive))
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> JSONResponse:
        path = request.url.path
        if path.endswith(("/health", "/ready")):
            return JSONResponse({"status": "ok"})
        if self._key and (problem := self._key_problem(request)):
            error = {"message": _ERRORS[problem], "type": "authentication_error", "code": problem}
            return JSONResponse({"error": error}, 401)
        if path.endswith("/v1/models"):
            model = {"id": self._model, "object": "model", "owned_by": "provider-sim"}
            return JSONResponse({"object": "list", "data": [model]})
        if path.endswith("/v1/chat/completions"):
            return self._completion(await request.json())
        return JSONResponse({"error": {"message": "not found", "code": "not_found"}}, 404)

    def _key_problem(self, request: Request) -> str:
        found = request.headers.get("x-provider-api-key")
        if not found:
            return "missing_api_key"
        return "" if found == self._key else "invalid_api_key"

    def _completion(self, body: dict[str, Any]) -> JSONResponse:
        prompt = sum(len(str(m.get("content", "")).split()) for m in body.get("messages", []))
        completion = len(_CONTENT) // 3
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": _CONTENT},
            "finish_reason": "stop",
        }
        usage = {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
        }
        return JSONResponse(
            {
                "id": f"chatcmpl-{time.time_ns()}",
                "object": "chat.completion",
                "created": int(time.time()),
                "model": body.get("model") or self._model,
                "choices": [choice],
                "usage": usage,
            }
        )


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--api-key", default="")
    parser.add_argument("--model", default="gpt-4")
    flags = parser.parse_args(argv)
    app = Provider(flags.api_key, flags.model)
    uvicorn.run(app, host=os.environ["POD_IP"], port=flags.port, lifespan="off", log_level="info")
