"""provider-sim, as its real program at 0cdd959 answered the same requests."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import httpx
import pytest

from embedded.images.simulators import provider_sim

KEY = {"x-provider-api-key": "sk-key"}
CHAT = "/v1/chat/completions"


def ask(
    method: str, path: str, headers: dict[str, str] | None = None, body: bytes = b""
) -> httpx.Response:
    app = provider_sim.Provider("sk-key", "gpt-4-external", lambda _: None)

    async def asked() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://sim") as client:
            return await client.request(method, path, headers=headers, content=body)

    return asyncio.run(asked())


@pytest.mark.parametrize(
    ("key", "text"),
    [
        (
            "",
            '{"error":{"code":"missing_api_key",'
            '"message":"Missing API key. Set X-Provider-Api-Key header.",'
            '"type":"authentication_error"}}\n',
        ),
        (
            "abcd",
            '{"error":{"code":"invalid_api_key",'
            '"message":"Invalid API key provided: abcd...abcd",'
            '"type":"authentication_error"}}\n',
        ),
    ],
)
def test_refusals_to_the_letter(key: str, text: str) -> None:
    """Keys in alphabetical order, and a line's end: a Go map's."""
    answer = ask("GET", "/v1/models", {"x-provider-api-key": key})
    assert (answer.status_code, answer.text) == (401, text)


def test_listing_and_completion_to_the_letter() -> None:
    listed = ask("POST", "/any/v1/models", KEY).text
    assert re.sub(r"\d{10}", "N", listed) == (
        '{"data":[{"created":N,"id":"gpt-4-external","object":"model",'
        '"owned_by":"provider-sim","ready":true}],"object":"list"}\n'
    )
    completed = ask("GET", CHAT, KEY, b'{"model": "<a>"}').text
    numbers = re.sub(r":\d+|-\d+", ":N", re.sub(r'"content":"[^"]+"', '"content":"C"', completed))
    assert numbers == (
        '{"choices":[{"finish_reason":"stop","index":N,'
        '"message":{"content":"C","role":"assistant"}}],"created":N,"id":"chatcmpl:N",'
        '"model":"\\u003ca\\u003e","object":"chat.completion",'
        '"usage":{"completion_tokens":N,"prompt_tokens":N,"total_tokens":N}}\n'
    )


def test_blanks_around_a_key_do_not_matter() -> None:
    assert ask("GET", "/v1/models", {"x-provider-api-key": " sk-key\t"}).status_code == 200


def test_unknown_path_is_gos() -> None:
    answer = ask("GET", "/v1/models/", KEY)
    assert (answer.status_code, answer.text) == (404, "404 page not found\n")
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("body", "model"),
    [
        (b'{"model": "a"}', "a"),
        (b'{"Model": "a"}', "a"),
        (b'{"model": "a", "modeL": "b"}', "b"),
        (b'{"model": "a", "model": null}', "a"),
        (b' \n{"model": "a"} and more', "a"),
        (b'{"model": "a"}{"model": "b"}', "a"),
        (b'{"model": "\\ud800\xff"}', "\ufffd\ufffd"),
        (b'{"model": 5, "model": "a"}', ""),
        (b'{"model": "a", "model": ["b"]}', ""),
        (b'{"model": {"a": 1}}', ""),
        (b'{"model": "a", "x": NaN}', ""),
        (b'{"model": "a",}', ""),
        (b'\xef\xbb\xbf{"model": "a"}', ""),
        (b"[]", ""),
        (b"null", ""),
        (b"", ""),
    ],
    ids=str,
)
def test_model_is_echoed(body: bytes, model: str) -> None:
    """Whatever the case of its name; what Go cannot read is the default."""
    assert ask("POST", CHAT, KEY, body).json()["model"] == (model or "gpt-4-external")


def test_short_wrong_key_gets_no_answer() -> None:
    """Upstream's handler panics, and the server closes the connection."""
    dropped: list[Any] = []
    app = provider_sim.Provider("sk-key", "m", dropped.append)
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": "GET", "path": "/v1/models", "client": ("127.0.0.1", 5),
        "headers": [(b"x-provider-api-key", b"abc")],
    }  # fmt: skip
    asyncio.run(app(scope, receive, send))
    assert (dropped, sent) == ([("127.0.0.1", 5)], [])


def test_key_is_wanted() -> None:
    with pytest.raises(SystemExit, match="--api-key"):
        provider_sim.main(["--port", "1"])
