"""The token budget of the free tier: 100 tokens a minute for each user.

Budgets are computed from the usage that responses report. The window is the documented one.
"""

import time
from functools import partial
from typing import Any

import pytest

from fixtures.evidence import CLIENT
from fixtures.evidence.budget import Spent, spend
from fixtures.evidence.requirements import requirement
from fixtures.evidence.verdicts import Decision
from fixtures.stack import STREAMED, Identity, Provider, Stack
from fixtures.stack.windows import refused_shortly_before
from fixtures.waiting import wait_until
from suites.mixed_providers.providers import ALL, OPENAI

FREE_TOKENS, WINDOW_SECONDS = 100, 60


def used_up(stack: Stack, provider: Provider, user: Identity) -> Spent:
    """Chat until the first refusal, which must come within the budget."""
    return spend(lambda: stack.chat(provider, user), FREE_TOKENS)


def whole_budget(stack: Stack, provider: Provider) -> dict[str, Any]:
    """To ask for an answer that uses it up; of a real server for a long one."""
    if stack.is_real(provider):
        return {"max_tokens": FREE_TOKENS}
    return {"recorder": {"total_tokens": FREE_TOKENS}}


@requirement("MP-19", "MP-25")
@pytest.mark.parametrize("provider", ALL, ids=str)
def test_budget_ends_in_429(stack: Stack, alice: Identity, provider: Provider) -> None:
    """200s, then 429s that reach no backend, through the other listener neither."""
    spent = used_up(stack, provider, alice)
    assert spent.accepted, "not one request was accepted"
    for refused in (spent.refused, stack.chat(provider, alice)):
        refused.expect_status(429).expect_no_backend()
        body = refused.response.text
        refused.expect(CLIENT, body == "Too Many Requests\n", "Too Many Requests", body)
    plain = stack.send("GET", f"{provider.path}/v1/models", alice, tls=False)
    plain.expect_status(429).expect_no_backend()


@requirement("MP-43")
@pytest.mark.parametrize("provider", ALL, ids=str)
def test_budget_is_counted_from_reported_usage(
    stack: Stack, alice: Identity, provider: Provider
) -> None:
    """Below 100 tokens a request passes, and may overshoot; from 100 on it does not."""
    spent = used_up(stack, provider, alice)
    before_last, total = sum(spent.usage[:-1]), sum(spent.usage)
    expected = f"the refusal when the usage so far has reached {FREE_TOKENS}"
    right = before_last < FREE_TOKENS <= total
    spent.refused.expect(CLIENT, right, expected, f"usages {spent.usage}, then the refusal")


@requirement("MP-44")
@pytest.mark.parametrize("provider", ALL, ids=str)
def test_budget_is_per_user(
    stack: Stack, alice: Identity, bob: Identity, provider: Provider
) -> None:
    """Alice is out of budget; Bob is served."""
    used_up(stack, provider, alice)
    stack.chat(provider, bob).expect_status(200)
    stack.chat(provider, alice).expect_status(429)


@requirement("MP-45")
@pytest.mark.parametrize("provider", ALL, ids=str)
def test_streamed_usage_counts(stack: Stack, alice: Identity, provider: Provider) -> None:
    """Streams that report what they used, and nothing is left of the budget once they used it."""
    more = STREAMED | whole_budget(stack, provider)
    spent = spend(partial(stack.chat, provider, alice, **more), FREE_TOKENS)
    for exchange in spent.accepted:
        kind = exchange.response.headers["content-type"]
        exchange.expect(CLIENT, kind.startswith("text/event-stream"), "a stream", kind)
    right = sum(spent.usage[:-1]) < FREE_TOKENS <= sum(spent.usage)
    expected = f"the refusal when streams have used {FREE_TOKENS}"
    spent.refused.expect(CLIENT, right, expected, f"usages {spent.usage}, then the refusal")


@requirement("MP-26")
def test_tier_comes_from_the_namespace(stack: Stack) -> None:
    """The same requests: the free ServiceAccount gets 429, the premium one goes on."""
    free = stack.account_token("maas-default-gateway-tier-free")
    premium = stack.account_token("maas-default-gateway-tier-premium")
    count = len(used_up(stack, OPENAI, free).accepted)
    for _ in range(count + 2):
        stack.chat(OPENAI, premium).expect_status(200)


@requirement("MP-46")
@pytest.mark.window(WINDOW_SECONDS)
def test_budget_returns_after_the_window(stack: Stack, alice: Identity) -> None:
    """At each provider: refused shortly before the minute is over that the first hit began, then
    served.

    Few requests, because a free user has but five in two minutes: so they are long ones.
    """
    began, counted = {}, {}  # each first hit was counted between the two
    for provider in ALL:
        began[provider] = time.monotonic()
        more = whole_budget(stack, provider)
        spend(partial(stack.chat, provider, alice, **more), FREE_TOKENS)
        counted[provider] = time.monotonic()
    for provider in ALL:
        ask = partial(stack.chat, provider, alice)
        refused_shortly_before(began[provider] + WINDOW_SECONDS, [ask])
    for provider in ALL:
        wait_until(counted[provider] + WINDOW_SECONDS + 1)
        stack.chat(provider, alice).expect_status(200)


@requirement("MP-47")
def test_what_the_budget_spans(stack: Stack, decide: Decision) -> None:
    """Out of budget at one provider: what do the others say? Of each, with users of their own."""
    said = {}
    for spent in ALL:
        user = stack.free_user()
        used_up(stack, spent, user)
        for other in (one for one in ALL if one is not spent):
            said[f"{spent} and {other}"] = stack.chat(other, user).status
    found = {frozenset({200}): "per_route", frozenset({429}): "across_providers"}
    decide(found.get(frozenset(said.values()), f"{said}"))
