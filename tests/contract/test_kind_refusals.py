"""`--cluster=kind` where Kind cannot run: one line that says what to do, at once."""

import os
import resource
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
CPU_SECONDS = 3.0  # under two by the clock, on a machine that does nothing else


def cpu_of_children() -> float:
    """Seconds of processor time of the processes that ended: what waits for others is not ours."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def refused(tmp_path: Path, env: dict[str, str], *more: str) -> str:
    """The one line of a run that could not begin."""
    began = cpu_of_children()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--cluster=kind", "suites/mixed_providers",
         f"--reports={tmp_path}-reports", *more],
        cwd=ROOT, env={**os.environ, "XDG_CACHE_HOME": str(tmp_path), **env}, text=True,
        capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 4, done.stdout + done.stderr
    assert cpu_of_children() - began < CPU_SECONDS
    (line,) = [one for one in (done.stdout + done.stderr).splitlines() if one]
    assert line.startswith("ERROR: --cluster=kind: ")
    assert "--cluster=embedded" in line
    assert list(tmp_path.iterdir()) == [], "something was left behind"
    return line


def test_no_docker(tmp_path: Path) -> None:
    line = refused(tmp_path, {"PATH": "/nonexistent"})
    assert "Docker is not installed" in line


def docker_that(tmp_path: Path, script: str) -> dict[str, str]:
    """A PATH on which `docker` is this script."""
    folder = tmp_path.parent / f"{tmp_path.name}-bin"
    folder.mkdir()
    (folder / "docker").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "docker").chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


def test_no_engine(tmp_path: Path) -> None:
    said = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock."
    line = refused(tmp_path, docker_that(tmp_path, f"echo '{said}' >&2; exit 1"))
    assert said in line
    assert "start it" in line


def test_old_engine(tmp_path: Path) -> None:
    line = refused(tmp_path, docker_that(tmp_path, "echo 19.03.1"))
    assert "Docker 19.03.1 is too old for Kind: 20.10 or newer is needed" in line


def test_no_rights(tmp_path: Path) -> None:
    script = "echo 'permission denied while trying to connect' >&2; exit 1"
    line = refused(tmp_path, docker_that(tmp_path, script))
    assert "permission denied" in line
    assert "group docker" in line


def test_no_images(tmp_path: Path) -> None:
    line = refused(tmp_path, docker_that(tmp_path, "echo 27.0.1"))
    assert "run `make kind-images` first" in line


def test_no_go(tmp_path: Path) -> None:
    """Upstream's images need no build, and their charts come in Go modules."""
    env = docker_that(tmp_path, "echo 27.0.1")
    env["PATH"] = env["PATH"].partition(":")[0]
    line = refused(tmp_path, env, "--images=registry")
    assert "go is not installed" in line
