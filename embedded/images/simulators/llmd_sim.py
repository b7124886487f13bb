"""llm-d-inference-sim: a simulated vLLM.

Stands for ghcr.io/llm-d/llm-d-inference-sim. Upstream: llm-d/llm-d-inference-sim v0.6.1, beside
which this was run, and v0.7.1: `pkg/llm-d-inference-sim` (flags, endpoints, the queue); what it is
asked and what it answers is in `llmd_requests` and `llmd_answers`. Five requests are answered at a
time, a thousand wait, and more are refused. Usage in streams comes only with
`stream_options.include_usage`; tokens are words and signs.
Mode `random` is not random here: every answer is the one of the external-models quickstart's
example, sixteen tokens of two of the simulator's sentences, so that runs can be compared.

`--generation` is 0.6 or 0.7, whose answers differ. In both releases who leaves a stream keeps his
place among the five for ever (`streaming.go`: a `return` without `wg.Done()`), so that after five
of them nothing is answered any more, while `/health` says 200: that is in `0.6-upstream` and
`0.7-upstream`. Here the place is given back by default, as upstream does since v0.8.0.
Left out: LoRA, tools, log probabilities, latencies, `/tokenize`, KV-cache events, failures that are
asked for, most of `/metrics`.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from embedded.images.simulators.llmd_answers import GENERATIONS, Answer, Generation, answer
from embedded.images.simulators.llmd_requests import read
from embedded.shared import web
from embedded.shared.go_json import JSONError, encode

SEATS, QUEUE, WINDOW = 5, 1000, 1024
_ERRORS = {400: "BadRequestError", 404: "NotFoundError"}
Handler = Callable[[Request], Awaitable[Response]]


class JSON(Response):
    """An answer as Go writes it."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """The body."""
        return encode(content)


class Bare(Response):
    """An answer without a body, and without its type."""

    def __init__(self, status: int, headers: dict[str, str]) -> None:
        super().__init__(None, status, headers)


class Full(Exception):
    """The queue has no place."""


class Seats:
    """Who is answered, and who waits for it."""

    def __init__(self, number: int, queue: int) -> None:
        self._free, self._queue, self._waiting = asyncio.Semaphore(number), queue, 0

    async def take(self) -> None:
        """Wait for a seat; raises Full."""
        if self._free.locked() and self._waiting >= self._queue:
            raise Full
        self._waiting += 1
        try:
            await self._free.acquire()
        finally:
            self._waiting -= 1

    def give_back(self) -> None:
        """A seat is free."""
        self._free.release()


class Stream(Response):
    """Events, each sent by itself; who asked may leave between two of them."""

    media_type = "text/event-stream"

    def __init__(self, made: Answer, seats: Seats, headers: dict[str, str]) -> None:
        super().__init__(None, 200, headers)
        del self.headers["content-length"]
        self.headers["content-type"] = self.media_type  # which has no charset
        self._made, self._seats = made, seats

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        left = asyncio.ensure_future(receive())  # the body was read: what comes is the end
        is_broken_off = True
        try:
            await send(start)
            for event in self._made.events():
                await send({"type": "http.response.body", "body": event, "more_body": True})
                await asyncio.sleep(0)  # others' turn, and the time to hear that somebody left
                if left.done():
                    return
            is_broken_off = False
            await send({"type": "http.response.body", "body": b""})
        finally:
            left.cancel()
            if not (is_broken_off and self._made.generation.forgets_seats):
                self._seats.give_back()


def normal(path: str) -> str:
    """A path as fasthttp understands it: without doubled slashes and dots."""
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    ends = "/" if parts and path.endswith(("/", "/.", "/..")) else ""
    return "/" + "/".join(parts) + ends


class Simulator:
    """An ASGI application for one served model."""

    def __init__(
        self,
        model: str,
        mode: str,
        generation: Generation,
        window: int = WINDOW,
        seats: int = SEATS,
        queue: int = QUEUE,
        port: int = 8000,
    ) -> None:
        self._model, self._mode, self._window = model, mode, window
        self._generation, self._seats, self._requests = generation, Seats(seats, queue), 0
        pod, namespace = os.environ.get("POD_NAME"), os.environ.get("POD_NAMESPACE")
        self._headers = {"x-inference-pod": pod, "x-inference-port": str(port)} if pod else {}
        self._headers |= {"x-inference-namespace": namespace} if namespace else {}
        self._routes: dict[str, tuple[str, Handler]] = {
            "/health": ("GET", self._ok),
            "/ready": ("GET", self._ok),
            "/v1/models": ("GET", self._models),
            "/v1/chat/completions": ("POST", self._chat),
            "/v1/completions": ("POST", self._text),
            "/metrics": ("GET", self._metrics),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._respond(Request(scope, receive))
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        path = normal(request.scope["path"])
        method, handler = self._routes.get(path, ("", None))
        if handler and request.method == method:
            return await handler(request)
        if place := self._moved(request, path):
            return Bare(301 if request.method == "GET" else 307, {"location": place})
        if path == "/*":
            method = "GET, POST"
        if not method:
            return PlainTextResponse("Not Found", 404)
        allow = {"allow": f"{method}, OPTIONS"}
        if request.method == "OPTIONS":
            return Bare(200, allow)
        return PlainTextResponse("Method Not Allowed", 405, allow)

    def _moved(self, request: Request, path: str) -> str:
        """Where there is a handler for this path in other letters, or with a slash too many."""
        wanted = path[:-1] if path.endswith("/") else path
        for known, (method, _) in self._routes.items():
            if known == wanted.lower() and known != path and method == request.method:
                query = f"?{request.url.query}" if request.url.query and wanted != known else ""
                return f"{request.url.scheme}://{request.headers.get('host', '')}{known}{query}"
        return ""

    async def _ok(self, _: Request) -> Response:
        return JSON({})

    async def _models(self, _: Request) -> Response:
        model = {"id": self._model, "object": "model", "created": int(time.time()),
                 "owned_by": "vllm", "root": self._model, "parent": None}  # fmt: skip
        return JSON({"object": "list", "data": [model]})

    async def _metrics(self, _: Request) -> Response:
        label = f'{{model_name="{self._model}"}}'
        return PlainTextResponse(f"vllm:request_success_total{label} {self._requests}\n")

    async def _chat(self, request: Request) -> Response:
        return await self._complete(await request.body(), is_chat=True)

    async def _text(self, request: Request) -> Response:
        return await self._complete(await request.body(), is_chat=False)

    async def _complete(self, raw: bytes, is_chat: bool) -> Response:
        try:
            asked = read(raw, is_chat, self._generation.is_0_6)
        except JSONError as error:
            return PlainTextResponse(f"Failed to read and parse request body, {error}", 400)
        if refusal := asked.refusal(self._model, self._window):
            code, message = refusal
            told = {"message": message, "type": _ERRORS[code], "param": None, "code": code}
            return JSON({"error": told}, code)
        try:
            await self._seats.take()
        except Full:
            text = "Failed to enqueue request, waiting requests queue is full"
            return PlainTextResponse(text, 429)
        self._requests += 1
        said, reason = answer(asked, self._mode, self._generation)
        made = Answer(asked, self._model, said, reason, self._generation)
        if asked.is_stream:
            return Stream(made, self._seats, self._headers)
        self._seats.give_back()
        return JSON(made.whole(), headers=self._headers)


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--model", required=True)
    parser.add_argument("--mode", choices=["random", "echo"], default="random")
    parser.add_argument("--max-model-len", type=int, default=WINDOW)
    parser.add_argument("--max-num-seqs", type=int, default=SEATS)
    parser.add_argument("--max-waiting-queue-length", type=int, default=QUEUE)
    parser.add_argument("--generation", choices=list(GENERATIONS), default="0.6")
    parser.add_argument("--ssl-certfile")
    parser.add_argument("--ssl-keyfile")
    flags = parser.parse_args(argv)
    app = Simulator(flags.model, flags.mode, GENERATIONS[flags.generation], flags.max_model_len,
                    flags.max_num_seqs, flags.max_waiting_queue_length, flags.port)  # fmt: skip
    more: dict[str, Any] = {
        "ssl_certfile": flags.ssl_certfile,
        "ssl_keyfile": flags.ssl_keyfile,
        "server_header": False,
        "headers": [("server", "fasthttp")],
    }
    web.server(app, flags.port, **more).run()
