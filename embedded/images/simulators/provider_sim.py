"""provider-sim: an OpenAI-like endpoint that checks `X-Provider-Api-Key`.

Stands for ghcr.io/nerdalert/provider-sim. Upstream: nerdalert/egress-ai-gateway-poc
`simulator/main.go`: it matches paths by their end (so it cannot tell whether a prefix was
stripped), echoes the model that was asked for, and answers a missing or wrong key with
401. Text and usage are drawn anew for each answer, with no relation to each other: one to five
prompt tokens, five to 24 completion tokens.
Left out: two of the four texts; keys shorter than four letters, which make upstream drop the
connection. It does not stream.
"""

from __future__ import annotations

import argparse
import random
import time

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from embedded import web
from embedded.bodies import parsed

_CONTENTS = (
    "The API key was validated successfully. This is a simulated response.",
    "Today it is partially cloudy and raining. Testing, testing 1,2,3",
)


class Provider:
    """An ASGI application for one key and model."""

    def __init__(self, key: str, model: str) -> None:
        self._key, self._model = key, model

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._respond(Request(scope, receive))
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        path = request.url.path
        if path.endswith(("/health", "/ready")):
            return JSONResponse({"status": "healthy"})
        known = ("/v1/models", "/v1/chat/completions", "/v1/completions")
        if not path.endswith(known):
            return PlainTextResponse("404 page not found\n", 404)
        if problem := self._key_problem(request):
            code, message = problem
            error = {"message": message, "type": "authentication_error", "code": code}
            return JSONResponse({"error": error}, 401)
        if path.endswith("/v1/models"):
            model = {"id": self._model, "object": "model", "created": int(time.time()),
                     "owned_by": "provider-sim", "ready": True}  # fmt: skip
            return JSONResponse({"object": "list", "data": [model]})
        return self._completion(await request.body())

    def _key_problem(self, request: Request) -> tuple[str, str] | None:
        """(code, message), or None if the key is right."""
        found = request.headers.get("x-provider-api-key")
        if not found:
            return "missing_api_key", "Missing API key. Set X-Provider-Api-Key header."
        if found != self._key:
            return "invalid_api_key", f"Invalid API key provided: {found[:4]}...{found[-4:]}"
        return None

    def _completion(self, raw: bytes) -> JSONResponse:
        try:
            asked = parsed(raw).get("model")
        except (ValueError, AttributeError):
            asked = None
        prompt, completion = random.randint(1, 5), random.randint(5, 24)
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": random.choice(_CONTENTS)},
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
                "model": asked or self._model,
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
    web.server(app, flags.port).run()
