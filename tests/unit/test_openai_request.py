"""What the router's Go SDK keeps of a body: each row as openai-go 1.12.0 answered it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from embedded.images.vsr import openai_request

CALL = {"id": "i", "type": "function", "function": {"name": "f", "arguments": "{}"}}
PARTS = [
    {"type": "text", "text": "look"},
    {"type": "image_url", "image_url": {"url": "u", "detail": "low"}},
    {"type": "input_audio", "input_audio": {"data": "d", "format": "wav"}},
    {"type": "file", "file": {"file_id": "f"}},
]
TOOL = {
    "type": "function",
    "function": {
        "name": "f",
        "description": "d",
        "strict": True,
        "parameters": {"type": "object", "required": ["a"]},
    },
}


def kept(body: Any) -> Any:
    """What a model would read."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return json.loads(openai_request.dumped(openai_request.kept(openai_request.parsed(raw))))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("messages", [{"role": "user", "content": "hi", "name": "n"}]),
        ("messages", [{"role": "user", "content": PARTS}]),
        ("messages", [{"role": "system", "content": [{"type": "text", "text": "be brief"}]}]),
        ("messages", [{"role": "assistant", "refusal": None, "tool_calls": [CALL]}]),
        ("messages", [{"role": "tool", "tool_call_id": "i", "content": "r"}]),
        ("messages", [{"role": "function", "name": "f", "content": None}]),
        ("messages", [{"role": "developer", "content": ""}]),
        ("temperature", 0.7),
        ("frequency_penalty", 0),
        ("max_tokens", None),
        ("seed", 9007199254740993),
        ("stop", []),
        ("stop", "\n"),
        ("tools", [TOOL]),
        ("tool_choice", "required"),
        ("tool_choice", {"type": "function", "function": {"name": "f"}}),
        ("response_format", {"type": "json_object"}),
        ("reasoning_effort", "low"),
        ("logit_bias", {"50256": -100}),
        ("metadata", {"a": "b"}),
        ("prediction", {"type": "content", "content": "x"}),
        ("stream_options", {"include_usage": False}),
        ("user", "u"),
    ],
    ids=str,
)
def test_what_openai_knows_stays(name: str, value: Any) -> None:
    assert kept({name: value}) == {name: value}


@pytest.mark.parametrize(
    ("name", "value", "left"),
    [
        ("top_k", 3, None),
        ("guided_json", {}, None),
        ("chat_template_kwargs", {"x": 1}, None),
        ("recorder", {"tokens": 5}, None),
        ("stream", False, None),
        ("stop", None, None),
        ("stop", ["a", 5], ["a", "5"]),
        ("max_tokens", "5", None),
        ("max_tokens", 5.0, None),
        ("temperature", True, None),
        ("user", 5, None),
        ("web_search_options", {}, None),
        ("service_tier", 5, "5"),
        ("logit_bias", {"1": "3", "2": 1.5, "3": True}, {"1": 3, "2": 1, "3": 1}),
        ("stream_options", {"include_usage": True, "x": 1}, {"include_usage": True}),
        (
            "response_format",
            {"type": "json_schema", "json_schema": {"name": "n", "schema": {}}},
            {"type": "json_schema"},
        ),
        ("functions", [{"name": "f", "parameters": {"a": 2**53 + 1}}],
         [{"name": "f", "parameters": {"a": 2**53}}]),
        ("messages", "hi", None),
        ("messages", [{"role": "user", "content": 5}], [{"role": "user"}]),
        ("messages", [{"role": "user", "content": [{"type": "video"}]}], [{"role": "user"}]),
        ("messages", [{"role": "user", "content": "hi"}, {"role": "User", "content": "x"}], None),
        ("messages", [{"role": "user", "content": "hi"}, {"content": "x"}], None),
    ],
    ids=str,
)  # fmt: skip
def test_what_openai_does_not_know_is_gone(name: str, value: Any, left: Any) -> None:
    """Or is spelt otherwise."""
    assert kept({name: value}) == ({} if left is None else {name: left})


@pytest.mark.parametrize("body", [b"[]", b'"x"', b"null", b"1"], ids=str)
def test_json_that_is_no_object_is_an_empty_request(body: bytes) -> None:
    assert kept(body) == {}


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"{}x", b'{"a": NaN}', b'{"a": -Infinity}', b"\xef\xbb\xbf{}", b"[" * 10_001],
    ids=lambda body: repr(body[:12]),
)
def test_what_is_no_json(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        openai_request.parsed(body)


@pytest.mark.parametrize(
    ("body", "model"),
    [
        (b'{"model": "a", "model": "b"}', "a"),
        (b'{"Model": "a"}', ""),
        (b'{"model": 1}', "1"),
        (b'{"model": 1.50}', "1.5"),
        (b'{"model": true}', "true"),
        (b'{"model": null}', ""),
        (b'{"model": "\\ud800a"}', "\ufffda"),
        (b'{"model": "\xffa"}', "\ufffda"),
    ],
    ids=str,
)
def test_model(body: bytes, model: str) -> None:
    """The first counts, and what is no text is taken as it is spelt."""
    assert openai_request.model(openai_request.parsed(body)) == model


@pytest.mark.parametrize(
    ("body", "streams"),
    [
        (b'{"stream": false, "stream": true}', True),
        (b'{"stream": true, "stream": false}', False),
        (b'{"stream": "true"}', "true"),
    ],
    ids=str,
)
def test_last_stream_counts(body: bytes, streams: Any) -> None:
    assert openai_request.parsed(body)["stream"] == streams


def test_how_go_writes() -> None:
    """Signs of HTML escaped; in a map keys sorted and numbers of floating point."""
    assert openai_request.dumped({"b": "<a&>é\u2028"}) == (
        '{"b":"\\u003ca\\u0026\\u003eé\\u2028"}'.encode()
    )
    numbers = openai_request.remapped({"b": [2**53 + 1, 2.0, True, 10**21], "a": "x"})
    assert json.dumps(numbers) == '{"a": "x", "b": [9007199254740992, 2, true, 1e+21]}'
