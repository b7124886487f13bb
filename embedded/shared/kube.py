"""A small asynchronous Kubernetes client for the stand-ins.

The official client takes 0.6 s to import, too long for a dozen processes that must be
up together in seconds. This one knows list, watch, read and write of plain dicts, over the
same HTTPS API, with the Pod's own token. By aiohttp: with httpx, half of what the controllers
did was to send requests.
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import time
from collections.abc import AsyncIterator, Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import aiohttp

Object = dict[str, Any]
Key = tuple[str, str]
_APPLY_AGAIN_SECONDS = 1.0
ConnectionProblem = (aiohttp.ClientError, OSError, asyncio.TimeoutError)
_TOKEN_FOLDER = "var/run/secrets/kubernetes.io/serviceaccount"


class KubeError(Exception):
    """A request that the API server refused; `code` is the HTTP status."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def in_container(path: str) -> Path:
    """Where a path of the container's file system really is."""
    return Path(os.environ["CONTAINER_ROOT"]) / path.strip("/")


def path_of(resource: str, namespace: str = "", name: str = "", subresource: str = "") -> str:
    """The URL path of `group/version/plural` (or `v1/plural`)."""
    group_version, _, plural = resource.rpartition("/")
    parts = ["api" if "/" not in group_version else "apis", group_version]
    parts += ["namespaces", namespace] if namespace else []
    parts += [plural, name, subresource]
    return "/" + "/".join(part for part in parts if part)


class Kube:
    """The API as the Pod's ServiceAccount. All methods raise KubeError."""

    def __init__(self, manager: str) -> None:
        folder = in_container(_TOKEN_FOLDER)
        host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
        token = (folder / "token").read_text()
        self._manager = manager
        self._applied: dict[str, tuple[Object, float]] = {}
        self._kinds: dict[str, str] = {}
        self._server = f"https://{host}:{port}"
        self._headers = {"authorization": f"Bearer {token}", "user-agent": manager}
        self._authority = ssl.create_default_context(cafile=str(folder / "ca.crt"))

    @cached_property
    def _client(self) -> aiohttp.ClientSession:
        """Made in the event loop that it is for."""
        return aiohttp.ClientSession(
            self._server,
            headers=self._headers,
            connector=aiohttp.TCPConnector(ssl=self._authority, limit=0),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=10),
        )

    async def request(
        self, method: str, path: str, body: Any = None, content_type: str = "application/json"
    ) -> Object:
        """One call; the answer as a dict."""
        content = None if body is None else json.dumps(body)
        headers = {"content-type": content_type}
        async with self._client.request(method, path, data=content, headers=headers) as answer:
            text = await answer.text()
        if answer.status >= 400:
            raise KubeError(answer.status, _message(text))
        found: Object = json.loads(text)
        return found

    async def create(self, resource: str, obj: Object, namespace: str = "") -> Object:
        return await self.request("POST", path_of(resource, namespace), obj)

    async def get(self, resource: str, namespace: str, name: str) -> Object | None:
        """None if it does not exist."""
        try:
            return await self.request("GET", path_of(resource, namespace, name))
        except KubeError as error:
            if error.code != 404:
                raise
            return None

    async def delete(self, resource: str, namespace: str, name: str) -> None:
        """No error if it does not exist."""
        self.forget(resource, namespace, name)
        try:
            await self.request("DELETE", path_of(resource, namespace, name))
        except KubeError as error:
            if error.code != 404:
                raise

    async def apply(self, resource: str, obj: Object) -> None:
        """Server-side apply with force; the same object again within a second is not sent."""
        metadata = obj["metadata"]
        path = path_of(resource, metadata.get("namespace", ""), metadata["name"])
        sent, now = self._applied.get(path), time.monotonic()
        if sent and sent[0] == obj and now - sent[1] < _APPLY_AGAIN_SECONDS:
            return
        query = f"?fieldManager={self._manager}&force=true"
        named = {"apiVersion": resource.rpartition("/")[0], "kind": await self._kind(resource)}
        await self.request("PATCH", path + query, {**named, **obj}, "application/apply-patch+yaml")
        self._applied[path] = (obj, now)

    def forget(self, resource: str, namespace: str, name: str) -> None:
        """What is gone is sent when it is applied again, however soon."""
        self._applied.pop(path_of(resource, namespace, name), None)

    async def _kind(self, resource: str) -> str:
        """The kind of a resource, by discovery."""
        if resource not in self._kinds:
            group_version = resource.rpartition("/")[0]
            listing = await self.request("GET", path_of(f"{group_version}/"))
            for found in listing["resources"]:
                self._kinds.setdefault(f"{group_version}/{found['name']}", found["kind"])
        return self._kinds[resource]

    async def set_status(self, resource: str, obj: Object, status: Object) -> None:
        """Replace fields of `.status`, unless they already are so; `obj` is the object as seen.

        Conditions keep their lastTransitionTime while their status is the same. Others write to
        the same lists: what has changed meanwhile is left to the reconciliation that its event
        brings.
        """
        current = obj.get("status") or {}
        settle_times(status, current)
        if all(current.get(name) == value for name, value in status.items()):
            return
        metadata = obj["metadata"]
        path = path_of(resource, metadata.get("namespace", ""), metadata["name"], "status")
        body = {"metadata": {"resourceVersion": metadata["resourceVersion"]}, "status": status}
        try:
            await self.request("PATCH", path, body, "application/merge-patch+json")
        except KubeError as error:
            if error.code not in (404, 409):  # deleted or changed meanwhile
                raise

    async def watch(self, resource: str, namespace: str = "") -> AsyncIterator[tuple[str, Object]]:
        """(event type, object) for ever; begins with what exists, then a "SYNCED"."""
        path = path_of(resource, namespace)
        while True:
            listing = await self.request("GET", path)
            for obj in listing["items"]:
                yield "ADDED", obj
            yield "SYNCED", {}
            query = f"?watch=true&resourceVersion={listing['metadata']['resourceVersion']}"
            try:
                async with self._client.get(path + query) as stream:
                    async for event in _events(stream.content):
                        if event["type"] == "ERROR":
                            break
                        yield event["type"], event["object"]
            except ConnectionProblem:
                await asyncio.sleep(0.2)
            yield "RELIST", {}


async def _events(stream: aiohttp.StreamReader) -> AsyncIterator[Object]:
    """The events of a watch, one on a line however long."""
    rest = b""
    async for piece in stream.iter_any():
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            yield json.loads(line)


def _message(text: str) -> str:
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return text


def settle_times(new: Any, old: Any) -> None:
    """Keep the old lastTransitionTime of conditions whose status did not change, in place."""
    if isinstance(new, dict):
        for name, value in new.items():
            before = old.get(name) if isinstance(old, dict) else None
            if name == "conditions" and isinstance(before, list):
                known = {c.get("type"): c for c in before}
                for condition in value:
                    same = known.get(condition.get("type")) or {}  # others write there too
                    if "lastTransitionTime" in same and same.get("status") == condition["status"]:
                        condition["lastTransitionTime"] = same["lastTransitionTime"]
            else:
                settle_times(value, before)
    elif isinstance(new, list) and isinstance(old, list):
        for one, before in zip(new, old, strict=False):
            settle_times(one, before)


class Cache:
    """Everything of some resources, of one namespace or of all, kept current by watches."""

    def __init__(self, kube: Kube, resources: list[str], namespace: str = "") -> None:
        self._kube, self._namespace = kube, namespace
        self._objects: dict[str, dict[Key, Object]] = {r: {} for r in resources}
        self._changed = asyncio.Event()
        self._unsynced = set(resources)

    def list(self, resource: str, namespace: str = "") -> list[Object]:
        """Sorted by creation time, then namespace and name: older objects win conflicts."""
        found = [
            o for k, o in self._objects[resource].items() if not namespace or k[0] == namespace
        ]

        def age(obj: Object) -> tuple[str, str, str]:
            metadata = obj["metadata"]
            return (
                metadata["creationTimestamp"],
                metadata.get("namespace", ""),
                metadata["name"],
            )

        return sorted(found, key=age)

    def get(self, resource: str, namespace: str, name: str) -> Object | None:
        return self._objects[resource].get((namespace, name))

    def touch(self) -> None:
        """Reconcile again although no object changed."""
        self._changed.set()

    async def run(self, reconcile: Callable[[], Any]) -> None:
        """Call `reconcile` (a coroutine function) after every change, once all is known.

        A KubeError of a reconciliation is printed, and the next try comes soon.
        """
        async with asyncio.TaskGroup() as tasks:
            for resource in self._objects:
                tasks.create_task(self._follow(resource))
            while True:
                await self._changed.wait()
                self._changed.clear()
                if self._unsynced:
                    continue
                try:
                    await reconcile()
                except (KubeError, *ConnectionProblem) as error:
                    print(f"reconciling failed, trying again: {error}", flush=True)
                    await asyncio.sleep(0.2)
                    self._changed.set()

    async def _follow(self, resource: str) -> None:
        objects = self._objects[resource]
        while True:
            try:
                await self._listen(resource, objects)
            except (KubeError, *ConnectionProblem) as error:
                print(f"watching {resource} failed, trying again: {error}", flush=True)
                await asyncio.sleep(0.3)

    async def _listen(self, resource: str, objects: dict[Key, Object]) -> None:
        seen: set[Key] = set()
        async for kind, obj in self._kube.watch(resource, self._namespace):
            if kind == "SYNCED":
                for key in objects.keys() - seen:
                    del objects[key]
                self._unsynced.discard(resource)
            elif kind == "RELIST":
                seen = set()
                continue
            else:
                key = (obj["metadata"].get("namespace", ""), obj["metadata"]["name"])
                seen.add(key)
                if kind == "DELETED":
                    objects.pop(key, None)
                    self._kube.forget(resource, *key)
                else:
                    objects[key] = obj
            self._changed.set()
