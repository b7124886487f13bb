"""The free tier's hundred tokens a minute, over the bridge."""

import math

import pytest

from fixtures.budget import reported_usage
from fixtures.evidence import CLIENT
from fixtures.requirements import requirement
from fixtures.stack import Identity, Stack
from suites.external_models.backends import SIMULATOR

FREE_TOKENS, REQUESTS, EXAMPLE = 100, 16, 17


@requirement("EM-17")
@pytest.mark.parametrize("tokens", [EXAMPLE, 9, 40, 100])
def test_sequence(stack: Stack, free_user: Identity, tokens: int) -> None:
    """One request, then sixteen: 200 as long as less than the budget is used, then 429.

    With the example's 17 tokens an answer: five times 200, eleven times 429.
    """
    wish = {"total_tokens": tokens}
    used = reported_usage(stack.chat(SIMULATOR, free_user, recorder=wish).expect_status(200))
    exchanges = [stack.chat(SIMULATOR, free_user, recorder=wish) for _ in range(REQUESTS)]
    accepted = math.ceil(FREE_TOKENS / used) - 1
    wanted = [200] * accepted + [429] * (REQUESTS - accepted)
    found = [exchange.status for exchange in exchanges]
    exchanges[-1].expect(CLIENT, found == wanted, f"{wanted}", f"{found}")
    exchanges[-1].expect_no_backend().expect_no_inner()
    assert tokens != EXAMPLE or accepted == 5
