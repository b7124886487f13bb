"""Who is asked where any provider would do, and who is told of it."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from fixtures.secrets import Secret
from fixtures.stack import Identity, Provider, Stack
from suites.hardening import served
from suites.mixed_providers.providers import ANTHROPIC, EXTERNAL, OPENAI, VLLM


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served, "SETTLED_SECONDS", 0.05)


def stack(**statuses: Any) -> Stack:
    """A gateway that answers so, status by status; the last again and again."""

    class Gateway(Stack):
        def __init__(self) -> None:
            self.left = {name: list(found) for name, found in statuses.items()}

        def account_token(self, namespace: str, audience: str = "") -> Identity:
            return Identity(Secret(namespace))

        def models(self, provider: Provider, identity: Identity | None = None) -> Any:
            answers = self.left.get(provider.name, [200])
            found = answers[0] if len(answers) == 1 else answers.pop(0)
            if found is None:
                raise httpx.ConnectError("connection refused")
            return _Answer(found)

    return Gateway()


class _Answer:
    def __init__(self, status: int) -> None:
        self.status = status


@pytest.mark.parametrize(
    ("answers", "provider", "why"),
    [
        ({}, OPENAI, ""),
        ({"openai": [503, 200]}, OPENAI, ""),
        ({"openai": [404]}, ANTHROPIC, "anthropic was asked in the place of openai (404)"),
        ({"openai": [404], "anthropic": [None]}, VLLM,
         "vllm was asked in the place of openai (404), anthropic (connection refused)"),
        ({"openai": [404], "anthropic": [500], "vllm": [401]}, OPENAI, ""),
    ],
    ids=["the first", "in a moment", "the next", "the last", "nobody"],
)  # fmt: skip
def test_who_is_asked(answers: dict[str, Any], provider: Provider, why: str) -> None:
    assert served.choose(stack(**answers), EXTERNAL) == served.Chosen(provider, why)
