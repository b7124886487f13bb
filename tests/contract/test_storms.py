"""What comes and goes at once: no process is left over, and the cluster lives on."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client, config

from embedded.running import lifecycle
from embedded.running.state import State, alive

SLEEPER = {
    "name": "c",
    "image": "python:3",
    "command": ["python", "-c", "import time; time.sleep(1000)"],
}


@pytest.fixture(scope="module")
def state() -> Iterator[State]:
    """A cluster of these tests' own, with nothing deployed."""
    found = State(f"storms-{os.getpid()}")
    process = lifecycle.up(found, [], None, lifeline=True)
    yield found
    lifecycle.down(found)
    process.wait()


def sleepers(state: State) -> list[int]:
    """The processes of the tests' containers."""
    mark, found = str(state.folder).encode(), []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words, env = (entry / "cmdline").read_bytes(), (entry / "environ").read_bytes()
            except OSError:
                continue
            ours = b"time.sleep(1000)" in words and mark in words + env
            if ours and alive(int(entry.name)):
                found.append(int(entry.name))
    return found


def at_once(threads: int, work: Callable[[int, Any], None], state: State) -> None:
    """Run `work(number, ApiClient)` in so many threads; the first error of any fails the test."""
    problems: list[BaseException] = []

    def run(number: int) -> None:
        try:
            with config.new_client_from_config(str(state.kubeconfig)) as api:
                work(number, api)
        except BaseException as error:
            problems.append(error)

    running = [threading.Thread(target=run, args=(number,)) for number in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    if problems:
        raise problems[0]


def until_none(what: str, observe: Callable[[], list[Any]], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while left := observe():
        assert time.monotonic() < deadline, f"{what} left: {left[:5]} and {len(left)} in all"
        time.sleep(0.2)


def test_pods_that_are_deleted_while_they_start(state: State) -> None:
    """Six threads, 60 Pods each, deleted at once."""

    def work(number: int, api: Any) -> None:
        core = client.CoreV1Api(api)
        for index in range(60):
            name = f"b{number}-{index}"
            pod = {"metadata": {"name": name}, "spec": {"containers": [SLEEPER]}}
            core.create_namespaced_pod("default", pod)
            gone = core.delete_namespaced_pod(name, "default", grace_period_seconds=0)
            assert (gone.kind, gone.metadata.name) == ("Pod", name)

    at_once(6, work, state)
    until_none("processes", lambda: sleepers(state))


def test_namespaces_that_are_deleted_while_they_fill(state: State) -> None:
    """Four threads, six Namespaces each with four Deployments of five replicas."""

    def work(number: int, api: Any) -> None:
        core, apps = client.CoreV1Api(api), client.AppsV1Api(api)
        for index in range(6):
            namespace = f"r{number}-{index}"
            core.create_namespace({"metadata": {"name": namespace}})
            for one in range(4):
                labels = {"app": f"d{one}"}
                template = {"metadata": {"labels": labels}, "spec": {"containers": [SLEEPER]}}
                spec = {"replicas": 5, "selector": {"matchLabels": labels}, "template": template}
                body = {"metadata": {"name": f"d{one}"}, "spec": spec}
                apps.create_namespaced_deployment(namespace, body)
            core.delete_namespace(namespace, grace_period_seconds=0)

    at_once(4, work, state)
    with config.new_client_from_config(str(state.kubeconfig)) as api:
        core = client.CoreV1Api(api)
        until_none("namespaces", lambda: [
            n.metadata.name for n in core.list_namespace().items if n.metadata.name[0] == "r"
            and n.metadata.name[1].isdigit()
        ])  # fmt: skip
    until_none("processes", lambda: sleepers(state))


def test_pods_still_run_afterwards(state: State) -> None:
    """The node has not had enough of it."""
    with config.new_client_from_config(str(state.kubeconfig)) as api:
        core = client.CoreV1Api(api)
        pod = {"metadata": {"name": "after"}, "spec": {"containers": [SLEEPER]}}
        created = core.create_namespaced_pod("default", pod)
        assert created.status.phase == "Pending"  # from the first moment, as the real one says
        until_none("waiting", lambda: [
            p.status.phase for p in [core.read_namespaced_pod("after", "default")]
            if p.status.phase != "Running"
        ], 20)  # fmt: skip
        assert len(sleepers(state)) == 1
