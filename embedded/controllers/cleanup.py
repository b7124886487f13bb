"""Namespaces: what each one starts with, and their end; garbage collection by owner.

Upstream: `pkg/controller/serviceaccount`, `…/namespace`, `…/garbagecollector`,
`…/certificates/rootcacertpublisher`.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from typing import Any

from embedded.apiserver.api import Api
from embedded.apiserver.decoding import Options
from embedded.controllers.loop import Key, own_key, run

Object = dict[str, Any]
log = logging.getLogger("embedded.controllers")
_PAUSE_SECONDS = 0.1


class Namespaces:
    """Gives a Namespace its default ServiceAccount and CA, and empties it at its end."""

    def __init__(self, api: Api, ca: str) -> None:
        self._api, self._ca = api, ca
        self._namespaces = api.resource("", "namespaces")
        self._accounts = api.resource("", "serviceaccounts")

    async def run(self) -> None:
        def of_account(obj: Object) -> list[Key]:
            return [("", obj["metadata"]["namespace"])]

        sources = {self._namespaces.id: own_key, self._accounts.id: of_account}
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(run(self._api, sources, self._namespace))
            tasks.create_task(self._empty())

    def _namespace(self, key: Key) -> None:
        found = self._api.store.get(self._namespaces.id, key)
        if found is not None and "deletionTimestamp" not in found["metadata"]:
            furnish(self._api, key[1], self._ca)

    async def _empty(self) -> None:
        """Delete what is in a Terminating Namespace until nothing is left, then itself."""
        store = self._api.store
        while True:
            seen = store.revision
            ending = [
                namespace
                for namespace in store.objects(self._namespaces.id)
                if "deletionTimestamp" in namespace["metadata"]
            ]
            for namespace in ending:
                try:
                    self._empty_one(namespace)
                except Exception:
                    log.exception("emptying Namespace %s", namespace["metadata"]["name"])
            await (asyncio.sleep(_PAUSE_SECONDS) if ending else store.changed(seen))

    def _empty_one(self, namespace: Object) -> None:
        name, left = namespace["metadata"]["name"], 0
        for resource in list(self._api.registry):
            if not resource.namespaced or resource.virtual:
                continue
            for obj in list(self._api.store.objects(resource.id, name)):
                left += 1
                if "deletionTimestamp" not in obj["metadata"]:
                    self._api.delete(resource, name, obj["metadata"]["name"])
        if not left:
            self._api.finish_delete(self._namespaces, namespace)


def furnish(api: Api, namespace: str, ca: str) -> None:
    """The ServiceAccount and the CA ConfigMap that every Namespace has."""
    options = Options("kube-controller-manager", "Ignore")
    account = api.resource("", "serviceaccounts")
    if api.store.get(account.id, (namespace, "default")) is None:
        api.create(account, "v1", namespace, {"metadata": {"name": "default"}}, options)
    config = api.resource("", "configmaps")
    if api.store.get(config.id, (namespace, "kube-root-ca.crt")) is None:
        body = {"metadata": {"name": "kube-root-ca.crt"}, "data": {"ca.crt": ca}}
        api.create(config, "v1", namespace, body, options)


class GarbageCollector:
    """Deletes objects whose owners are all gone."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def run(self) -> None:
        store = self._api.store
        while True:
            seen = looked_at = store.revision
            self._collect()
            await asyncio.sleep(_PAUSE_SECONDS)  # what changes together is looked at together
            while store.owned_revision <= looked_at:
                await store.changed(seen)
                seen = store.revision

    def _collect(self) -> None:
        alive: set[str] = set()
        owned: dict[tuple[str, str], list[Object]] = defaultdict(list)
        for resource_id in self._api.store.resources():
            for obj in self._api.store.objects(resource_id):
                alive.add(obj["metadata"]["uid"])
                if obj["metadata"].get("ownerReferences"):
                    owned[resource_id].append(obj)
        for resource_id, objects in owned.items():
            resource = self._api.registry.get(*resource_id)
            for obj in objects:
                metadata = obj["metadata"]
                orphaned = all(r["uid"] not in alive for r in metadata["ownerReferences"])
                if resource and orphaned and "deletionTimestamp" not in metadata:
                    try:
                        self._api.delete(resource, metadata.get("namespace", ""), metadata["name"])
                    except Exception:
                        log.exception("collecting %s %s", resource.kind, metadata["name"])
