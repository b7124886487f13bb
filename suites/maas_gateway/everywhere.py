"""A new user of each tier on each way to a model on which the policies know it, whoever made it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from fixtures.evidence import CLIENT, Exchange, expect
from fixtures.kube import Kube
from fixtures.stack import CHAT, TIER_PREFIX, Identity, Stack
from suites.hardening.everywhere import SIDE_BY_SIDE
from suites.hardening.test_usage import Question, questions
from suites.maas_gateway.tiers import REQUESTS

MESSAGES = [{"role": "user", "content": "Hello"}]


@dataclass(frozen=True)
class Spender:
    """Somebody who asks on one way alone."""

    stack: Stack
    way: Question
    tier: str
    user: Identity

    def use(self, tokens: int = 1, **wished: object) -> Exchange:
        """A chat whose answer reports so many tokens, or is what is wished for beside that."""
        body, wish = {"model": self.way.model, "messages": MESSAGES}, {"total_tokens": tokens}
        path = self.way.route.path + CHAT
        return self.stack.send("POST", path, self.user, body, recorder={**wish, **wished})

    def hit(self, times: int) -> None:
        """Requests that are all accepted."""
        for number in range(1, times + 1):
            exchange = self.use()
            wanted = f"200 for {times} requests of a user of the tier {self.tier}"
            observed = f"{exchange.status} at request {number} on {self.way}"
            exchange.expect(CLIENT, exchange.status == 200, wanted, observed)


def spenders(kube: Kube, stack: Stack) -> list[Spender]:
    """One of each tier on each way that it may use."""
    found = []
    for tier in REQUESTS:
        first = stack.account_token(TIER_PREFIX + tier)
        ways = [one for one in questions(kube, stack, first, [CHAT]) if one.is_usual]
        expect(bool(ways), CLIENT, f"ways to models for the tier {tier}", "none")
        found += [
            Spender(stack, one, tier, stack.account_token(TIER_PREFIX + tier)) for one in ways
        ]
    return found


def side_by_side(found: list[Spender], does: Callable[[Spender], object]) -> None:
    """All of them, several at a time."""
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        list(pool.map(does, found))
