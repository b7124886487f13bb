"""What a provider can be asked: operations of OpenAI's API, and methods beside them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

from fixtures.evidence import BACKEND, CLIENT, ID_HEADER, Exchange, Record, expect
from fixtures.stack import CHAT, Identity, Provider, Sent, Stack

# Method, path, and what the body has beside a chat's; no answer but a listing's needs to be good.
OPERATIONS: list[tuple[str, str, dict[str, object]]] = [
    ("POST", CHAT, {}), ("POST", CHAT, {"stream": True}), ("POST", "/v1/completions", {}),
    ("POST", "/v1/embeddings", {}), ("POST", "/v1/responses", {}), ("POST", "/v1/messages", {}),
    ("POST", "/v1/files", {}), ("GET", "/v1/models", {}), ("GET", "/v1/models/x", {}),
    ("DELETE", "/v1/files/x", {}), ("PUT", "/v1/files/x", {}), ("PATCH", "/v1/models/x", {}),
    ("HEAD", "/v1/models", {}), ("OPTIONS", CHAT, {}),
]  # fmt: skip
WITH_BODY = ("POST", "PUT", "PATCH")


def each(
    stack: Stack, provider: Provider, user: Identity, headers: Sent | None = None
) -> Iterator[Exchange]:
    """Each of them, on each listener."""
    message = {"role": "user", "content": "Hello"}
    body = {"model": provider.model, "messages": [message], "prompt": "Hello", "input": "Hello"}
    for method, path, more in OPERATIONS:
        said = {**body, "max_tokens": 10, **more} if method in WITH_BODY else None
        for tls in (True, False):
            yield stack.send(method, provider.path + path, user, said, headers, tls=tls)


def received(
    stack: Stack, provider: Provider, user: Identity, headers: dict[str, str] | None = None
) -> list[Record]:
    """What the provider received of them, each once, and nobody else; it refused none with 401."""
    together = f"conformance-{uuid.uuid4()}"
    answers = list(each(stack, provider, user, {**(headers or {}), ID_HEADER: together}))
    if stack.is_real(provider):
        answers[0].records  # noqa: B018 - which nobody knows
    refused = sorted({one.sent_path for one in answers if one.status == 401})
    found = stack.records(together)
    others = sorted({one.backend for one in found} - {provider.name})
    right = len(found) == len(answers) and not others
    expect(right, BACKEND, f"{len(answers)} requests at {provider}", f"{len(found)}, also {others}")
    expect(not refused, CLIENT, "no 401", f"401 for {refused}")
    return found
