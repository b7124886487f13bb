"""Starts the cluster's processes, quickly and so that none outlives the cluster.

A single-threaded process imports what the stand-ins share once and forks for each
container, as Android's zygote does: a fork is ready in milliseconds and shares its
memory, where a fresh interpreter would need half a second and 40 MB. Real programs
(Envoy, `--image NAME=COMMAND`) are forked and exec'd by the same process.

Every container is a session of its own and dies with the zygote (PR_SET_PDEATHSIG); the
zygote kills them all when the cluster's end of the socket closes, whatever the cause.

Messages are JSON on a SOCK_SEQPACKET socket pair:
to it `{"id", "argv", "module", "env", "cwd", "log"}`, from it `{"id", "pid"}` and
`{"exited", "code"}`.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import importlib
import json
import os
import random
import select
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

_PR_SET_PDEATHSIG = 1
_MESSAGE_BYTES = 1 << 20
_SEND_AGAIN_SECONDS = 0.005
# What most stand-ins import; loading it before the fork is what makes them cheap.
PRELOAD = (
    "embedded.images.kuadrant.authorino",
    "embedded.images.openshift.envoy_gateway",
    "embedded.images.kserve.llmisvc_controller",
    "embedded.images.kuadrant.kuadrant_operator",
    "embedded.images.kuadrant.limitador",
    "embedded.images.simulators.llmd_sim",
    "embedded.images.maas.maas_api",
    "embedded.images.openshift.opendatahub_operator",
    "embedded.images.simulators.provider_sim",
    "embedded.images.vsr.semantic_router",
    "embedded.images.kuadrant.wasm_shim",
    "embedded.images.wg_ai_gateway.envoy_controller",
    "aiohttp",
    # What httpx would import with its first client, which took each of them an eighth of a second.
    "httpcore",
    "httpcore._backends.anyio",
    "anyio._backends._asyncio",
    "anyio.streams.tls",
    "uvicorn.loops.asyncio",
    "uvicorn.protocols.http.httptools_impl",
    "uvicorn.protocols.http.auto",
    "uvicorn.protocols.websockets.auto",
    "uvicorn.lifespan.off",
)


@dataclass(frozen=True)
class Process:
    """What to run: a stand-in's `module` (its `main(argv)`), or a program on PATH."""

    argv: list[str]
    env: dict[str, str]
    cwd: Path
    log: Path
    module: str = ""


@dataclass
class Running:
    """A started process; `exit_code` completes when it is gone (negative: a signal)."""

    pid: int
    exit_code: asyncio.Future[int] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    def ended(self, code: int) -> None:
        """The process is gone; whoever waits for its exit code hears of it."""
        if not self.exit_code.done():
            self.exit_code.set_result(code)

    def signal(self, number: int) -> None:
        """Send a signal to the process and all its children."""
        if self.exit_code.done():
            return
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:  # so young that it has no session of its own yet
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


class Zygote:
    """The cluster's end: asks for processes and hears of their ends."""

    def __init__(self, sock: socket.socket, pid: int) -> None:
        self._sock, self.pid = sock, pid
        self._waiting: dict[int, asyncio.Future[Running]] = {}
        self._running: dict[int, Running] = {}
        self._next = 0
        self._on_gone: Callable[[], None] = lambda: None

    @classmethod
    def fork(cls, without: Sequence[socket.socket] = ()) -> Zygote:
        """Fork it; call this before any thread or event loop exists. It has all that is open here
        but for the sockets `without`."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        pid = os.fork()
        if pid == 0:
            for one in (ours, *without):
                one.close()
            try:
                _serve(theirs)
            finally:
                os._exit(0)
        theirs.close()
        ours.setblocking(False)
        return cls(ours, pid)

    def attach(self, on_gone: Callable[[], None]) -> None:
        """Start listening, in the running event loop; `on_gone` when the zygote has died."""
        self._on_gone = on_gone
        asyncio.get_running_loop().add_reader(self._sock, self._heard)

    async def start(self, process: Process) -> Running:
        """Start a process; raises OSError if the zygote is gone.

        Whoever is cancelled here leaves no process behind: what starts after all is killed.
        """
        self._next += 1
        message = {
            "id": self._next,
            "argv": process.argv,
            "module": process.module,
            "env": process.env,
            "cwd": str(process.cwd),
            "log": str(process.log),
        }
        answer: asyncio.Future[Running] = asyncio.get_running_loop().create_future()
        self._waiting[self._next] = answer
        await self._send(json.dumps(message).encode())
        try:
            return await answer
        except asyncio.CancelledError:
            if answer.done() and not answer.cancelled():
                answer.result().signal(signal.SIGKILL)
            raise

    async def _send(self, raw: bytes) -> None:
        """Send one message, once the socket has room for it."""
        while True:
            try:
                self._sock.send(raw)
            except BlockingIOError:
                await asyncio.sleep(_SEND_AGAIN_SECONDS)
            else:
                return

    def _heard(self) -> None:
        while True:
            try:
                raw = self._sock.recv(_MESSAGE_BYTES)
            except BlockingIOError:
                return
            if not raw:
                asyncio.get_running_loop().remove_reader(self._sock)
                for running in self._running.values():  # its children died with it
                    running.ended(-signal.SIGKILL)
                self._running.clear()
                self._on_gone()
                return
            message = json.loads(raw)
            if "exited" in message:
                self._running.pop(message["exited"]).ended(message["code"])
            else:
                # Known before `start` returns: a quick process has ended by then.
                running = self._running[message["pid"]] = Running(message["pid"])
                answer = self._waiting.pop(message["id"])
                if answer.cancelled():  # deleted while it was being started
                    running.signal(signal.SIGKILL)
                else:
                    answer.set_result(running)

    def close(self) -> None:
        """Kill every process and wait until the zygote is gone."""
        self._sock.close()
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)


def die_with_parent() -> None:
    """Ask the kernel for SIGKILL when the parent ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _serve(sock: socket.socket) -> None:
    os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    for module in PRELOAD:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()
    children: set[int] = set()
    while True:
        sources: list[Any] = [sock, wake_read]
        ready, _, _ = select.select(sources, [], [])
        if wake_read in ready:
            os.read(wake_read, 4096)
        if sock in ready:
            raw = sock.recv(_MESSAGE_BYTES)
            if not raw:
                break
            message = json.loads(raw)
            pid = os.fork()
            if pid == 0:
                sock.close()
                _become(message)
            children.add(pid)
            sock.send(json.dumps({"id": message["id"], "pid": pid}).encode())
        for pid, code in _reap(children):
            children.discard(pid)
            with contextlib.suppress(OSError):
                sock.send(json.dumps({"exited": pid, "code": code}).encode())
    for pid in children:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
    for pid in children:  # whoever waits for this process waits for all
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)


def _reap(children: set[int]) -> list[tuple[int, int]]:
    gone = []
    while children:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            break
        if pid == 0:
            break
        gone.append((pid, os.waitstatus_to_exitcode(status)))
    return gone


def execute(argv: list[str], env: dict[str, str]) -> None:
    """Become another program; raises OSError if there is none."""
    os.closerange(3, 256)
    os.execvpe(argv[0], argv, env)


def _become(message: dict[str, str]) -> NoReturn:
    """Turn the forked child into the container's process; never returns."""
    end_with(lambda: _contain(message))


def _contain(message: dict[str, str]) -> None:
    os.setsid()
    die_with_parent()
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    log = os.open(message["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.chdir(message["cwd"])
    argv: list[str] = list(message["argv"])
    env: dict[str, str] = dict(message["env"])  # type: ignore[arg-type]
    if not message["module"]:
        execute(argv, env)
    os.environ.clear()
    os.environ.update(env)
    random.seed()
    sys.argv = argv
    importlib.import_module(message["module"]).main(argv[1:])


def end_with(main: Callable[[], None]) -> NoReturn:
    """Run what a forked process is for, and end it as an interpreter would: with its exit code, and
    what it raised on standard error."""
    code = 1
    try:
        main()
        code = 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
        if isinstance(stop.code, str):
            print(stop.code, file=sys.stderr)
    except KeyboardInterrupt:
        code = 130
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
