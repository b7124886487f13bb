"""A Go server by gin, as its clients see it: which handler, and how it answers what has none.

gin v1.10 (gin.go, tree.go) with its defaults and maas-api's own `OPTIONS /*path`. Without a handler
for method and path: 404 in plain text, whatever the method; HEAD is a method of its own; a slash
too many at the end is a redirect to the path without it. Left out: `X-Forwarded-Prefix` in
redirects.
"""

from __future__ import annotations

import html
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from embedded.shared import go_json

Handler = Callable[[Request], Awaitable[Response]]
# What Go's `url.URL` leaves as it is in a path.
_PATH_SAFE = "/$&+,:;=@!'()*~"


class JSON(Response):
    """An answer as `gin.Context.JSON` writes it."""

    def __init__(self, body: Any, status: int = 200) -> None:
        super().__init__(go_json.encode(body), status)
        self.headers["content-type"] = "application/json; charset=utf-8"


class Router:
    """An ASGI application of (method, path, handler); a path's `{name}` is one part of it.

    `catch` makes answers of exceptions of one kind.
    """

    def __init__(
        self,
        routes: Sequence[tuple[str, str, Handler]],
        kind: type[Exception],
        catch: Callable[[Any], Response],
    ) -> None:
        self._routes = [
            (method, re.compile(re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", path)), handler)
            for method, path, handler in routes
        ]
        self._kind, self._catch = kind, catch

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._answer(Request(scope, receive))
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        path = str(request.scope["path"])
        if handler := self._found(request, path):
            try:
                return await handler(request)
            except self._kind as error:
                return self._catch(error)
        if request.method == "OPTIONS":
            return Response(status_code=204)
        if len(path) > 1 and path.endswith("/") and self._found(request, path[:-1]):
            return _moved(request, path[:-1])
        plain = Response(b"404 page not found", 404)
        plain.headers["content-type"] = "text/plain"
        return plain

    def _found(self, request: Request, path: str) -> Handler | None:
        for method, pattern, handler in self._routes:
            if method == request.method and (match := pattern.fullmatch(path)):
                request.scope["path_params"] = match.groupdict()
                return handler
        return None


def _moved(request: Request, path: str) -> Response:
    query = request.scope["query_string"].decode("latin-1")
    place = quote(path, safe=_PATH_SAFE) + (f"?{query}" if query else "")
    if request.method != "GET":
        return Response(status_code=307, headers={"location": place})
    body = f'<a href="{html.escape(place)}">Moved Permanently</a>.\n\n'
    answer = Response(body, 301, {"location": place})
    answer.headers["content-type"] = "text/html; charset=utf-8"
    return answer


def header(request: Request, name: str) -> str:
    """The first header of a name as a Go string: its bytes are text in UTF-8, or none."""
    value = request.headers.get(name, "")
    return value.encode("latin-1").decode("utf-8", "surrogateescape")
