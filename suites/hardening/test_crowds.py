"""Many at once: who waits for whom, and who is served.

On different routes: Authorino asks five times a second for each (HD-35), and these tests run beside
others.
"""

import contextlib
import time
import uuid
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from fixtures.evidence import CLIENT, ID_HEADER, Exchange, expect
from fixtures.evidence.requirements import requirement
from fixtures.evidence.verdicts import CLOSED, PRESENT, Decision
from fixtures.kube import Kube
from fixtures.stack import TIER_PREFIX, Identity, Provider, Stack, hurried
from fixtures.stack.grants import granted
from fixtures.stack.local_models import local_model
from fixtures.waiting import until
from suites.mixed_providers.providers import ALL, LOCAL

CROWD, CROWDS = 50, 4
CROWD_SECONDS = 6.0  # ten at once and five a second are forty by then
SLOW_REQUESTS, SLOW_SECONDS, STARTED_SECONDS = 20, 12, 8


def at_once(count: int, ask: Callable[[int], Exchange], together: int = 0) -> list[Exchange]:
    """So many requests side by side, `together` at most where that is given; each gets its
    number."""
    with ThreadPoolExecutor(together or count) as pool:
        return list(pool.map(ask, range(count)))


def statuses(exchanges: list[Exchange]) -> Counter[int]:
    return Counter(one.status for one in exchanges)


@requirement("HD-31")
@pytest.mark.window(SLOW_SECONDS)
def test_nobody_waits_for_the_slow(stack: Stack, heavy_user: Identity) -> None:
    """While twenty requests of one user wait for each provider, others are served by all."""
    slow = [one for one in ALL if not stack.is_real(one)]
    other = stack.account_token(f"{TIER_PREFIX}enterprise")
    wish, together = {"hang": SLOW_SECONDS}, {ID_HEADER: f"conformance-{uuid.uuid4()}"}
    with ThreadPoolExecutor(len(slow) * SLOW_REQUESTS) as pool:
        waiting = [
            pool.submit(stack.chat, one, heavy_user, together, recorder=wish)
            for _ in range(SLOW_REQUESTS)
            for one in slow
        ]
        wanted = {one.name: SLOW_REQUESTS for one in slow}
        until("all of them at the providers",
              lambda: {one.name: len(stack.records_of(one, together[ID_HEADER])) for one in slow},
              lambda found: found == wanted, STARTED_SECONDS)  # fmt: skip
        for provider in ALL:
            stack.chat(provider, other).expect_status(200)
        early = [one.result().status for one in waiting if one.done()]
        expect(early == [], CLIENT, f"all {len(waiting)} still waiting", f"answers {early}")
        found = statuses([one.result() for one in waiting])
    expect(found == {200: len(waiting)}, CLIENT, f"{len(waiting)} answers", f"{dict(found)}")


@requirement("HD-35")
def test_a_crowd_on_one_route(kube: Kube, stack: Stack, decide: Decision) -> None:
    """Fifty requests at once, on a route that no other test waits for, and one more afterwards.

    Authorino counts anew when it reads an AuthConfig again, as it may in the middle of a crowd: one
    that was served whole is followed by the next, of another user.
    """
    users = [stack.account_token(f"{TIER_PREFIX}enterprise") for _ in range(CROWDS)]
    with local_model(kube, LOCAL.namespace) as model, contextlib.ExitStack() as rights:
        for user in users:
            rights.enter_context(granted(kube, user, LOCAL.namespace, [model.name]))
        stack.wait_in_effect([model])
        at_once(CROWD, lambda _: stack.models(model))  # nobody asks who that is: all connected
        for user in users:
            found, seconds = _crowd(stack, model, user)
            refused = any(hurried(one) for one in found)
            if refused:  # the token is good
                stack.models(model, user).expect_status(200)
            if refused or {one.status for one in found} != {200}:
                break
    if not refused and seconds > CROWD_SECONDS:
        pytest.skip(f"the crowd took {seconds:.0f} s to come: slow enough for Authorino")
    # 500: the gateway stopped waiting before Authorino answered, and says nothing of its limit.
    others = {one.status for one in found if not hurried(one)} - ({200, 500} if refused else {200})
    decide(f"statuses {sorted(others)}" if others else PRESENT if refused else CLOSED)


def _crowd(stack: Stack, model: Provider, user: Identity) -> tuple[list[Exchange], float]:
    """What it got, and after how many seconds the last one."""
    began = time.monotonic()
    path = f"{model.path}/v1/models"
    found = at_once(CROWD, lambda _: stack.send("GET", path, user, patient=False))
    return found, time.monotonic() - began
