"""Parts on the requests' way that are renewed in working hours; each test leaves its cluster as it
was."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from fixtures.evidence import ID_HEADER
from fixtures.evidence.requirements import requirement
from fixtures.evidence.verdicts import CLOSED, PRESENT, Decision
from fixtures.stack import Stack
from fixtures.waiting import ENFORCED_SECONDS, until
from suites.hardening.parts import (
    AUTHORINO,
    EGRESS_PROXY,
    LIMITADOR,
    MAAS_API,
    SIMULATOR,
    Part,
    replaced,
    rolled,
    scaled,
)
from suites.hardening.test_failures import user_of
from suites.hardening.test_restarts import Customers
from suites.mixed_providers.providers import EXTERNAL, OPENAI

pytestmark = [pytest.mark.disposable, pytest.mark.capability("disposable_clusters")]

ROLLED = {"authorino": AUTHORINO, "limitador": LIMITADOR, "maas-api": MAAS_API, "model": SIMULATOR}
AFTERWARDS_SECONDS = 1.5  # what the last of the old ones was still asked
SLOW_SECONDS, SLOW_REQUESTS = 4, 4


@requirement("HD-97")
@pytest.mark.parametrize("part", ROLLED.values(), ids=list(ROLLED))
def test_a_part_is_renewed_while_requests_come(demo: Stack, part: Part) -> None:
    """Of two Pods others are ready before the old ones go (maxUnavailable 0)."""
    with scaled(demo.kube, 2, part):
        with Customers(demo) as customers:
            rolled(demo.kube, part)
            time.sleep(AFTERWARDS_SECONDS)
        customers.expect_served_again(f"{part[1]} is renewed", ended=2)


@requirement("HD-98")
def test_the_egress_gateway_is_renewed_while_answers_are_made(
    demo: Stack, decide: Decision
) -> None:
    """What it is waiting for when its Pod is told to end, as by a drain of its node."""
    user, together = user_of(demo, "enterprise"), {ID_HEADER: f"conformance-{time.time_ns()}"}
    for provider in EXTERNAL:
        demo.models(provider, user).expect_status(200)
    with ThreadPoolExecutor(SLOW_REQUESTS) as pool:
        asked = [
            pool.submit(demo.chat, OPENAI, user, together, {"hang": SLOW_SECONDS})
            for _ in range(SLOW_REQUESTS)
        ]
        until("all of them at the provider",
              lambda: len(demo.records_of(OPENAI, together[ID_HEADER])),
              lambda seen: seen == SLOW_REQUESTS, ENFORCED_SECONDS)  # fmt: skip
        replaced(demo.kube, EGRESS_PROXY)
        found = sorted(one.result().status for one in asked)
    served = [status for status in found if status == 200]
    lost = [status for status in found if status in (502, 503)]
    if len(served) + len(lost) < SLOW_REQUESTS:
        decide(f"statuses {found}")
    decide(PRESENT if lost else CLOSED)
