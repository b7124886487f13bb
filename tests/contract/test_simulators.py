"""The demo with the document's own images, and what the node does when a container fails."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest

from embedded.images.simulators.provider_sim import _CONTENTS
from embedded.running import lifecycle, ready
from embedded.running.state import State
from fixtures.clusters import Access
from fixtures.kube import Kube
from fixtures.stack import Identity, Stack
from manifests import FOLDER
from suites.mixed_providers.providers import LOCAL, OPENAI
from tests.conftest import Cluster


@pytest.fixture(scope="module")
def base() -> Iterator[Stack]:
    """The base kustomization: provider-sim and llm-d-inference-sim."""
    state = State(f"base-{os.getpid()}")
    folder = FOLDER / "mixed-providers" / "base"
    process = lifecycle.up(state, [], folder, lifeline=True)
    try:
        ready.wait(state, lifecycle.START_SECONDS)
        access = Access(state.kubeconfig, state.ca, state.signing_key, True, frozenset())
        stack = Stack(Kube(state.kubeconfig), access, [])
        yield stack
        stack.close()
    finally:
        lifecycle.down(state)
        process.wait()


@pytest.fixture
def user(base: Stack) -> Identity:
    return base.free_user()


def test_openai_simulator_answers_as_documented(base: Stack, user: Identity) -> None:
    """A text of upstream's, the echoed model, usage within upstream's bounds that adds up."""
    body = base.chat(OPENAI, user).expect_status(200).json
    assert body["choices"][0]["message"]["content"] in _CONTENTS
    usage = body["usage"]
    assert usage["prompt_tokens"] + usage["completion_tokens"] == usage["total_tokens"]
    assert usage["prompt_tokens"] <= 5
    assert 5 <= usage["completion_tokens"] <= 24
    echoed = base.chat(OPENAI, user, model="another").expect_status(200).json
    assert echoed["model"] == "another"


@pytest.mark.parametrize(("key", "code"), [("", "missing_api_key"), ("wrong", "invalid_api_key")])
def test_openai_simulator_checks_its_key(base: Stack, key: str, code: str) -> None:
    status, body = base.straight(OPENAI, {"X-Provider-Api-Key": key})
    assert (status, body["error"]["code"]) == (401, code)


def test_local_simulator(base: Stack, user: Identity) -> None:
    """A completion of the model; max_tokens cuts it; another model is 404."""
    body = base.chat(LOCAL, user, max_tokens=2).expect_status(200).json
    assert (body["model"], body["usage"]["completion_tokens"]) == (LOCAL.model, 2)
    assert body["choices"][0]["finish_reason"] == "length"
    base.chat(LOCAL, user, model="another").expect_status(404)


@pytest.mark.parametrize("include", [True, False])
def test_stream_reports_usage_only_when_asked(base: Stack, user: Identity, include: bool) -> None:
    """Without include_usage a streamed answer consumes no budget; every event has a usage, null in
    all but that one."""
    options: dict[str, Any] = {"stream_options": {"include_usage": True}} if include else {}
    text = base.chat(LOCAL, user, stream=True, **options).expect_status(200).response.text
    events = [json.loads(e[6:]) for e in text.split("\n\n") if e.startswith("data: {")]
    assert [e["usage"]["total_tokens"] > 0 for e in events if e["usage"]] == [True] * include
    assert text.endswith("data: [DONE]\n\n")


def test_failing_container_is_restarted(cluster: Cluster, namespace: str) -> None:
    """Restart with back-off, shown as such, and the log of the run before."""
    at = ("-n", namespace)
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "crash"},
        "spec": {
            "containers": [
                {
                    "name": "c",
                    "image": "python:3.12",
                    "command": ["python", "-c", "print('last words'); raise SystemExit(3)"],
                }
            ]
        },
    }
    cluster.kubectl("apply", *at, "-f", "-", stdin=json.dumps(pod))
    first = "jsonpath={.status.containerStatuses[0]"
    restarted = f"--for={first}.restartCount}}=1"
    cluster.kubectl("wait", *at, "pod/crash", restarted, "--timeout=20s")
    waiting = f"--for={first}.state.waiting.reason}}=CrashLoopBackOff"
    cluster.kubectl("wait", *at, "pod/crash", waiting, "--timeout=20s")
    code = cluster.kubectl(
        "get", *at, "pod", "crash", "-o", f"{first}.lastState.terminated.exitCode}}"
    )
    assert code == "3"
    assert cluster.kubectl("logs", *at, "crash", "--previous") == "last words\n"


def test_failing_liveness_restarts(cluster: Cluster, namespace: str) -> None:
    """A container whose liveness probe fails is killed and started again."""
    at = ("-n", namespace)
    script = (
        "import http.server, os, pathlib\n"
        "class H(http.server.BaseHTTPRequestHandler):\n"
        "    n = 0\n"
        "    def do_GET(self):\n"
        "        H.n += 1\n"
        "        self.send_response(200 if H.n < 2 else 500); self.end_headers()\n"
        "http.server.HTTPServer((os.environ['POD_IP'], 8000), H).serve_forever()\n"
    )
    probe = {"httpGet": {"path": "/", "port": 8000}, "periodSeconds": 1, "failureThreshold": 2}
    container = {"name": "c", "image": "python:3.12", "command": ["python", "-c", script],
                 "livenessProbe": probe}  # fmt: skip
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "sick"},
           "spec": {"containers": [container]}}  # fmt: skip
    cluster.kubectl("apply", *at, "-f", "-", stdin=json.dumps(pod))
    restarted = "--for=jsonpath={.status.containerStatuses[0].restartCount}=1"
    cluster.kubectl("wait", *at, "pod/sick", restarted, "--timeout=30s")
    assert "Liveness probe failed" in cluster.kubectl("describe", *at, "pod", "sick")
