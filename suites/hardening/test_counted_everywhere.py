"""Budgets are budgets on every way on which they are counted: when many come at once, and whatever
an answer says that was used."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from fixtures.evidence import CLIENT, Exchange, expect
from fixtures.evidence.requirements import requirement
from fixtures.kube import Kube
from fixtures.stack import CHAT, TIER_PREFIX, Identity, Stack
from suites.hardening.everywhere import SIDE_BY_SIDE
from suites.hardening.test_crowds import at_once, statuses
from suites.hardening.test_usage import Question, questions

FREE_REQUESTS, FREE_TOKENS, PREMIUM_TOKENS = 5, 100, 50_000
MESSAGES = [{"role": "user", "content": "Hello"}]
Told = Callable[[Question, Identity], str]


def chat(stack: Stack, asked: Question, user: Identity, used: object = 1) -> Exchange:
    """An answer that says that so many tokens were used."""
    body = {"model": asked.model, "messages": MESSAGES}
    path, wish = asked.route.path + CHAT, {"total_tokens": used}
    return stack.send("POST", path, user, body, recorder=wish)


def on_each_way(kube: Kube, stack: Stack, tier: str, told: Told, together: int) -> None:
    """A new user of a tier on each way that it has, and nothing wrong with any of them."""
    first = stack.account_token(f"{TIER_PREFIX}{tier}")
    ways = [one for one in questions(kube, stack, first, [CHAT]) if one.is_usual]
    expect(len(ways) > 1, CLIENT, "ways to models on which budgets are counted", f"{ways}")

    def wrong(way: Question) -> str:
        found = told(way, stack.account_token(f"{TIER_PREFIX}{tier}"))
        return f"{way}: {found}" if found else ""

    with ThreadPoolExecutor(together) as pool:
        problems = [one for one in pool.map(wrong, ways) if one]
    expect(not problems, CLIENT, f"budgets kept on each of {len(ways)} ways", "; ".join(problems))


@requirement("HD-15")
@pytest.mark.parametrize("usage", [-1000, -1.5, "many"], ids=str)
def test_usage_gives_nothing_back(kube: Kube, stack: Stack, usage: object) -> None:
    """A hundred tokens are a free user's minute, whatever was reported before."""

    def told(way: Question, user: Identity) -> str:
        answers = (chat(stack, way, user, used) for used in (usage, FREE_TOKENS + 1, 1))
        found = [one.status for one in answers]
        return "" if found == [200, 200, 429] else f"{found}"

    on_each_way(kube, stack, "free", told, SIDE_BY_SIDE)


@requirement("HD-22")
def test_parallel_requests_are_all_counted(kube: Kube, stack: Stack) -> None:
    """Ten at once of a user who has five."""
    wanted = {200: FREE_REQUESTS, 429: FREE_REQUESTS}

    def told(way: Question, user: Identity) -> str:
        found = statuses(at_once(2 * FREE_REQUESTS, lambda _: chat(stack, way, user)))
        return "" if found == wanted else f"{dict(found)}"

    on_each_way(kube, stack, "free", told, 2)


@requirement("HD-23")
def test_parallel_usage_is_all_counted(kube: Kube, stack: Stack) -> None:
    """Ten answers at once that leave a thousand tokens: one more is served, and then none."""
    used = (PREMIUM_TOKENS - 1000) // 10

    def told(way: Question, user: Identity) -> str:
        asks = partial(chat, stack, way, user)
        found = [one.status for one in at_once(10, lambda _: asks(used))]
        found += [asks(1000).status, asks(1).status]
        return "" if found == [*[200] * 11, 429] else f"{found}"

    on_each_way(kube, stack, "premium", told, 2)
