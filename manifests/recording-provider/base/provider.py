"""A recording model provider: OpenAI-compatible answers, and a memory of every request.

One file of the standard library alone, mounted from a ConfigMap into a stock Python image,
so that the same provider runs on every cluster. It checks its key, answers only the paths
that the real providers have (so a prefix that was not stripped shows), and hands out what
it received:

    GET /_recorder/requests?id=ID
        → {"requests": [{"method", "path", "headers", "body", "size", "digest", "tls", "answer",
                         "messages", "written", "ended"}]}
    GET /_recorder/requests?id=ID&may=N
        → the same as it was, and from here on N events of a held stream may be written
    GET /_recorder/unready?seconds=N
        → `/ready` says 503 for so long, and all else is as it was; 0 ends it
    GET /_recorder/listing?status=N&hang=N
        → from here on `/v1/models` has another status than 200, after so many seconds

A request can wish for an answer, by a JSON object in its header `x-conformance-recorder`, which
every hop passes on; bodies are what clients send. `total_tokens` is what the answer reports,
`text` what it says or `letters` how many, `status` makes it an error, `hang` lets it wait so many
seconds (a stream after its first event), `drop` lets none come at all, and `events` breaks a stream
off after so many. `kind` is another content type, `encoding` (`gzip`) packs a whole answer,
`headers` are further headers of the answer, a list of [name, value] in this order, and `sse` is
another way to write events: `crlf`, `tight` (no space after the colon), `named` (with event and id
lines), `pieces` (each in two, a moment apart), `nulls` (a null usage in every event before the
last), `running` (a usage that grows with each event). `usage` is the whole of what is reported, as
it is, in `total_tokens`' place; who wishes for it may ask by any operation of `OPERATIONS`, of
which servers have chats and completions at least. What is `held` waits to be let go, or for its
client to leave: a stream after its first event and each one more, another answer before its
beginning.

ID is the value of the request's `x-conformance-id` or `x-request-id` header; `headers` is a
list of [name, value] with lower-case names, trailers included; `body` is the text, of a large body
its beginning, and `size` and `digest` (SHA-256) are of its bytes; `answer` is the SHA-256 of the
body that was answered, or is to be; `messages` is the SHA-256 of each of a chat, whatever its
length (`json.dumps` with sorted keys). `written` counts the events that went out or are going out,
and `ended` is `whole` once all is answered, `left` if the client was gone before, and empty until
then. `/v1/echo` answers with the body itself, and every answer has the request's `x-echo` header.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import select
import socket
import ssl
import time
import uuid
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

Object = dict[str, Any]
REMEMBERED, REMEMBERED_LETTERS = 20_000, 16_384
WINDOW = 32_768  # tokens, as it says; nothing is refused for it
TLS = b"\x16"  # the first byte of a TLS handshake
HELD_SECONDS = 60.0  # what nobody lets go by then goes
LOOK_SECONDS = 0.02  # between two looks at whether it may
WISH = "x-conformance-recorder"
ANSWER = "This is a recorded answer."
# What OpenAI's API calls an answer to each operation.
OPERATIONS = {
    "/v1/chat/completions": "chat.completion",
    "/v1/completions": "text_completion",
    "/v1/embeddings": "list",
    "/v1/responses": "response",
}
EVERYWHERE = ("/v1/chat/completions", "/v1/completions")


class Provider(ThreadingHTTPServer):
    """The server with its flags and its memory."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, flags: argparse.Namespace) -> None:
        self.flags = flags
        self.requests: deque[Object] = deque(maxlen=REMEMBERED)
        self.unready_until = 0.0  # of time.monotonic()
        self.listing = (200, 0.0)  # its status, and the seconds before it
        super().__init__((flags.host, flags.port), Handler)
        self.tls: ssl.SSLContext | None = None
        if flags.ssl_certfile:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(flags.ssl_certfile, flags.ssl_keyfile)

    def finish_request(self, request: Any, client_address: Any) -> None:
        """In the connection's own thread: TLS if it is to be, then the requests."""
        if self.tls:
            first = request.recv(1, socket.MSG_PEEK) if self.flags.accept_plaintext else TLS
            if first == TLS:
                request = self.tls.wrap_socket(request, server_side=True)
        super().finish_request(request, client_address)


class Left(Exception):
    """The client has gone."""


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: Provider

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wished: list[list[str]] = []
    entry: Object = {}

    def do_GET(self) -> None:
        self._handle()

    do_HEAD = do_OPTIONS = do_POST = do_PUT = do_DELETE = do_PATCH = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _handle(self) -> None:
        self.wished, self.entry = [], {}
        body, trailers = self._body()
        # As it came: http.server makes one slash of two, and a doubled slash is a defect.
        target = self.requestline.split()[1]
        path, _, query = target.partition("?")
        if path in ("/health", "/ready"):
            is_ready = path == "/health" or time.monotonic() >= self.server.unready_until
            return self._json(200 if is_ready else 503, {"status": "ok" if is_ready else "unready"})
        if path == "/_recorder/unready":
            seconds = float(parse_qs(query).get("seconds", ["0"])[0])
            self.server.unready_until = time.monotonic() + seconds
            return self._json(200, {"seconds": seconds})
        if path == "/_recorder/listing":
            asked = parse_qs(query)
            status, hang = (asked.get(name, [""])[0] for name in ("status", "hang"))
            self.server.listing = (int(status or 200), float(hang or 0))
            return self._json(200, {"listing": self.server.listing})
        if path == "/_recorder/requests":
            asked = parse_qs(query)
            return self._recorded(asked.get("id", [""])[0], int(asked.get("may", ["0"])[0]))
        text = body.decode("utf-8", "replace")
        self.entry = {
            "method": self.command,
            "path": target,
            "headers": [[n.lower(), value] for n, value in self.headers.items()] + trailers,
            "body": text[:REMEMBERED_LETTERS],
            "size": len(body),
            "digest": hashlib.sha256(body).hexdigest(),
            "tls": isinstance(self.connection, ssl.SSLSocket),
            "time": time.time(),
            "answer": "",
            "messages": [],
            "written": 0,
            "ended": "",
            "may": 0,
        }
        self.server.requests.append(self.entry)
        try:
            if path == "/v1/echo":
                self._send(200, self.headers.get("content-type", "text/plain"), body)
            else:
                self._answer(path, text)
        except (Left, ConnectionError):
            self.entry["ended"], self.close_connection = "left", True
        else:
            self.entry["ended"] = "whole"

    def _body(self) -> tuple[bytes, list[list[str]]]:
        """The request's body, however its length is told (RFC 9112, section 6), and trailers."""
        if self.headers.get("transfer-encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("content-length") or 0)), []
        pieces = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        trailers = []
        while (line := self.rfile.readline()) not in (b"\r\n", b""):
            name, _, value = line.decode("latin-1").partition(":")
            trailers.append([name.strip().lower(), value.strip()])
        return b"".join(pieces), trailers

    def _recorded(self, wanted: str, may: int) -> None:
        def is_wanted(request: Object) -> bool:
            return any(
                name in ("x-conformance-id", "x-request-id") and value == wanted
                for name, value in request["headers"]
            )

        found = [request for request in list(self.server.requests) if is_wanted(request)]
        self._json(200, {"requests": found})
        for request in found:
            request["may"] = max(may, request["may"])

    def _wait_for(self, events: int) -> None:
        """Until so many events may be written; raises Left when the client goes away meanwhile."""
        deadline = time.monotonic() + HELD_SECONDS
        while self.entry["may"] < events and time.monotonic() < deadline:
            ready, _, _ = select.select([self.connection], [], [], LOOK_SECONDS)
            if ready and not self.connection.recv(1):
                raise Left

    def _answer(self, path: str, text: str) -> None:
        refusal = self._refusal()
        if refusal:
            return self._json(401, refusal)
        if path == "/v1/models" and self.command == "GET":
            status, seconds = self.server.listing
            time.sleep(seconds)
            if status != 200:
                return self._error(status, "as_told", "an error, as it was told")
            return self._json(200, {"object": "list", "data": [self._model()]})
        wish = json.loads(self.headers.get(WISH) or "{}")
        known = OPERATIONS if "usage" in wish else EVERYWHERE
        if path not in known or self.command != "POST":
            return self._error(404, "not_found", f"no such path: {self.command} {path}")
        try:
            body = json.loads(text)
            model = body.get("model")
        except (ValueError, AttributeError, RecursionError):
            return self._error(400, "invalid_request", "the body is not a JSON object")
        self.entry["messages"] = [_digest(one) for one in body.get("messages") or []]
        if model != self.server.flags.model:
            return self._error(404, "model_not_found", f"The model `{model}` does not exist.")
        self.wished = wish.get("headers", [])
        if "status" in wish:
            return self._error(wish["status"], "as_wished", "an error, as the request wished")
        if wish.get("drop"):
            self.close_connection = True
            return None
        if not body.get("stream"):
            time.sleep(wish.get("hang", 0))
        usage = wish.get("usage") or self._usage(wish.get("total_tokens", self.server.flags.tokens))
        said = wish.get("text", "x" * wish.get("letters", 0) or ANSWER)
        if body.get("stream"):
            return self._stream(body, usage, said, wish)
        self._wait_for(1 if wish.get("held") else 0)
        message = {"role": "assistant", "content": said}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        whole = {**self._head(OPERATIONS[path]), "choices": [choice], "usage": usage}
        data, coding = json.dumps(whole).encode(), wish.get("encoding", "")
        kind = wish.get("kind", "application/json")
        return self._send(200, kind, gzip.compress(data) if coding else data, coding)

    def _refusal(self) -> Object | None:
        """The body of the 401, or None if the key is right."""
        key, header = self.server.flags.api_key, self.server.flags.key_header
        if not key:
            return None
        found = self.headers.get(header)
        if header.lower() == "authorization":
            return None if found == f"Bearer {key}" else {"error": "Unauthorized"}
        if found == key:
            return None
        code = "invalid_api_key" if found else "missing_api_key"
        text = f"{header} is {'wrong' if found else 'missing'}"
        return {"error": {"message": text, "type": "authentication_error", "code": code}}

    def _model(self) -> Object:
        """As vLLM says of a model (`entrypoints/openai`, ModelCard and ModelPermission), which is
        what maas-api shows of it; its making is the answer's time."""
        now, model = int(time.time()), self.server.flags.model
        allowed = {"sampling": True, "logprobs": True, "view": True, "create_engine": False,
                   "search_indices": False, "fine_tuning": False}  # fmt: skip
        permission = {
            "id": f"modelperm-{uuid.uuid4().hex}",
            "object": "model_permission",
            "created": now,
            **{f"allow_{what}": is_allowed for what, is_allowed in allowed.items()},
            "organization": "*",
            "group": None,
            "is_blocking": False,
        }
        return {
            "id": model,
            "object": "model",
            "created": now,
            "owned_by": "vllm",
            "root": model,
            "parent": None,
            "max_model_len": WINDOW,
            "permission": [permission],
        }

    def _head(self, kind: str) -> Object:
        return {
            "id": f"chatcmpl-{uuid.uuid4()}",
            "object": kind,
            "created": int(time.time()),
            "model": self.server.flags.model,
        }

    def _usage(self, total: Any) -> Object:
        if not isinstance(total, int) or total < 0:
            return {"total_tokens": total}  # as the request wished: no usage that could be
        prompt = min(2, total)
        return {"prompt_tokens": prompt, "completion_tokens": total - prompt, "total_tokens": total}

    def _stream(self, body: Object, usage: Object, said: str, wish: Object) -> None:
        head, style = self._head("chat.completion.chunk"), wish.get("sse", "")
        if style == "nulls":
            head["usage"] = None

        def choice(delta: Object, reason: str | None = None) -> list[Object]:
            return [{"index": 0, "delta": delta, "finish_reason": reason}]

        events = [{**head, "choices": choice({"role": "assistant", "content": ""})}]
        events += [{**head, "choices": choice({"content": f"{w} "})} for w in said.split()]
        events.append({**head, "choices": choice({}, "stop")})
        if (body.get("stream_options") or {}).get("include_usage"):
            if style == "running":
                events = [{**one, "usage": self._usage(n)} for n, one in enumerate(events)]
            events.append({**head, "choices": [], "usage": usage})
        whole = [*map(json.dumps, events), "[DONE]"]
        sent = whole[: wish.get("events")]
        written = [self._event(number, event, style) for number, event in enumerate(sent)]
        kind = wish.get("kind", "text/event-stream")
        headers = {"content-type": kind, "transfer-encoding": "chunked"}
        self._begin(200, headers, "".join(written).encode())
        for number, data in enumerate(written):
            self._wait_for(number + 1 if number and wish.get("held") else 0)
            time.sleep(wish.get("hang", 0) if number == 1 else 0)
            self.entry["written"] += 1
            half = len(data) // 2 if style == "pieces" else 0
            for piece in filter(None, (data[:half], data[half:])):
                raw = piece.encode()
                self.wfile.write(b"%x\r\n%s\r\n" % (len(raw), raw))
                time.sleep(0.05 if half else 0)
        if sent == whole:
            self.wfile.write(b"0\r\n\r\n")
        self.close_connection = sent != whole

    def _event(self, number: int, event: str, style: str) -> str:
        data = f"data: {event}\n\n"
        if style == "named":
            data = f"id: {number}\nevent: message\n: a comment\n{data}"
        if style == "tight":
            data = data.replace("data: ", "data:", 1)
        return data.replace("\n", "\r\n") if style == "crlf" else data

    def _error(self, status: int, code: str, message: str) -> None:
        self._json(status, {"error": {"message": message, "code": code}})

    def _json(self, status: int, body: Object) -> None:
        self._send(status, "application/json", json.dumps(body).encode())

    def _send(self, status: int, kind: str, data: bytes, coding: str = "") -> None:
        packed = {"content-encoding": coding} if coding else {}
        self._begin(
            status, {"content-type": kind, **packed, "content-length": str(len(data))}, data
        )
        if self.command != "HEAD":
            self.wfile.write(data)

    def _begin(self, status: int, headers: dict[str, str], data: bytes) -> None:
        self.entry["answer"] = hashlib.sha256(data).hexdigest()
        self.send_response(status)
        if "x-echo" in self.headers:
            headers["x-echo"] = self.headers["x-echo"]
        for name, value in [*headers.items(), *self.wished]:
            self.send_header(name, value)
        self.end_headers()


def _digest(message: Any) -> str:
    return hashlib.sha256(json.dumps(message, sort_keys=True).encode()).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="0.0.0.0", help="address to listen on")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--model", required=True, help="the model that is served")
    parser.add_argument("--api-key", default="", help="the key to ask for; none by default")
    parser.add_argument("--key-header", default="X-Provider-Api-Key")
    parser.add_argument("--tokens", type=int, default=25, help="usage.total_tokens of an answer")
    parser.add_argument("--ssl-certfile")
    parser.add_argument("--ssl-keyfile")
    parser.add_argument("--accept-plaintext", action="store_true", help="on the TLS port too")
    Provider(parser.parse_args()).serve_forever()


if __name__ == "__main__":
    main()
