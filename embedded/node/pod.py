"""One Pod's life on the node: volumes, containers, probes, restarts, status, end.

Upstream: `k8s.io/kubernetes/pkg/kubelet`. Containers of a Pod share its address. Left
out: ephemeral containers, lifecycle hooks, resource limits, security contexts.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import aiohttp

from embedded.apiserver.api import Api, now
from embedded.apiserver.status import ApiError
from embedded.images import Catalogue, ImageError
from embedded.node.container import process
from embedded.node.probes import EAGER_SECONDS, probe
from embedded.node.volumes import MountError, Volumes
from embedded.running.zygote import Running, Zygote

if TYPE_CHECKING:
    from embedded.apiserver.authn import Tokens

Object = dict[str, Any]
BACK_OFF_FIRST, BACK_OFF_MOST = 1.0, 30.0
RETRY_SECONDS = 0.1
log = logging.getLogger("embedded.node")


class Node(Protocol):
    """What a Pod wants of the node that runs it."""

    api: Api
    tokens: Tokens
    zygote: Zygote
    catalogue: Catalogue
    client: aiohttp.ClientSession
    folder: Path
    environment: dict[str, str]
    address: str

    def set_status(
        self, key: tuple[str, str], uid: str, change: Callable[[Object], None]
    ) -> None: ...

    def event(self, pod: Object, kind: str, reason: str, message: str) -> None: ...


@dataclass
class Container:
    """What the node knows of one container."""

    spec: Object
    state: Object = field(default_factory=lambda: {"waiting": {"reason": "ContainerCreating"}})
    last: Object = field(default_factory=dict)
    ready: bool = False
    started: bool = False
    restarts: int = 0
    running: Running | None = None

    @property
    def name(self) -> str:
        return str(self.spec["name"])


class PodWorker:
    """Runs one Pod until it is deleted."""

    def __init__(self, node: Node, pod: Object, address: str) -> None:
        self._node, self._address = node, address
        self.pod: Object = {**pod, "status": {**pod.get("status", {}), "podIP": address}}
        metadata = pod["metadata"]
        self.key = (metadata["namespace"], metadata["name"])
        self.folder: Path = node.folder / metadata["uid"]
        self.volumes = Volumes(node.api, node.tokens, self.pod, self.folder / "volumes")
        self.containers = [Container(c) for c in pod["spec"]["containers"]]
        self._init = [Container(c) for c in pod["spec"].get("initContainers", [])]
        self._started = now()
        self._stopping = False
        self._tasks: list[asyncio.Task[None]] = []

    def log_file(self, container: str, previous: bool) -> Path:
        return self.folder / f"{container}{'.previous' if previous else ''}.log"

    def log_files(self) -> list[Path]:
        """Those that are being written."""
        return [self.log_file(one.name, False) for one in [*self._init, *self.containers]]

    # -- life ---------------------------------------------------------------------------

    async def run(self) -> None:
        """Start everything; returns when the containers have ended for good."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._report("Pending")
        await self._mount()
        for container in self._init:
            code = await self._run_once(container)
            while code != 0 and not self._stopping:
                self._wait(container, "CrashLoopBackOff", self._back_off(container, BACK_OFF_FIRST))
                await asyncio.sleep(BACK_OFF_FIRST)
                container.restarts += 1
                code = await self._run_once(container)
        async with asyncio.TaskGroup() as tasks:
            self._tasks = [tasks.create_task(self._keep(c)) for c in self.containers]
        codes = [c.last.get("terminated", {}).get("exitCode", 0) for c in self.containers]
        self._report("Failed" if any(codes) else "Succeeded")

    async def stop(self, grace: float) -> None:
        """SIGTERM, then SIGKILL after `grace` seconds."""
        self._stopping = True
        for container in [*self.containers, *self._init]:
            if container.running:
                container.running.signal(signal.SIGTERM if grace else signal.SIGKILL)
        running = [c.running for c in [*self.containers, *self._init] if c.running]
        if running:
            _, left = await asyncio.wait([r.exit_code for r in running], timeout=grace or None)
            for process in running if left else []:
                process.signal(signal.SIGKILL)
            if left:
                await asyncio.wait(left)
        for task in self._tasks:
            task.cancel()

    def discard(self) -> None:
        """Remove the Pod's files."""
        shutil.rmtree(self.folder, ignore_errors=True)

    async def _mount(self) -> None:
        told = ""
        while True:
            try:
                self.volumes.write()
            except MountError as error:
                if str(error) != told:
                    told = str(error)
                    self._node.event(self.pod, "Warning", "FailedMount", told)
                await asyncio.sleep(RETRY_SECONDS)
            else:
                return

    async def _keep(self, container: Container) -> None:
        """Run a container, again and again as the restart policy says."""
        delay = BACK_OFF_FIRST
        policy = self.pod["spec"].get("restartPolicy", "Always")
        while True:
            began = asyncio.get_running_loop().time()
            code = await self._run_once(container)
            if self._stopping or policy == "Never" or (policy == "OnFailure" and code == 0):
                return
            if asyncio.get_running_loop().time() - began > 60:
                delay = BACK_OFF_FIRST
            self._wait(container, "CrashLoopBackOff", self._back_off(container, delay))
            await asyncio.sleep(delay)
            delay = min(delay * 2, BACK_OFF_MOST)
            container.restarts += 1
            written = self.log_file(container.name, False)
            if written.exists():
                written.rename(self.log_file(container.name, True))

    def _back_off(self, container: Container, delay: float) -> str:
        pod = f"pod={self.key[1]}_{self.key[0]}"
        return f"back-off {delay:.0f}s restarting failed container={container.name} {pod}"

    async def _run_once(self, container: Container) -> int:
        running = await self._start(container)
        try:
            return await self._until_ended(container, running)
        except BaseException:  # cancelled, or a part of it failed: no process is left alone
            running.signal(signal.SIGKILL)
            raise

    async def _until_ended(self, container: Container, running: Running) -> int:
        container.running = running
        if self._stopping:  # it was being started when the Pod was stopped
            running.signal(signal.SIGKILL)
        container.state = {"running": {"startedAt": now()}}
        spec = container.spec
        container.ready = "readinessProbe" not in spec
        container.started = "startupProbe" not in spec
        self._report()
        probing = asyncio.create_task(self._probe(container))
        try:
            # Shielded: cancelling who waits does not make the process unheard of.
            code = await asyncio.shield(running.exit_code)
        finally:
            probing.cancel()
        await asyncio.wait([probing])
        if not probing.cancelled() and (problem := probing.exception()):
            log.error("probing %s of Pod %s/%s", container.name, *self.key, exc_info=problem)
        container.running, container.ready = None, False
        terminated: Object = {
            "exitCode": code if code >= 0 else 128 - code,
            "reason": "Completed" if code == 0 else "Error",
            "startedAt": container.state["running"]["startedAt"],
            "finishedAt": now(),
        }
        container.last = {"terminated": terminated}
        container.state = {"terminated": terminated}
        self._report()
        return code

    async def _start(self, container: Container) -> Running:
        node = self._node
        while True:
            try:
                wanted = process(
                    node.api,
                    node.catalogue,
                    self.pod,
                    container.spec,
                    self.volumes,
                    self.folder / "rootfs" / container.name,
                    self.log_file(container.name, False),
                    node.environment,
                )
                return await node.zygote.start(wanted)
            except ImageError as error:
                self._wait(container, "ErrImagePull", str(error))
                node.event(self.pod, "Warning", "Failed", str(error))
                await asyncio.sleep(1)
                self._wait(container, "ImagePullBackOff", str(error))
                await asyncio.Event().wait()
            except MountError as error:
                self._wait(container, "CreateContainerConfigError", str(error))
                await asyncio.sleep(RETRY_SECONDS)

    # -- probes -------------------------------------------------------------------------

    async def _probe(self, container: Container) -> None:
        spec = container.spec
        if startup := spec.get("startupProbe"):
            await self._until_success(container, startup)
            container.started = True
        async with asyncio.TaskGroup() as tasks:
            if readiness := spec.get("readinessProbe"):
                tasks.create_task(self._readiness(container, readiness))
            if liveness := spec.get("livenessProbe"):
                tasks.create_task(self._liveness(container, liveness))

    async def _ask(self, container: Container, spec: Object) -> str:
        ports = {
            p["name"]: p["containerPort"] for p in container.spec.get("ports", []) if "name" in p
        }
        return await probe(self._node.client, spec, self._address, ports)

    async def _until_success(self, container: Container, spec: Object) -> None:
        while await self._ask(container, spec):
            await asyncio.sleep(EAGER_SECONDS)

    async def _readiness(self, container: Container, spec: Object) -> None:
        await self._until_success(container, spec)
        failures = 0
        while True:
            if not failures and not container.ready:
                container.ready = True
                self._report()
            await asyncio.sleep(spec["periodSeconds"])
            why = await self._ask(container, spec)
            failures = failures + 1 if why else 0
            if failures >= spec["failureThreshold"] and container.ready:
                container.ready = False
                self._node.event(self.pod, "Warning", "Unhealthy", f"Readiness probe failed: {why}")
                self._report()

    async def _liveness(self, container: Container, spec: Object) -> None:
        await self._until_success(container, spec)
        failures = 0
        while failures < spec["failureThreshold"]:
            await asyncio.sleep(spec["periodSeconds"])
            why = await self._ask(container, spec)
            failures = failures + 1 if why else 0
        self._node.event(self.pod, "Warning", "Unhealthy", f"Liveness probe failed: {why}")
        if container.running:
            container.running.signal(signal.SIGKILL)

    # -- status -------------------------------------------------------------------------

    def _wait(self, container: Container, reason: str, message: str) -> None:
        container.state = {"waiting": {"reason": reason, "message": message}}
        self._report()

    def _report(self, phase: str = "") -> None:
        started = any(c.running or c.last for c in self.containers)
        phase = phase or ("Running" if started else "Pending")
        ready = phase == "Running" and all(c.ready for c in self.containers)
        stamp = now()
        conditions = [
            ("PodScheduled", True),
            ("Initialized", started or not self._init),
            ("ContainersReady", ready),
            ("Ready", ready),
        ]

        def change(pod: Object) -> None:
            before = {c["type"]: c for c in pod.get("status", {}).get("conditions", [])}
            pod["status"] = {
                "phase": phase,
                "hostIP": self._node.address,
                "podIP": self._address,
                "podIPs": [{"ip": self._address}],
                "startTime": self._started,
                "qosClass": "BestEffort",
                "conditions": [
                    {"type": kind, "status": str(holds), "lastTransitionTime": stamp}
                    if before.get(kind, {}).get("status") != str(holds)
                    else before[kind]
                    for kind, holds in conditions
                ],
                "containerStatuses": [_container_status(c) for c in self.containers],
            }
            if self._init:
                statuses = [_container_status(c, init=True) for c in self._init]
                pod["status"]["initContainerStatuses"] = statuses

        with contextlib.suppress(ApiError):  # deleted meanwhile
            self._node.set_status(self.key, self.pod["metadata"]["uid"], change)


def _container_status(container: Container, init: bool = False) -> Object:
    """An init container is ready once it has ended well, as a kubelet has it."""
    done = init and container.state.get("terminated", {}).get("exitCode") == 0
    found: Object = {
        "name": container.name,
        "image": container.spec["image"],
        "imageID": container.spec["image"],
        "ready": container.ready or done,
        "started": container.started and container.running is not None,
        "restartCount": container.restarts,
        "state": container.state,
        "lastState": container.last if container.restarts else {},
    }
    if container.running:
        found["containerID"] = f"process://{container.running.pid}"
    return found
