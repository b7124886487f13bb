"""The free tier's hundred tokens a minute, over the bridge, and MaaS' five requests."""

import math

import pytest

from fixtures.evidence import CLIENT
from fixtures.evidence.budget import reported_usage
from fixtures.evidence.requirements import requirement
from fixtures.evidence.verdicts import Decision
from fixtures.stack import CHAT, Identity, Stack
from fixtures.waiting import ENFORCED_SECONDS, until
from suites.external_models.backends import DOCUMENTS_HOST, SIMULATOR, Backends

FREE_TOKENS, FREE_REQUESTS, REQUESTS = 100, 5, 16
HELLO = {
    "model": SIMULATOR.model,
    "messages": [{"role": "user", "content": "Hello"}],
    "max_tokens": 50,
}


@requirement("EM-17")
@pytest.mark.parametrize("tokens", [30, 40, 99, 100, 150])
def test_sequence(stack: Stack, free_user: Identity, tokens: int) -> None:
    """One request, then sixteen: 200 as long as less than the budget is used, then 429. Answers so
    large that no user gets to a fifth request."""
    wish = {"total_tokens": tokens}
    used = reported_usage(stack.chat(SIMULATOR, free_user, recorder=wish).expect_status(200))
    exchanges = [stack.chat(SIMULATOR, free_user, recorder=wish) for _ in range(REQUESTS)]
    accepted = math.ceil(FREE_TOKENS / used) - 1
    wanted = [200] * accepted + [429] * (REQUESTS - accepted)
    found = [exchange.status for exchange in exchanges]
    exchanges[-1].expect(CLIENT, found == wanted, f"{wanted}", f"{found}")
    exchanges[-1].expect_no_backend().expect_no_inner()


@requirement("EM-32")
def test_which_limit_ends_the_sequence(
    stack: Stack, alice: Identity, free_user: Identity, backends: Backends, decide: Decision
) -> None:
    """The quickstart's own commands against its own simulator, through the deployed bridge, but for
    answers so short that no five of them use up the tokens: real ones are as long as is drawn."""
    path = backends.route(backends.destination(DOCUMENTS_HOST)) + CHAT
    until("the simulator's route", lambda: stack.send("POST", path, alice, HELLO).status,
          lambda status: status == 200, ENFORCED_SECONDS, every=0.2)  # fmt: skip
    short = {**HELLO, "max_tokens": FREE_TOKENS // FREE_REQUESTS - 5}
    exchanges = [stack.send("POST", path, free_user, short) for _ in range(1 + REQUESTS)]
    used = [reported_usage(one) for one in exchanges if one.status == 200]
    passed, tokens = len(used), sum(used)
    found = [one.status for one in exchanges]
    wanted = [200] * passed + [429] * (1 + REQUESTS - passed)
    exchanges[-1].expect(CLIENT, found == wanted, "no 200 after a 429", f"{found}")
    if passed == FREE_REQUESTS and tokens < FREE_TOKENS:
        decide("requests")
    elif passed > FREE_REQUESTS and tokens - used[-1] < FREE_TOKENS <= tokens:
        decide("tokens")
    else:
        decide(f"{passed} of {1 + REQUESTS}, with {tokens} tokens")
