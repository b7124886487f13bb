"""The node: takes every Pod that is created and runs it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import platform
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp

from embedded.apiserver.api import Api, now
from embedded.apiserver.decoding import Options
from embedded.apiserver.discovery import VERSION
from embedded.apiserver.status import ApiError
from embedded.images import Catalogue
from embedded.node import logs
from embedded.node.pod import PodWorker
from embedded.node.volumes import MountError
from embedded.running.zygote import Zygote
from embedded.shared.net import Network
from embedded.shared.trees import copied

if TYPE_CHECKING:
    from embedded.apiserver.authn import Tokens

Object = dict[str, Any]
NODE = "embedded"
log = logging.getLogger("embedded.node")


class Kubelet:
    """Schedules and runs Pods; answers the API server's questions about their logs."""

    def __init__(
        self,
        api: Api,
        tokens: Tokens,
        zygote: Zygote,
        catalogue: Catalogue,
        network: Network,
        folder: Path,
        environment: dict[str, str],
    ) -> None:
        self.api, self.tokens, self.zygote, self.catalogue = api, tokens, zygote, catalogue
        self.folder, self.environment, self.address = folder, environment, network.api
        self.client = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=False, limit=0), cookie_jar=aiohttp.DummyCookieJar()
        )
        self._network = network
        self._pods = api.resource("", "pods")
        self._workers: dict[str, PodWorker] = {}
        self._runs: dict[str, asyncio.Task[None]] = {}
        self._ends: dict[str, asyncio.Task[None]] = {}
        self._count = 0

    async def run(self) -> None:
        self._register()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow_pods())
            tasks.create_task(self._follow_config("configmaps"))
            tasks.create_task(self._follow_config("secrets"))
            tasks.create_task(logs.bounded(self._logs))

    async def close(self) -> None:
        """Stop every container at once."""
        await asyncio.gather(*(worker.stop(0) for worker in self._workers.values()))
        for task in [*self._runs.values(), *self._ends.values()]:
            task.cancel()
        await self.client.close()

    def log_file(self, pod: Object, container: str, previous: bool) -> Path | None:
        worker = self._workers.get(pod["metadata"]["uid"])
        return worker.log_file(container, previous) if worker else None

    def _logs(self) -> list[Path]:
        return [path for worker in self._workers.values() for path in worker.log_files()]

    # -- following the API --------------------------------------------------------------

    async def _follow_pods(self) -> None:
        start = self.api.store.revision
        pods = list(self.api.store.objects(self._pods.id))
        alive = {pod["metadata"]["uid"] for pod in pods}
        for uid in self._workers.keys() - alive:  # gone while nobody followed
            self._finish(self._workers[uid].pod, 0)
        for pod in pods:
            self._heed(pod, deleted=False)
        async for event in self.api.store.watch(self._pods.id, start):
            self._heed(event.object, event.type == "DELETED")

    def _heed(self, pod: Object, deleted: bool) -> None:
        """React to a Pod as it was at some time; one that cannot be run does not stop the rest."""
        try:
            if deleted:
                self._finish(pod, 0)
            else:
                self._seen(pod)
        except Exception:
            log.exception("Pod %s/%s", *_key(pod))

    def _seen(self, pod: Object) -> None:
        uid = pod["metadata"]["uid"]
        if "deletionTimestamp" in pod["metadata"]:
            self._finish(pod, pod["metadata"].get("deletionGracePeriodSeconds") or 0)
        elif uid not in self._workers:
            self._take(pod)

    def _take(self, pod: Object) -> None:
        """Bind a Pod and run it, unless it is gone by now: events come late."""
        uid = pod["metadata"]["uid"]
        live = self.api.store.get(self._pods.id, _key(pod))
        if live is None or live["metadata"]["uid"] != uid:
            return

        def bind(found: Object) -> None:
            found["spec"]["nodeName"] = NODE

        bound = self.api.mutate(self._pods, *_key(pod), bind)
        worker = PodWorker(self, copied(bound), self._network.pod(self._count))
        self._count += 1
        self._workers[uid] = worker
        self._runs[uid] = asyncio.create_task(self._run(worker))

    async def _run(self, worker: PodWorker) -> None:
        try:
            await worker.run()
        except asyncio.CancelledError:
            raise
        except Exception:
            log.exception("Pod %s/%s failed", *worker.key)

    def _finish(self, pod: Object, grace: float) -> None:
        uid = pod["metadata"]["uid"]
        if uid not in self._ends and uid in self._workers:
            self._ends[uid] = asyncio.create_task(self._end(pod, grace))

    async def _end(self, pod: Object, grace: float) -> None:
        uid = pod["metadata"]["uid"]
        await self._workers[uid].stop(grace)
        run = self._runs.pop(uid)
        run.cancel()
        await asyncio.wait([run])
        self._workers.pop(uid).discard()
        self._ends.pop(uid)
        found = self.api.store.get(self._pods.id, _key(pod))
        if found and found["metadata"]["uid"] == uid:
            self.api.finish_delete(self._pods, found)

    async def _follow_config(self, plural: str) -> None:
        resource = self.api.resource("", plural)
        async for event in self.api.store.watch(resource.id, self.api.store.revision):
            for worker in list(self._workers.values()):
                mounted = (plural, event.key[1]) in worker.volumes.references()
                if worker.key[0] == event.key[0] and mounted:
                    try:
                        worker.volumes.write()
                    except MountError:
                        pass  # what it mounts is gone: its files stay as they are
                    except OSError:  # a disk in trouble
                        log.exception("Pod %s/%s: volumes", *worker.key)

    # -- writing to the API -------------------------------------------------------------

    def set_status(self, key: tuple[str, str], uid: str, change: Callable[[Object], None]) -> None:
        """Change the status of a Pod, if it still is the same one."""
        if self.api.get(self._pods, *key)["metadata"]["uid"] == uid:
            self.api.mutate(self._pods, *key, change, "status", "kubelet")

    def event(self, pod: Object, kind: str, reason: str, message: str) -> None:
        """Record an Event about a Pod."""
        namespace, name = _key(pod)
        body = {
            "metadata": {"generateName": f"{name}."},
            "type": kind,
            "reason": reason,
            "message": message,
            "count": 1,
            "firstTimestamp": now(),
            "lastTimestamp": now(),
            "source": {"component": "kubelet", "host": NODE},
            "involvedObject": {
                "apiVersion": "v1",
                "kind": "Pod",
                "name": name,
                "namespace": namespace,
                "uid": pod["metadata"]["uid"],
            },
        }
        with contextlib.suppress(ApiError):
            events = self.api.resource("", "events")
            self.api.create(events, "v1", namespace, body, Options("kubelet", "Ignore"))

    def _register(self) -> None:
        nodes = self.api.resource("", "nodes")
        if self.api.find("", "nodes", "", NODE) is None:
            self.api.create(nodes, "v1", "", {"metadata": {"name": NODE}}, Options("kubelet"))

        def change(node: Object) -> None:
            node["status"] = {
                "addresses": [{"type": "InternalIP", "address": self.address}],
                "conditions": [
                    {
                        "type": "Ready",
                        "status": "True",
                        "reason": "KubeletReady",
                        "message": "processes can be started",
                        "lastTransitionTime": now(),
                    }
                ],
                "nodeInfo": _node_info(),
            }

        self.api.mutate(nodes, "", NODE, change, "status", "kubelet")


def _node_info() -> Object:
    system = platform.uname()
    return {
        "architecture": system.machine,
        "bootID": "",
        "containerRuntimeVersion": "process://1",
        "kernelVersion": system.release,
        "kubeProxyVersion": "",
        "kubeletVersion": VERSION["gitVersion"],
        "machineID": "",
        "operatingSystem": "linux",
        "osImage": system.system,
        "systemUUID": "",
    }


def _key(obj: Object) -> tuple[str, str]:
    return (obj["metadata"]["namespace"], obj["metadata"]["name"])
