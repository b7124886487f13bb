"""A provider has one way, with one budget and one key, however the path to it is written."""

from __future__ import annotations

import uuid

import pytest

from fixtures.evidence import BACKEND, ID_HEADER, MAAS, Exchange, Record, expect
from fixtures.evidence.requirements import requirement
from fixtures.stack import CHAT, MANY, Identity, Provider, Stack
from suites.hardening.everywhere import SIDE_BY_SIDE, written
from suites.hardening.spellings import spellings
from suites.hardening.test_crowds import at_once
from suites.mixed_providers.providers import EXTERNAL


def ways_to_write(provider: Provider) -> list[str]:
    """Paths of its chats, written otherwise before OpenAI's part, also from another's path."""
    other = EXTERNAL[(EXTERNAL.index(provider) + 1) % len(EXTERNAL)]
    found = [one + CHAT for one in written(provider.path)]
    return list(dict.fromkeys([*found, *spellings(provider.path, other.path, CHAT)]))


def asked(stack: Stack, user: Identity, provider: Provider) -> tuple[list[Exchange], list[Record]]:
    """The answers to all of them, side by side, and what recorders have of them."""
    paths, together = ways_to_write(provider), {ID_HEADER: f"conformance-{uuid.uuid4()}"}
    body = {"model": provider.model, "messages": [{"role": "user", "content": "Hello"}]}

    def ask(number: int) -> Exchange:
        return stack.send("POST", paths[number], user, body, together)

    answers = at_once(len(paths), ask, SIDE_BY_SIDE)
    return answers, stack.records(together[ID_HEADER])


def keys_of(record: Record) -> set[str]:
    """Whose keys a request has, in whatever header."""
    return {one.name for one in EXTERNAL if one.key.reveal() in record.headers.text}


@requirement("HD-93")
@pytest.mark.parametrize("provider", EXTERNAL, ids=str)
def test_no_spelling_brings_another_key(
    stack: Stack, heavy_user: Identity, provider: Provider
) -> None:
    """Who is reached has his own key and no other's, as by the path as it is."""
    _, received = asked(stack, heavy_user, provider)
    wrong = [
        f"{one.backend}: {one.path} with the keys {sorted(keys_of(one))}"
        for one in received
        if keys_of(one) != {one.backend}
    ]
    reached = [one for one in received if one.backend == provider.name]
    expect(bool(reached), BACKEND, f"some spelling that is {provider}'s path too", "none")
    expect(not wrong, BACKEND, "each provider's own key alone", f"{wrong[:5]}")


@requirement("HD-93")
@pytest.mark.parametrize("provider", EXTERNAL, ids=str)
def test_no_spelling_has_a_budget_of_its_own(
    stack: Stack, heavy_user: Identity, provider: Provider
) -> None:
    """A user whose tokens are used up at each provider is served by none of them."""
    for one in EXTERNAL:
        stack.chat(one, heavy_user, recorder={"total_tokens": MANY}).expect_status(200)
    for one in EXTERNAL:
        stack.chat(one, heavy_user).expect_refusal(429)
    answers, received = asked(stack, heavy_user, provider)
    reached = [f"{one.backend}: {one.path}" for one in received]
    expect(not reached, BACKEND, f"nothing of {len(answers)} spellings", f"{reached[:5]}")
    refused = [one for one in answers if one.status == 429]
    expect(bool(refused), MAAS, "429 for some, which are counted as the path is", "none")
