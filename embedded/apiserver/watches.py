"""Watches: a stream of JSON events for one client."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import Request

from embedded.apiserver import selectors, status, table
from embedded.apiserver.api import Api
from embedded.apiserver.request import RequestInfo
from embedded.apiserver.resources import Resource
from embedded.apiserver.responses import versioned

Object = dict[str, Any]


def events(
    api: Api, request: Request, info: RequestInfo, resource: Resource
) -> AsyncIterator[bytes]:
    """Events from the asked revision on, for ever; from none or 0, what exists comes first.

    A wrong selector is refused here, before the stream begins.
    """
    query = request.query_params
    fields = query.get("fieldSelector", "") + (f",metadata.name={info.name}" if info.name else "")
    matches = selectors.matcher(query.get("labelSelector", ""), fields)
    since = query.get("resourceVersion", "")
    as_table = "as=Table" in request.headers.get("accept", "")

    def encode(kind: str, obj: Object) -> bytes:
        shown = versioned(obj, resource, info.version)
        if as_table:
            revision = obj["metadata"]["resourceVersion"]
            shown = table.render(resource, info.version, [shown], revision)
        return json.dumps({"type": kind, "object": shown}).encode() + b"\n"

    async def stream() -> AsyncIterator[bytes]:
        start = int(since) if since not in ("", "0") else api.store.revision
        if since in ("", "0"):
            for obj in api.list(resource, info.namespace):
                if matches(obj):
                    yield encode("ADDED", obj)
        try:
            async for event in api.store.watch(resource.id, start):
                if info.namespace and event.key[0] != info.namespace:
                    continue
                before = event.old is not None and matches(event.old)
                after = event.type != "DELETED" and matches(event.object)
                if after:
                    yield encode("MODIFIED" if before else "ADDED", event.object)
                elif before:
                    yield encode("DELETED", event.object)
        except status.ApiError as error:
            yield json.dumps({"type": "ERROR", "object": error.body()}).encode() + b"\n"

    return stream()


async def until(
    source: AsyncIterator[bytes], seconds: float, closing: asyncio.Event
) -> AsyncIterator[bytes]:
    """Pass `source` on until it ends, the time is over, or the server closes."""
    closed = asyncio.ensure_future(closing.wait())
    deadline = asyncio.get_running_loop().time() + seconds
    pending: asyncio.Future[bytes] | None = None
    try:
        while (left := deadline - asyncio.get_running_loop().time()) > 0:
            pending = pending or asyncio.ensure_future(anext(source))
            waited: set[asyncio.Future[Any]] = {pending, closed}
            done, _ = await asyncio.wait(waited, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            if pending not in done:
                return
            try:
                chunk = pending.result()
            except StopAsyncIteration:
                pending = None
                return
            pending = None
            yield chunk
    finally:
        closed.cancel()
        if pending:
            pending.cancel()
            with contextlib.suppress(asyncio.CancelledError, StopAsyncIteration):
                await pending
