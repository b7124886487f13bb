"""provider-sim: an OpenAI-like endpoint that checks `X-Provider-Api-Key`.

Stands for ghcr.io/nerdalert/provider-sim. Upstream: nerdalert/egress-ai-gateway-poc at 0cdd959,
`simulator/main.go`, beside which this was run: it matches paths by their end (so it cannot tell
whether a prefix was stripped), whatever the method, echoes the model that was asked for, and
answers a missing or wrong key with 401; a wrong one of less than four letters makes it drop the
connection. Text and usage are drawn anew for each answer, with no relation to each other: one to
five prompt tokens, five to 24 completion tokens.
Left out: two of the four texts. It does not stream.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from embedded.shared import web
from embedded.shared.go_json import JSONError, Struct, encode, string

_CONTENTS = (
    "The API key was validated successfully. This is a simulated response.",
    "Today it is partially cloudy and raining. Testing, testing 1,2,3",
)
_BODY = Struct("main.body", {"model": string})


class Dropped(Exception):
    """The handler panicked: there is no answer."""


class Answer(Response):
    """JSON of Go's maps: sorted, and with a line's end."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """The body."""
        return encode(_sorted(content)) + b"\n"


class Provider:
    """An ASGI application for one key and model; `drop` ends a client's connection."""

    def __init__(self, key: str, model: str, drop: Callable[[Any], None]) -> None:
        self._key, self._model, self._drop = key, model, drop

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            response = await self._respond(Request(scope, receive))
        except Dropped:
            self._drop(scope["client"])
            while (await receive())["type"] != "http.disconnect":
                pass  # what is left of the body
            return
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        path = request.scope["path"]
        if path.endswith(("/health", "/ready")):
            return Answer({"status": "healthy"})
        known = ("/v1/models", "/v1/chat/completions", "/v1/completions")
        if not path.endswith(known):
            headers = {"x-content-type-options": "nosniff"}
            return PlainTextResponse("404 page not found\n", 404, headers)
        if problem := self._key_problem(request):
            code, message = problem
            error = {"message": message, "type": "authentication_error", "code": code}
            return Answer({"error": error}, 401)
        if path.endswith("/v1/models"):
            model = {"id": self._model, "object": "model", "created": int(time.time()),
                     "owned_by": "provider-sim", "ready": True}  # fmt: skip
            return Answer({"object": "list", "data": [model]})
        return self._completion(await request.body())

    def _key_problem(self, request: Request) -> tuple[str, str] | None:
        """(code, message), or None if the key is right."""
        found = request.headers.get("x-provider-api-key", "").strip(" \t").encode("latin-1")
        if not found:
            return "missing_api_key", "Missing API key. Set X-Provider-Api-Key header."
        if found == self._key.encode():
            return None
        if len(found) < 4:
            raise Dropped
        begin, end = (part.decode("utf-8", "replace") for part in (found[:4], found[-4:]))
        return "invalid_api_key", f"Invalid API key provided: {begin}...{end}"

    def _completion(self, raw: bytes) -> Response:
        try:
            asked = _BODY.decode(raw).get("model", "")
        except JSONError:
            asked = ""
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
        return Answer(
            {
                "id": f"chatcmpl-{time.time_ns()}",
                "object": "chat.completion",
                "created": int(time.time()),
                "model": asked or self._model,
                "choices": [choice],
                "usage": usage,
            }
        )


def _sorted(value: Any) -> Any:
    if isinstance(value, list):
        return [_sorted(one) for one in value]
    if isinstance(value, dict):
        return {name: _sorted(one) for name, one in sorted(value.items())}
    return value


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--api-key", default="")
    parser.add_argument("--model", default="gpt-4-external")
    flags = parser.parse_args(argv)
    if not flags.api_key:
        sys.exit("provider-sim: --api-key is wanted")

    def drop(client: Any) -> None:
        for connection in server.server_state.connections:
            if getattr(connection, "client", None) == tuple(client):
                connection.transport.close()

    app = Provider(flags.api_key, flags.model, drop)
    server = web.server(app, flags.port, server_header=False)
    server.run()
