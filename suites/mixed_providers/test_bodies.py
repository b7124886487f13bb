"""What passes through the gateways passes unchanged, whatever its size, and once."""

import hashlib
from typing import Any

import pytest

from fixtures.evidence import BACKEND, CLIENT, unchanged
from fixtures.evidence.bodies import SIZES, filled
from fixtures.evidence.requirements import requirement
from fixtures.stack import ECHO, Identity, Provider, Stack
from suites.mixed_providers.providers import LOCAL, OPENAI

# What a chat may say besides its messages, in words and numbers that tempt to be written anew.
EVERYTHING: dict[str, Any] = {
    "temperature": 0.70, "top_p": 1, "max_tokens": 1e2, "seed": 2**53 + 1, "stop": ["\n", "é"],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}],
    "tool_choice": "auto", "response_format": {"type": "json_object"}, "user": None,
    "logit_bias": {"50256": -100}, "metadata": {"Ключ": ""}, "x_unknown": [True, {}],
}  # fmt: skip


@requirement("MP-61")
@pytest.mark.parametrize("kind", ["application/json", "application/octet-stream"])
@pytest.mark.parametrize("through", [OPENAI, LOCAL], ids=["two-gateways", "one-gateway"])
def test_bodies_pass_unchanged(
    stack: Stack, heavy_user: Identity, through: Provider, kind: str
) -> None:
    """The provider has the client's bytes, and the client gets the provider's, which are the
    same: it echoes."""
    for size in SIZES:
        body, headers = filled(size), {"content-type": kind}
        exchange = stack.send("POST", f"{through.path}{ECHO}", heavy_user, body, headers)
        record = exchange.expect_status(200).expect_backend_received(through.name)
        wanted = (size, hashlib.sha256(body).hexdigest())
        found = (record.size, record.digest)
        exchange.expect(BACKEND, found == wanted, f"{size} bytes as sent", f"{record.size} bytes")
        answer = exchange.response.content
        exchange.expect(CLIENT, answer == body, f"{size} bytes as sent", f"{len(answer)} bytes")


@requirement("MP-61")
@pytest.mark.parametrize("text", ["Přelož mi tuto větu 你好 🙂", "", " ", '\u0000\u202e\\"\n'])
def test_prompt_passes_unchanged(stack: Stack, heavy_user: Identity, text: str) -> None:
    """Letters of any script, an empty prompt, and what unchanged.JSON has to escape; both ways."""
    messages = [{"role": "user", "content": text}]
    wish = {"text": text}
    exchange = stack.chat(OPENAI, heavy_user, messages=messages, recorder=wish).expect_status(200)
    record = exchange.expect_backend_received(OPENAI.name)
    said = record.json["messages"]
    exchange.expect(BACKEND, said == messages, f"{messages}", f"{said}")
    answer = exchange.json["choices"][0]["message"]["content"]
    exchange.expect(CLIENT, answer == text, repr(text), repr(answer))


@requirement("MP-61")
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_method_and_headers_pass_unchanged(
    stack: Stack, heavy_user: Identity, provider: Provider, method: str
) -> None:
    """The client's headers reach the provider, each once and as it is, and besides them only what
    the gateways say; one of the provider's comes back to the client."""
    path = f"{provider.path}{ECHO}"
    exchange = stack.send(method, path, heavy_user, b"{}", unchanged.ASKED)
    record = exchange.expect_status(200).expect_backend_received(provider.name, ECHO)
    exchange.expect(BACKEND, record.method == method, method, record.method)
    unchanged.expect_asked(exchange, record, provider.key_header)
    if provider == LOCAL:  # the others' gateway asks for them by their own names
        unchanged.expect_host_kept(exchange, record)
    found = exchange.response.headers.get_list("x-echo")
    exchange.expect(
        CLIENT, found == [unchanged.ASKED["x-echo"]], unchanged.ASKED["x-echo"], f"{found}"
    )


@requirement("MP-61")
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_chats_pass_unchanged(
    stack: Stack, heavy_user: Identity, provider: Provider, stream: bool
) -> None:
    """The provider has the client's bytes, and the client the provider's, with each of its headers
    as it is and as often as it came, and besides them only what the gateways say."""
    said, wish = {**EVERYTHING, "stream": stream}, {"headers": unchanged.ANSWERED}
    exchange = stack.chat(provider, heavy_user, recorder=wish, **said).expect_status(200)
    record = exchange.expect_backend_received(provider.name)
    unchanged.expect_body_kept(exchange, record)
    unchanged.expect_answered(exchange, record, unchanged.EVENTS if stream else unchanged.JSON)


@requirement("MP-66")
@pytest.mark.parametrize("status", [400, 404, 429, 500, 502, 503, 504])
def test_error_of_a_provider_comes_back(
    stack: Stack, heavy_user: Identity, provider: Provider, status: int
) -> None:
    """With the provider's own body and headers, and nobody asks it again."""
    wish = {"status": status, "headers": unchanged.ANSWERED}
    exchange = stack.chat(provider, heavy_user, recorder=wish).expect_status(status)
    record = exchange.expect_backend_received(provider.name)
    code = exchange.json["error"]["code"]
    exchange.expect(CLIENT, code == "as_wished", "the provider's own error", code)
    unchanged.expect_answered(exchange, record, unchanged.JSON)
