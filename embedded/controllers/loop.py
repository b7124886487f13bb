"""The loop that every controller here runs: events → keys → reconcile."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from embedded.apiserver.api import Api
from embedded.apiserver.status import ApiError

Object = dict[str, Any]
Key = tuple[str, str]  # (namespace, name)
Mapper = Callable[[Object], Iterable[Key]]
log = logging.getLogger("embedded.controllers")


def own_key(obj: Object) -> list[Key]:
    """The object's own key."""
    return [(obj["metadata"].get("namespace", ""), obj["metadata"]["name"])]


def owner_key(kind: str) -> Mapper:
    """The key of the object's controller owner of that kind."""

    def mapper(obj: Object) -> list[Key]:
        namespace = obj["metadata"].get("namespace", "")
        owners = obj["metadata"].get("ownerReferences", [])
        return [(namespace, o["name"]) for o in owners if o["kind"] == kind]

    return mapper


async def run(
    api: Api, sources: Mapping[tuple[str, str], Mapper], reconcile: Callable[[Key], None]
) -> None:
    """Reconcile the keys of every object that exists or changes, for ever.

    A conflict or a missing object is tried again with the next event; anything else is
    logged, and the loop goes on.
    """
    pending: dict[Key, None] = {}
    wake = asyncio.Event()

    async def follow(resource: tuple[str, str], mapper: Mapper) -> None:
        async for event in api.store.watch(resource, since[resource]):
            for obj in (event.object, event.old):
                if obj is not None:
                    pending.update(dict.fromkeys(mapper(obj)))
            wake.set()

    since = {}
    for resource, mapper in sources.items():
        since[resource] = api.store.revision
        for obj in api.store.objects(resource):
            pending.update(dict.fromkeys(mapper(obj)))
    wake.set()
    async with asyncio.TaskGroup() as tasks:
        for resource, mapper in sources.items():
            tasks.create_task(follow(resource, mapper))
        while True:
            await wake.wait()
            wake.clear()
            batch = list(pending)
            pending.clear()
            for key in batch:
                try:
                    with contextlib.suppress(ApiError):
                        reconcile(key)
                except Exception:
                    log.exception("reconciling %s failed", key)
