"""Runs of the suite as forks of one process that has imported what they need.

A run of pytest with an embedded cluster imports the same libraries three times, in the run's own
process, in the cluster's, and in that which its containers are forked from: a third of what a
mutant cost. Here `multiprocessing`'s fork server imports them once, each run is a fork of it, and
its cluster a fork of the run. All else is as users run it: pytest's own `main`, a cluster of the
run's own, its processes, reports and exit code.
"""

from __future__ import annotations

import gc
import json
import logging
import multiprocessing
import os
import random
import runpy
import signal
import sys
import threading
from pathlib import Path
from typing import IO, Any, NoReturn

import pytest
from _pytest.config import default_plugins

from embedded.running import daemon, lifecycle, zygote

# What pytest's plugins, the suite, its reports and the cluster import, and what pytest does not
# rewrite.
LIBRARIES = (
    *(f"_pytest.{name}" for name in default_plugins),
    "allure_pytest.plugin", "pytest_kind.plugin", "xdist.plugin",
    "h2.connection", "http.server", "httpx", "jinja2", "jsonpatch", "jsonschema", "jwt",
    "kubernetes.client", "kubernetes.dynamic", "rich.console", "tenacity", "yaml",
    "embedded.running.cluster", "tests.mutants.faults", "tests.mutants.warm",
)  # fmt: skip
TIMEOUT_SECONDS = 480


class Server:
    """The process that runs are forked from; it ends with this one."""

    def __init__(self, compiled: Path) -> None:
        self._compiled = compiled
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([*LIBRARIES, *zygote.PRELOAD])

    def run(self, root: Path, arguments: list[str], output: Path) -> tuple[int, str]:
        """Run pytest in a process of its own: (exit code, what it wrote); raises TimeoutError,
        with what it wrote, and leaves nothing of it running."""
        process = self._context.Process(
            target=_run, args=(root, arguments, output, self._compiled), daemon=False
        )
        process.start()
        try:
            process.join(TIMEOUT_SECONDS)
        finally:
            code = process.exitcode
            process.kill()  # its cluster ends with it
            process.join()
        if code is None:
            raise TimeoutError(f"no end after {TIMEOUT_SECONDS} s:\n{output.read_text()}")
        return code, output.read_text()


def _run(root: Path, arguments: list[str], output: Path, compiled: Path) -> NoReturn:
    """The forked process: a run as `python -m pytest` would have it."""
    gc.freeze()
    os.setsid()
    zygote.die_with_parent()
    os.chdir(root)
    _write_to(output)
    sys.argv = ["pytest", *arguments]
    # Compiled modules are kept for all runs of the session, whatever the environment says.
    sys.dont_write_bytecode, sys.pycache_prefix = False, str(compiled)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = str(compiled)
    lifecycle.launch, zygote.execute = _launch, _execute
    code = int(pytest.main(arguments))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _write_to(path: Path) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    for number in (1, 2):
        os.dup2(file, number)
    os.close(file)
    sys.stdout = open(1, "w", buffering=1, closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115


class Fork:
    """A forked process, as much of `subprocess.Popen` as a cluster's owner uses."""

    def __init__(self, pid: int, stdin: IO[bytes]) -> None:
        self.pid, self.stdin = pid, stdin
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self) -> int:
        """Wait for its end."""
        if self.returncode is None:
            self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.returncode

    def kill(self) -> None:
        """End it at once."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)


_interpreter, _program = lifecycle.launch, zygote.execute


def _execute(argv: list[str], env: dict[str, str]) -> None:
    """`zygote.execute`, but Python's programs, faults and the simulators of the demo, run in the
    fork itself."""
    words = [word for word in argv[1:] if word != "-u"]
    is_module = words[:1] == ["-m"]
    if argv[0] != sys.executable or not words or (words[0][0] == "-" and not is_module):
        _program(argv, env)
    os.environ.clear()
    os.environ.update(env)
    random.seed()
    sys.stdout.reconfigure(line_buffering=True)
    if is_module:
        sys.argv = words[1:]
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = words
        sys.path.insert(0, os.path.dirname(words[0]))
        runpy.run_path(words[0], run_name="__main__")


def _launch(config: dict[str, object], log: IO[bytes], lifeline: bool) -> Any:
    """`lifecycle.launch` by a fork, where no other thread may hold a lock."""
    if threading.active_count() > 1:
        return _interpreter(config, log, lifeline)
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        # What lies about unreachable here must not be collected there: a socket among it would
        # close a descriptor that is another's by then.
        gc.freeze()
        zygote.end_with(lambda: _cluster(json.dumps(config), read, log.fileno()))
    os.close(read)
    return Fork(pid, open(write, "wb", buffering=0))


def _cluster(config: str, lifeline: int, log: int) -> None:
    os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    for source, number in ((lifeline, 0), (log, 1), (log, 2)):
        os.dup2(source, number)
    # A server that configures logging would close pytest's when their descriptors are others'.
    logging.shutdown()
    logging.getLogger().handlers.clear()
    os.closerange(3, 4096)
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: SIM115
    daemon.main(config)
