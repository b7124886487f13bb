"""Docker's engine: found, or started where none runs and we may.

A machine that lacks CAP_SYS_RESOURCE (a container of its own, as a rule) cannot start privileged
containers; an engine that is started here gets the runtime that works around it
(`oci_runtime.py`). An engine that runs already is used as it is.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from kind import FOLDER, KindError, cache
from kind.images.tools import run, step
from kind.oci_runtime import held

OLDEST = (20, 10)
START_SECONDS = 30
_MISSING = "CAP_SYS_RESOURCE"


def restricted() -> bool:
    """Whether this machine lacks the capability."""
    return Path("/proc/self/status").exists() and _MISSING not in held()


def version() -> str:
    """The running engine's version; raises KindError when none answers."""
    if shutil.which("docker") is None:
        raise KindError(
            "Docker is not installed, and Kind runs its nodes in it: install Docker 20.10 or newer"
        )
    try:
        return run(["docker", "version", "--format", "{{.Server.Version}}"]).strip()
    except KindError as error:
        said = str(error).strip().splitlines()[-1]
        why = "start it, or make sure that you may use it (group docker)"
        raise KindError(f"no Docker engine answers ({said}): {why}") from error


def check() -> None:
    """Raises KindError, one line, when Docker is absent, too old, or not to be used by us."""
    found = version()
    numbers = tuple(int(part) for part in found.split("-")[0].split("+")[0].split(".")[:2])
    if numbers < OLDEST:
        raise KindError(f"Docker {found} is too old for Kind: 20.10 or newer is needed")


def ensure() -> None:
    """An engine: the running one, or one that is started here."""
    with contextlib.suppress(KindError):
        check()
        return
    if os.geteuid() != 0:
        check()
    daemon = shutil.which("dockerd") or shutil.which("dockerd", path="/usr/sbin:/usr/bin")
    if daemon is None:
        raise KindError("no Docker engine runs, and none is installed: `apt install docker.io`")
    with step("start Docker's engine"):
        _start(daemon)


def _start(daemon: str) -> None:
    command = [daemon]
    cache().mkdir(parents=True, exist_ok=True)
    if restricted():
        runtime = cache() / "oci-runtime"  # the engine outlives this folder, maybe
        shutil.copy2(FOLDER / "oci_runtime.py", runtime)
        runtime.chmod(0o755)
        command += ["--add-runtime", f"restricted={runtime}", "--default-runtime", "restricted"]
    log = cache() / "dockerd.log"
    with log.open("w") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=out, stdin=subprocess.DEVNULL, start_new_session=True
        )
    (cache() / "dockerd.pid").write_text(str(process.pid))
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(KindError):
            check()
            return
        if process.poll() is not None:
            break
        time.sleep(0.2)
    last = "\n".join(log.read_text().splitlines()[-5:])
    raise KindError(f"Docker's engine did not start; its log, {log}, ends with:\n{last}")


def stop() -> None:
    """End the engine that was started here, and nothing else."""
    path = cache() / "dockerd.pid"
    if not path.exists():
        return
    with contextlib.suppress(OSError, ValueError):
        number = int(path.read_text())
        if b"dockerd" in Path(f"/proc/{number}/cmdline").read_bytes():
            os.kill(number, signal.SIGTERM)
            deadline = time.monotonic() + START_SECONDS
            while Path(f"/proc/{number}").exists() and time.monotonic() < deadline:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(number, os.WNOHANG)
                time.sleep(0.1)
    path.unlink(missing_ok=True)
