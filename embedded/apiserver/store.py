"""Objects in memory, with etcd's contract: one growing revision, and a history to watch from.

Stored objects are never changed in place: writers hand over a new dict and readers
must not touch what they get.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

from embedded.apiserver.status import expired

Object = dict[str, Any]
Key = tuple[str, str]  # (namespace or "", name)
HISTORY = 4096


@dataclass(frozen=True)
class Event:
    """One change: `type` is ADDED, MODIFIED or DELETED; `old` is the object before it."""

    revision: int
    type: str
    key: Key
    object: Object
    old: Object | None = None


class Store:
    """`resource` is a `(group, plural)` pair everywhere."""

    def __init__(self) -> None:
        self.revision = 0
        # The last at which an object came, went or changed its owners.
        self.owned_revision = 0
        self._objects: dict[tuple[str, str], dict[Key, Object]] = defaultdict(dict)
        self._history: dict[tuple[str, str], deque[Event]] = defaultdict(
            lambda: deque(maxlen=HISTORY)
        )
        self._watchers: dict[tuple[str, str], set[asyncio.Queue[Event]]] = defaultdict(set)
        self._news = asyncio.Event()

    def get(self, resource: tuple[str, str], key: Key) -> Object | None:
        return self._objects[resource].get(key)

    def objects(self, resource: tuple[str, str], namespace: str = "") -> Iterator[Object]:
        """Objects sorted by namespace and name."""
        for key, found in sorted(self._objects[resource].items()):
            if not namespace or key[0] == namespace:
                yield found

    def resources(self) -> list[tuple[str, str]]:
        return [resource for resource, objects in self._objects.items() if objects]

    def put(self, resource: tuple[str, str], key: Key, new: Object) -> Object:
        """Store `new` (which the store owns from now on) under the next revision."""
        old = self._objects[resource].get(key)
        self.revision += 1
        new["metadata"]["resourceVersion"] = str(self.revision)
        self._objects[resource][key] = new
        self._publish(resource, Event(self.revision, "MODIFIED" if old else "ADDED", key, new, old))
        return new

    def remove(self, resource: tuple[str, str], key: Key) -> Object:
        old = self._objects[resource].pop(key)
        self.revision += 1
        metadata = {**old["metadata"], "resourceVersion": str(self.revision)}
        gone = {**old, "metadata": metadata}
        self._publish(resource, Event(self.revision, "DELETED", key, gone, old))
        return gone

    def _publish(self, resource: tuple[str, str], event: Event) -> None:
        self._history[resource].append(event)
        for queue in self._watchers[resource]:
            queue.put_nowait(event)
        if event.type != "MODIFIED" or _owners(event.object) != _owners(event.old or {}):
            self.owned_revision = event.revision
        self._news.set()

    async def changed(self, since: int) -> None:
        """Wait for any change after revision `since`."""
        while self.revision <= since:
            self._news.clear()
            await self._news.wait()

    async def watch(self, resource: tuple[str, str], since: int) -> AsyncIterator[Event]:
        """Every change after revision `since`, for ever; raises 410 if it is too old."""
        history = self._history[resource]
        if len(history) == HISTORY and history[0].revision > since + 1:
            raise expired(f"too old resource version: {since} ({self.revision})")
        queue: asyncio.Queue[Event] = asyncio.Queue()
        for event in history:
            if event.revision > since:
                queue.put_nowait(event)
        self._watchers[resource].add(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self._watchers[resource].discard(queue)


def _owners(obj: Object) -> Any:
    return obj.get("metadata", {}).get("ownerReferences")
