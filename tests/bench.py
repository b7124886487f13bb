"""The figures of a cluster: `make bench`, `make bench CLUSTER=kind`.

Of the embedded one start-up in seconds until everything is Ready and the memory of all its
processes in MB (PSS); of Kind the seconds until it is created, until everything is Ready, and until
it is again when the cluster was kept. Of both what two gateways add to a request, in milliseconds
(p50 of sequential requests on open connections, compared with the same request straight at the
provider).
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from embedded.running import lifecycle, ready
from embedded.running.state import State
from fixtures.clusters import Access, ClusterError, Wanted, cluster
from fixtures.kube import Kube
from fixtures.plugin import deploy
from fixtures.stack import TIER_PREFIX, Stack
from manifests import FOLDER, render
from suites.mixed_providers.providers import ALL, VLLM

RUNS, REQUESTS = 3, 300
EVERYTHING = FOLDER / "conformance"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench")
    parser.add_argument("--cluster", choices=["embedded", "kind"], default="embedded")
    try:
        {"embedded": embedded, "kind": kind}[parser.parse_args().cluster]()
    except ClusterError as error:
        sys.exit(f"bench: {error}")


def embedded() -> None:
    state = State(f"bench-{os.getpid()}")
    seconds = []
    for run in range(RUNS):
        began = time.monotonic()
        process = lifecycle.up(state, [], EVERYTHING, lifeline=True)
        ready.wait(state, lifecycle.START_SECONDS)
        seconds.append(time.monotonic() - began)
        if run < RUNS - 1:
            lifecycle.down(state)
            process.wait()
    try:
        print(f"start-up    {min(seconds):5.2f} s   (of {RUNS}; aim 3, at most 8)")
        print(f"memory      {memory(state):5.0f} MB  (PSS of all processes; aim 500, at most 1024)")
        latency(Access(state.kubeconfig, state.ca, shifted_ports=True), "at most 8")
    finally:
        lifecycle.down(state)
        process.wait()


def kind() -> None:
    """A cluster of its own, made, filled, and used again as a kept one is."""
    said: list[str] = []
    wanted = Wanted(name=f"bench-{os.getpid()}", deploys=tuple(render(EVERYTHING)), say=said.append)
    began = time.monotonic()
    with cluster("kind", wanted) as access:
        deploy(Kube(access.kubeconfig), EVERYTHING)
        installed = time.monotonic() - began
        began = time.monotonic()
        cluster("kind", wanted).__enter__()  # it ends with the first
        deploy(Kube(access.kubeconfig), EVERYTHING)
        kept = time.monotonic() - began
        print(f"{said[0]}  (aim 60 s)")
        print(f"everything installed and Ready  {installed:5.1f} s  (aim 240)")
        print(f"kept, until it is so again      {kept:5.1f} s  (aim 20)")
        latency(access, "Istio's gateway and the wg-ai-gateway's")


def memory(state: State) -> float:
    """MB of proportional set size of the cluster's process tree."""
    info = state.info()
    assert info is not None
    total, pending = 0, [info.pid]
    while pending:
        pid = pending.pop()
        tasks = Path(f"/proc/{pid}/task").glob("*/children")
        pending += [int(child) for task in tasks for child in task.read_text().split()]
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        total += next(int(line.split()[1]) for line in rollup.splitlines() if line[:4] == "Pss:")
    return total / 1024


def latency(access: Access, remark: str) -> None:
    through, straight = latencies(access)
    both = f"p50 of {REQUESTS}: {through:.2f} through both, {straight:.2f} straight"
    print(f"two gateways {through - straight:4.2f} ms  ({both}; {remark})")


def latencies(access: Access) -> tuple[float, float]:
    """p50 in ms: (through both gateways, straight at the provider)."""
    kube = Kube(access.kubeconfig)
    stack = Stack(kube, access, ALL)
    stack.wait_in_effect()
    # An enterprise user has 50 requests in two minutes: as many users as it takes.
    users = [stack.account_token(f"{TIER_PREFIX}enterprise") for _ in range(REQUESTS // 50)]
    tokens = itertools.cycle({"authorization": f"Bearer {u.token.reveal()}"} for u in users)
    pods = kube.all("v1", "Pod", "external-models")
    (vllm,) = [p for p in pods if p["metadata"]["labels"]["app"] == "vllm-server"]
    address = vllm["status"]["podIP"]
    key = {"authorization": f"Bearer {VLLM.key.reveal()}"}
    with httpx.Client(trust_env=False, proxy=access.entry or None) as direct:
        # /v1/models: the same way and the same policies, and it uses up no budget.
        through = p50(lambda: stack.https.get(f"{VLLM.path}/v1/models", headers=next(tokens)))
        straight = p50(lambda: direct.get(f"http://{address}:8000/v1/models", headers=key))
    stack.close()
    return through, straight


def p50(request: Callable[[], httpx.Response]) -> float:
    times = []
    for _ in range(REQUESTS):
        began = time.perf_counter()
        answer = request()
        times.append((time.perf_counter() - began) * 1000)
        if answer.status_code != 200:
            sys.exit(f"a request was answered {answer.status_code}: {answer.text[:200]}")
    return statistics.median(times)


if __name__ == "__main__":
    main()
