"""The router behind its real Envoy, asked directly: what each kind of request becomes.

The table is the two-gateway POC's ext_proc contract; what a client sees is Envoy's doing.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from embedded.running import lifecycle, ready
from embedded.running.state import State
from fixtures.kube import Kube
from fixtures.stack import WISH_HEADER
from manifests import FOLDER

NAMESPACE = "vllm-semantic-router-system"
MATHS = {"role": "user", "content": "Solve the equation"}
CHAT = "/v1/chat/completions"


class Router:
    """The router's Pod, and what the models recorded."""

    def __init__(self, kube: Kube, address: str) -> None:
        self._kube = kube
        self.client = httpx.Client(base_url=f"http://{address}:8801", trust_env=False)
        self.api = httpx.Client(base_url=f"http://{address}:8080", trust_env=False)
        self.metrics = httpx.Client(base_url=f"http://{address}:9190", trust_env=False)

    def send(
        self, body: Any, headers: dict[str, str] | None = None, method: str = "POST"
    ) -> tuple[httpx.Response, list[dict[str, Any]]]:
        """The answer, and the records of the request at both models."""
        request = str(uuid.uuid4())
        raw = {"content": body} if isinstance(body, bytes | Iterator) else {"json": body}
        answer = self.client.request(
            method, CHAT, headers={"x-conformance-id": request, **(headers or {})}, **raw
        )
        found = []
        for model in ("model-a", "model-b"):
            path = f"/_recorder/requests?id={request}"
            service = f"{model}-predictor-stable:8000"
            _, text = self._kube.through_service(NAMESPACE, service, path)
            found += [{**one, "model": model} for one in json.loads(text)["requests"]]
        return answer, found

    def auto(self, *messages: dict[str, Any], **more: Any) -> tuple[httpx.Response, dict[str, Any]]:
        """An `auto` request that reaches one model: the answer, and the body at the model."""
        answer, (record,) = self.send({"model": "auto", "messages": list(messages), **more})
        return answer, json.loads(record["body"])


@pytest.fixture(scope="module")
def router() -> Iterator[Router]:
    state = State(f"router-{os.getpid()}")
    folder = FOLDER / "dual-gateway" / "overlays" / "document"
    process = lifecycle.up(state, [], folder, lifeline=True)
    try:
        ready.wait(state, lifecycle.START_SECONDS)
        kube = Kube(state.kubeconfig)
        pods = kube.all("v1", "Pod", NAMESPACE)
        (pod,) = [p for p in pods if p["metadata"]["labels"].get("app") == "semantic-router"]
        assert kube.pod_log(NAMESPACE, pod["metadata"]["name"], "configure") == ""
        yield Router(kube, pod["status"]["podIP"])
    finally:
        lifecycle.down(state)
        process.wait()


@pytest.mark.parametrize(
    "body",
    [
        b"{", b'["auto"]', b'{"model": 5}', b'{"model": "auto", "messages": "hi"}', b"",
        {"messages": [MATHS]},
        {"model": "gpt-4", "messages": [MATHS]},
        {"model": "AUTO", "messages": [MATHS]},
        {"model": "auto"},
        {"model": "auto", "messages": []},
        {"model": "auto", "messages": [{"role": "user", "content": ""}]},
        {"model": "auto", "messages": [MATHS, {"role": "user", "content": ""}]},
        {"model": "auto", "messages": [{"role": "developer", "content": "an equation"}]},
        {"model": "auto", "messages": [MATHS, {"role": "alien", "content": "an equation"}]},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_not_routed(router: Router, body: Any) -> None:
    """No endpoint is set, so that Envoy has no upstream."""
    answer, records = router.send(body)
    assert (answer.status_code, answer.text, records) == (503, "no healthy upstream", [])


@pytest.mark.parametrize("method", ["GET", "DELETE", "OPTIONS"])
def test_no_body_is_not_routed(router: Router, method: str) -> None:
    answer, records = router.send(None, method=method)
    assert (answer.status_code, records) == (503, [])


def test_endpoint_of_a_client_steers_what_is_not_routed(router: Router) -> None:
    """Why the HTTPRoute in front has to strip it: here nobody does."""
    _, (record,) = router.send({"model": "auto", "messages": [MATHS]})
    target = dict(record["headers"])["x-vsr-destination-endpoint"]
    answer, records = router.send(None, {"x-vsr-destination-endpoint": target}, "GET")
    assert (answer.status_code, [r["model"] for r in records]) == (404, ["model-a"])


def test_endpoint_of_a_client_does_not_outdo_the_routers(router: Router) -> None:
    forged = {"x-vsr-destination-endpoint": "127.0.0.1:1", "x-selected-model": "Model-B"}
    _, (record,) = router.send({"model": "auto", "messages": [MATHS]}, forged)
    headers = dict(record["headers"])
    assert (record["model"], headers["x-selected-model"]) == ("model-a", "Model-A")


def test_auto_request_at_the_model(router: Router) -> None:
    """Model, reasoning and system prompt of the decision, and of the rest what OpenAI's types know;
    the response tells of it."""
    unknown = {"top_k": 3, "guided_json": {}, "stop": None, "stream": False}
    answer, body = router.auto(MATHS, reasoning_effort="low", temperature=0.5, **unknown)
    assert body == {
        "temperature": 0.5,
        "model": "Model-A",
        "messages": [{"role": "system", "content": "You are an expert in mathematics."}, MATHS],
        "chat_template_kwargs": {"enable_thinking": True},
    }
    told = {k: v for k, v in answer.headers.items() if k.startswith("x-vsr-")}
    assert told == {
        "x-vsr-selected-model": "Model-A",
        "x-vsr-selected-decision": "math_decision",
        "x-vsr-selected-reasoning": "on",
        "x-vsr-matched-keywords": "math",
        "x-vsr-injected-system-prompt": "true",
    }


def test_system_prompt_replaces_the_first(router: Router) -> None:
    mine = {"role": "system", "content": "Be brief."}
    _, body = router.auto(mine, MATHS)
    assert [m["content"] for m in body["messages"] if m["role"] == "system"] == [
        "You are an expert in mathematics."
    ]


def test_default_model_without_a_decision(router: Router) -> None:
    answer, body = router.auto({"role": "user", "content": "Hello"})
    assert (body["model"], len(body["messages"])) == ("Model-B", 1)
    assert "x-vsr-selected-decision" not in answer.headers
    assert answer.headers["x-vsr-injected-system-prompt"] == "false"


def test_first_of_equal_keys_counts(router: Router) -> None:
    """A backend that takes the last sees another model than the router did."""
    raw = b'{"model": "Model-A", "model": "Model-B", "messages": []}'
    answer, (record,) = router.send(raw)
    assert (record["model"], record["body"]) == ("model-a", raw.decode())
    assert answer.status_code == 404


def test_named_model_is_told_of(router: Router) -> None:
    """The decision that would hold is not, its keywords are."""
    answer, _ = router.send({"model": "Model-B", "messages": [MATHS]})
    told = {k: v for k, v in answer.headers.items() if k.startswith("x-vsr-")}
    assert told == {
        "x-vsr-selected-model": "Model-B",
        "x-vsr-selected-reasoning": "off",
        "x-vsr-matched-keywords": "math",
        "x-vsr-injected-system-prompt": "false",
    }


def test_content_parts_are_text(router: Router) -> None:
    parts = [{"type": "text", "text": "Solve"}, {"type": "text", "text": "this equation"}]
    assert router.auto({"role": "user", "content": parts})[1]["model"] == "Model-A"


def test_chunked_upload(router: Router) -> None:
    """The model gets a length again."""
    text = json.dumps({"model": "auto", "messages": [MATHS]}).encode()
    answer, (record,) = router.send(iter([text[:20], text[20:]]))
    length = int(dict(record["headers"])["content-length"])
    assert (answer.status_code, length) == (200, len(record["body"].encode()))


def test_body_of_more_than_a_mebibyte(router: Router) -> None:
    answer, records = router.send({"model": "auto", "messages": [MATHS], "x": "y" * (1 << 20)})
    assert (answer.status_code, records) == (413, [])


def test_error_of_a_model_has_no_headers_of_the_router(router: Router) -> None:
    body = {"model": "auto", "messages": [MATHS]}
    answer, _ = router.send(body, {WISH_HEADER: '{"status": 500}'})
    assert answer.status_code == 500
    assert [name for name in answer.headers if name.startswith("x-vsr-")] == []


def test_accept_makes_a_stream(router: Router) -> None:
    """The POC's quirk, with usage asked for."""
    body = {"model": "auto", "messages": [MATHS]}
    answer, (record,) = router.send(body, {"accept": "Text/Event-Stream"})
    sent = json.loads(record["body"])
    assert (sent["stream"], sent["stream_options"]) == (True, {"include_usage": True})
    assert answer.headers["content-type"].startswith("text/event-stream")


def test_named_stream_is_left_alone(router: Router) -> None:
    """No usage unless the client asks."""
    body = {"model": "Model-A", "messages": [MATHS], "stream": True}
    answer, (record,) = router.send(body)
    assert json.loads(record["body"]) == body
    assert "usage" not in answer.text


def test_looper_request_goes_nowhere(router: Router) -> None:
    """Written anew under the old length: refused, or without an upstream."""
    headers = {"x-vsr-looper-request": "true", "content-type": "application/json"}
    spaced = json.dumps({"model": "Model-A", "messages": [MATHS]}, indent=1).encode()
    answer, records = router.send(spaced, headers)
    assert (answer.status_code, records) == (500, [])
    dense = json.dumps({"model": "Model-A", "messages": [MATHS]}, separators=(",", ":")).encode()
    answer, records = router.send(dense, headers)
    assert (answer.status_code, records) == (503, [])


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models?limit=1"])
def test_listing_is_the_routers(router: Router, path: str) -> None:
    body = router.client.get(path).json()
    assert [entry["id"] for entry in body["data"]] == ["MoM"]


def test_other_ports(router: Router) -> None:
    """Classification and metrics."""
    assert router.api.get("/health").json()["status"] == "healthy"
    found = router.api.post("/api/v1/classify/intent", json={"text": "an equation"}).json()
    assert (found["routing_decision"], found["recommended_model"]) == ("math_decision", "Model-A")
    assert router.api.post("/api/v1/classify/intent", json={}).status_code == 500
    assert router.api.post("/api/v1/classify/intent", content=b"{").status_code == 400
    (listed,) = router.api.get("/v1/models").json()["data"]
    assert (listed["id"], listed["logo_url"][-4:]) == ("MoM", ".png")
    router.auto(MATHS)
    router.send(b"{")
    text = router.metrics.get("/metrics").text
    assert 'llm_model_requests_total{model="Model-A"}' in text
    assert 'llm_request_errors_total{model="unknown",reason="parse_error"}' in text
    routed = 'llm_model_routing_modifications_total{source_model="auto",target_model="Model-A"}'
    assert routed in text
