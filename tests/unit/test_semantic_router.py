"""The router's answers to Envoy, as f2883b0 gave them over ext_proc to the same requests."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from envoy.service.ext_proc.v3 import external_processor_pb2 as pb

from embedded.images.vsr import semantic_router_ports
from embedded.images.vsr.semantic_router import Exchange, Malformed, Router, main
from embedded.images.vsr.semantic_router_config import load

CONFIG = {
    "default_model": "Model-B",
    "model_config": {
        "Model-A": {"preferred_endpoints": ["a"], "reasoning_family": "qwen3"},
        "Model-B": {"preferred_endpoints": ["b"]},
        "Model-C": {"reasoning_family": "gpt-oss"},
    },
    "vllm_endpoints": [
        {"name": "a", "address": "127.0.0.8", "port": 8000},
        {"name": "b", "address": "127.0.0.9", "port": 8000},
    ],
    "reasoning_families": {
        "qwen3": {"type": "chat_template_kwargs", "parameter": "enable_thinking"},
        "gpt-oss": {"type": "reasoning_effort", "parameter": "reasoning_effort"},
    },
    "keyword_rules": [
        {"name": "math", "operator": "OR", "keywords": ["equation"]},
        {"name": "law", "operator": "OR", "keywords": ["court"]},
    ],
    "decisions": [
        {
            "name": "math_decision",
            "priority": 100,
            "rules": {"operator": "OR", "conditions": [{"type": "Keyword", "name": "math"}]},
            "modelRefs": [{"model": "Model-A", "use_reasoning": True}],
            "plugins": [
                {"type": "system_prompt",
                 "configuration": {"system_prompt": "Count.", "mode": "insert"}},
            ],
        },
        {
            "name": "law_decision",
            "priority": 100,
            "rules": {
                "operator": "OR",
                "conditions": [
                    {"type": "keyword", "name": "law"}, {"type": "domain", "name": "law"}
                ],
            },
            "modelRefs": [{"model": "Model-C", "use_reasoning": False}],
        },
    ],
}  # fmt: skip
MATHS, POEM = ({"role": "user", "content": text} for text in ("An equation", "A poem"))


@pytest.fixture
def router(tmp_path: Path) -> Router:
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(CONFIG))
    return Router(load(file))


def headers(**values: str) -> pb.HttpHeaders:
    found = pb.HttpHeaders()
    for name, value in values.items():
        found.headers.headers.add(key=name.replace("_", "-"), raw_value=value.encode())
    return found


class Asked:
    """One request: what the router makes of it, and tells of it when a model answered."""

    def __init__(self, router: Router, body: Any, status: int = 200, **more: str) -> None:
        exchange = Exchange(router)
        named = {"x-vsr-looper-request" if n == "looper" else n: v for n, v in more.items()}
        exchange.on_request_headers(headers(**named))
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.answer = exchange.on_request_body(pb.HttpBody(body=raw))
        common = self.answer.request_body.response
        self.set = self._named(common)
        self.raw = common.body_mutation.body
        said = pb.HttpHeaders()
        said.headers.headers.add(key=":status", raw_value=str(status).encode())
        self.told = exchange.on_response_headers(said).response_headers.response

    @staticmethod
    def _named(common: pb.CommonResponse) -> dict[str, str]:
        options = common.header_mutation.set_headers
        return {o.header.key: o.header.raw_value.decode() for o in options}

    @property
    def body(self) -> Any:
        return json.loads(self.raw)

    @property
    def vsr(self) -> dict[str, str]:
        return {n.removeprefix("x-vsr-"): v for n, v in self._named(self.told).items()}


def auto(router: Router, *messages: dict[str, Any], **more: Any) -> Asked:
    return Asked(router, {"model": "auto", "messages": list(messages), **more})


UNTOLD = {"injected-system-prompt": "false"}


@pytest.mark.parametrize(
    ("body", "model"),
    [
        (b"[]", ""),
        (b'"x"', ""),
        (b"null", ""),
        (b"{}", ""),
        (b'{"model": 1}', "1"),
        (b'{"model": "Model-A", "messages": "x"}', "Model-A"),
        (b'{"model": "Model-A", "messages": ["x"]}', "Model-A"),
        (b'{"model": "Model-A", "model": "auto"}', "Model-A"),
    ],
    ids=str,
)
def test_odd_bodies_are_named_models(router: Router, body: bytes, model: str) -> None:
    """Taken as they are: what is no JSON alone is refused."""
    asked = Asked(router, body)
    assert (asked.set["x-selected-model"], asked.raw) == (model, b"")
    named = {"selected-model": model} if model else {}
    assert asked.vsr == {**named, "selected-reasoning": "off", **UNTOLD}


@pytest.mark.parametrize("body", [b"{", b"\xef\xbb\xbf{}", b'{"model": NaN}'], ids=str)
def test_no_json_is_refused(router: Router, body: bytes) -> None:
    with pytest.raises(Malformed):
        Asked(router, body)


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [MATHS, {"role": "user", "content": ""}],
        [{"role": "developer", "content": "equation"}],
        [{"role": "tool", "tool_call_id": "i", "content": "equation"}],
        [MATHS, {"role": "alien", "content": "equation"}],
        [{"content": "equation"}],
    ],
    ids=str,
)
def test_auto_without_a_users_text_is_not_routed(
    router: Router, messages: list[dict[str, Any]]
) -> None:
    asked = auto(router, *messages)
    assert (asked.set, asked.raw, asked.vsr) == ({}, b"", UNTOLD)


def test_other_roles_are_read_where_no_user_spoke(router: Router) -> None:
    system = {"role": "system", "content": "an equation"}
    answered = {"role": "assistant", "content": [{"type": "text", "text": "no"}]}
    assert auto(router, system, answered).body["model"] == "Model-A"
    assert auto(router, system, answered, POEM).body["model"] == "Model-B"


def test_auto_is_written_anew(router: Router) -> None:
    """From what the SDK knows; the default model changes nothing but the model."""
    more = {"top_k": 3, "recorder": {}, "stop": None, "stream": False, "max_tokens": None}
    asked = auto(router, POEM, temperature=0.5, reasoning_effort="low", seed=2**53 + 1, **more)
    assert asked.body == {
        "messages": [POEM],
        "model": "Model-B",
        "max_tokens": None,
        "seed": 2**53 + 1,
        "temperature": 0.5,
        "reasoning_effort": "low",
    }
    assert asked.set == {
        "content-length": str(len(asked.raw)),
        "x-selected-model": "Model-B",
        "x-vsr-destination-endpoint": "127.0.0.9:8000",
    }
    assert asked.vsr == {"selected-model": "Model-B", "selected-reasoning": "off", **UNTOLD}


def test_decision_changes_the_body(router: Router) -> None:
    """Numbers through floating point, kwargs of the client's gone, its own prompt after ours."""
    parts = {"role": "system", "content": [{"type": "text", "text": "mine"}]}
    mine = {"role": "system", "content": "mine", "name": "me"}
    kwargs = {"enable_thinking": False, "x": 1}
    asked = auto(router, mine, MATHS, seed=2**53 + 1, chat_template_kwargs=kwargs)
    assert asked.body == {
        "chat_template_kwargs": {"enable_thinking": True},
        "messages": [{"content": "Count.\n\nmine", "role": "system"}, MATHS],
        "model": "Model-A",
        "seed": 2**53,
    }
    assert asked.vsr == {
        "selected-decision": "math_decision",
        "selected-model": "Model-A",
        "selected-reasoning": "on",
        "matched-keywords": "math",
        "injected-system-prompt": "true",
    }
    assert auto(router, parts, MATHS).body["messages"][0]["content"] == "Count.\n\n"


@pytest.mark.parametrize(("given", "left"), [({}, "low"), ({"reasoning_effort": "high"}, "high")])
def test_effort_of_a_family_without_reasoning(
    router: Router, given: dict[str, str], left: str
) -> None:
    body = auto(router, {"role": "user", "content": "In court"}, **given).body
    assert body["chat_template_kwargs"] == {"reasoning_effort": left}
    assert "reasoning_effort" not in body


@pytest.mark.parametrize(
    ("more", "accept", "streams"),
    [
        ({"stream": True, "stream_options": {"include_usage": False, "x": 1}}, "", True),
        ({}, "application/json, TEXT/Event-Stream", True),
        ({"stream": "true"}, "", False),
        ({"stream": False}, "application/json", False),
    ],
    ids=str,
)
def test_streams(router: Router, more: dict[str, Any], accept: str, streams: bool) -> None:
    """The client's stream_options are replaced."""
    body = {"model": "auto", "messages": [POEM], **more}
    sent = Asked(router, body, accept=accept).body
    wanted = {"stream": True, "stream_options": {"include_usage": True}} if streams else {}
    assert {n: v for n, v in sent.items() if n.startswith("stream")} == wanted


def test_keywords_are_told_twice(router: Router) -> None:
    """To Envoy, which lets the last stand: also for a named model."""
    asked = Asked(router, {"model": "Model-B", "messages": [MATHS]})
    told = [o.header.key for o in asked.told.header_mutation.set_headers]
    assert told.count("x-vsr-matched-keywords") == 2
    assert "selected-decision" not in asked.vsr


@pytest.mark.parametrize(("status", "told"), [(204, True), (404, False), (500, False)])
def test_only_success_is_told_of(router: Router, status: int, told: bool) -> None:
    asked = Asked(router, {"model": "Model-B", "messages": [POEM]}, status)
    assert ("selected-model" in asked.vsr) == told


def test_loop_is_told_nothing(router: Router) -> None:
    """Its body goes through a map, where the last of equal keys stands."""
    raw = b'{"model": "Model-A", "x": 1.0, "messages": [], "x": 2.0, "b": "<"}'
    asked = Asked(router, raw, looper="true")
    assert asked.raw == b'{"b":"\\u003c","messages":[],"model":"Model-A","x":2}'
    assert (asked.set, asked.vsr) == ({"x-vsr-selected-model": "Model-A"}, {})
    assert Asked(router, b"[]", looper="true").answer.immediate_response.status.code == 500


def test_counters(router: Router) -> None:
    """Sources are what clients wrote; a named model counts as unknown among requests."""
    auto(router, MATHS)
    Asked(router, {"model": "MoM", "messages": [MATHS]})
    Asked(router, {"model": "Model-B", "messages": [MATHS]}, 429)
    auto(router)
    counted = {f"{name}{{{labels}}}": count for (name, labels), count in router.counts.items()}
    assert counted == {
        'llm_model_requests_total{model="Model-A"}': 2,
        'llm_model_requests_total{model="unknown"}': 2,
        'llm_decision_match_total{decision_name="math_decision"}': 6,
        'llm_model_routing_modifications_total{source_model="auto",target_model="Model-A"}': 1,
        'llm_model_routing_modifications_total{source_model="MoM",target_model="Model-A"}': 1,
        'llm_routing_reason_codes_total{model="Model-A",reason_code="auto_routing"}': 2,
        'llm_routing_reason_codes_total{model="Model-B",reason_code="model_specified"}': 1,
        'llm_request_errors_total{model="Model-B",reason="upstream_4xx"}': 1,
    }


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "INVALID_INPUT"),
        (b"[]", 400, "INVALID_INPUT"),
        (b'{"text": 5}', 400, "INVALID_INPUT"),
        (b"{}", 500, "CLASSIFICATION_ERROR"),
        (b"null", 500, "CLASSIFICATION_ERROR"),
        (b'{"text": ""}', 500, "CLASSIFICATION_ERROR"),
    ],
    ids=str,
)
def test_refused_classification(router: Router, body: bytes, status: int, code: str) -> None:
    answer = classified(router, body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_classification(router: Router) -> None:
    found = classified(router, b'{"Text": "in court"}').json()
    assert found == {
        "classification": {
            "category": "law_decision",
            "confidence": 0.5,
            "processing_time_ms": 0,
        },
        "recommended_model": "Model-C",
        "routing_decision": "law_decision",
        "matched_signals": {"keywords": ["law"]},
        "decision_result": {
            "decision_name": "law_decision",
            "confidence": 0.5,
            "matched_rules": ["keyword:law"],
        },
    }
    nothing = classified(router, b'{"text": "a poem"}').json()
    assert nothing["classification"]["category"] == "other"
    assert nothing["routing_decision"] == "low_confidence_general"
    assert (nothing["recommended_model"], nothing["matched_signals"]) == ("Model-B", {})


def classified(router: Router, body: bytes) -> httpx.Response:
    async def asked() -> httpx.Response:
        transport = httpx.ASGITransport(semantic_router_ports.api(router))
        async with httpx.AsyncClient(transport=transport, base_url="http://router") as client:
            return await client.post("/api/v1/classify/intent", content=body)

    return asyncio.run(asked())


def test_newest_generation_refuses_the_flat_format(tmp_path: Path) -> None:
    """As v0.3.0 does at its start, so that the POC's image `latest` ends again and again."""
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(CONFIG))
    with pytest.raises(SystemExit) as ended:
        main(["--config", str(file), "--generation", "0.3"])
    assert "decisions, default_model, keyword_rules" in str(ended.value.code)
