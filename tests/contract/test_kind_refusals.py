"""`--cluster=kind` where Kind cannot run: one line that says what to do, at once."""

import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent.parent


class Ended(NamedTuple):
    code: int
    said: str
    cpu: float


# What every run must load before it can read its command line. A refusal may cost four times that,
# which is under two seconds by the clock where that takes half a second; machines differ, and a
# busy one takes more processor time for the same work, so the two are measured in turn.
LIBRARIES = (
    "import allure_pytest.plugin, httpx, kubernetes.client, pytest, pytest_kind.plugin, xdist, yaml"
)
TIMES = 4.0


def cpu(*command: str, env: dict[str, str] | None = None) -> Ended:
    """How the command ended, and the seconds of processor time that it and its children took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, cwd=ROOT, env=env, text=True, capture_output=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return Ended(done.returncode, done.stdout + done.stderr, used)


def refused(tmp_path: Path, env: dict[str, str], *more: str) -> str:
    """The one line of a run that could not begin."""
    done = cpu(
        sys.executable, "-m", "pytest", "--cluster=kind", "suites/mixed_providers",
        f"--reports={tmp_path}-reports", *more,
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path), **env},
    )  # fmt: skip
    assert done.code == 4, done.said
    loading = cpu(sys.executable, "-c", LIBRARIES)
    assert loading.code == 0, loading.said
    assert done.cpu < TIMES * loading.cpu
    (line,) = [one for one in done.said.splitlines() if one]
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
    line = refused(tmp_path, docker_that(tmp_path, "echo 27.0.1"), "--images=packages")
    assert "run `make kind-images` first" in line


def test_nothing_built_and_nothing_to_be_had(tmp_path: Path) -> None:
    """Then upstream's images are wanted, and nothing of Go: `kind` comes from its release."""
    env = docker_that(tmp_path, "echo 27.0.1")
    env["PATH"] = env["PATH"].partition(":")[0]
    env["KIND_DOWNLOAD_URL"] = "http://127.0.0.1:9/kind"
    line = refused(tmp_path, env)
    assert "kind could not be got from http://127.0.0.1:9/kind" in line
    assert "have kind on PATH" in line
