"""The token budget of the free tier: 100 tokens a minute for each user.

Budgets are computed from the usage that responses report. The window is the documented one.
"""

import time

import pytest

from fixtures.evidence import CLIENT
from fixtures.evidence.budget import Spent, reported_usage, spend
from fixtures.evidence.requirements import requirement
from fixtures.evidence.verdicts import Decision
from fixtures.stack import Identity, Provider, Stack
from fixtures.stack.windows import refused_shortly_before
from fixtures.waiting import wait_until
from suites.mixed_providers.providers import ALL, ANTHROPIC, OPENAI, VLLM

FREE_TOKENS, WINDOW_SECONDS = 100, 60


def used_up(stack: Stack, provider: Provider, user: Identity) -> Spent:
    """Chat until the first refusal, which must come within the budget."""
    return spend(lambda: stack.chat(provider, user), FREE_TOKENS)


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
def test_budget_is_per_user(stack: Stack, alice: Identity, bob: Identity) -> None:
    """Alice is out of budget; Bob is served."""
    used_up(stack, OPENAI, alice)
    stack.chat(OPENAI, bob).expect_status(200)
    stack.chat(OPENAI, alice).expect_status(429)


@requirement("MP-45")
def test_streamed_usage_counts(stack: Stack, alice: Identity) -> None:
    """One stream that reports more than the budget, and nothing is left of it."""
    options, wish = {"include_usage": True}, {"total_tokens": 2 * FREE_TOKENS}
    exchange = stack.chat(OPENAI, alice, stream=True, stream_options=options, recorder=wish)
    kind = exchange.expect_status(200).response.headers["content-type"]
    exchange.expect(CLIENT, kind.startswith("text/event-stream"), "a stream", kind)
    assert reported_usage(exchange) == 2 * FREE_TOKENS
    stack.chat(OPENAI, alice).expect_status(429)


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
    """Refused shortly before the minute is over that the first hit began, then served.

    Few requests, because a free user has but five in two minutes: so they are long ones.
    """
    began = time.monotonic()
    spend(lambda: stack.chat(VLLM, alice, max_tokens=FREE_TOKENS), FREE_TOKENS)
    counted = time.monotonic()  # the first hit was counted between `began` and now
    refused_shortly_before(began + WINDOW_SECONDS, [lambda: stack.chat(VLLM, alice)])
    wait_until(counted + WINDOW_SECONDS + 1)
    stack.chat(VLLM, alice).expect_status(200)


@requirement("MP-47")
def test_what_the_budget_spans(stack: Stack, alice: Identity, decide: Decision) -> None:
    """Out of budget at OpenAI: what does Anthropic say?"""
    used_up(stack, OPENAI, alice)
    exchange = stack.chat(ANTHROPIC, alice)
    decide({200: "per_route", 429: "across_providers"}.get(exchange.status, str(exchange.status)))
