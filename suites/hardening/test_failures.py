"""A part that is gone, and back again, in a cluster that each test leaves as it was."""

from collections.abc import Callable
from functools import partial

import pytest

from fixtures.clusters import Access
from fixtures.evidence import Exchange
from fixtures.evidence.requirements import requirement
from fixtures.evidence.verdicts import CLOSED, PRESENT, Decision
from fixtures.stack import TIER_PREFIX, Identity, Provider, Stack
from fixtures.stack.paused import paused
from fixtures.waiting import ENFORCED_SECONDS, until
from suites.hardening.parts import LIMITADOR, MAAS_API, gone, in_time, waits
from suites.mixed_providers.providers import ALL, ANTHROPIC, LOCAL, OPENAI, VLLM

pytestmark = [pytest.mark.disposable, pytest.mark.capability("disposable_clusters")]

FREE_REQUESTS = 5
# Whose Pods are another's to keep, a model's of KServe, is left out.
SERVERS = {
    OPENAI: ("external-models", "openai-simulator"),
    ANTHROPIC: ("external-models", "anthropic-simulator"),
    VLLM: ("external-models", "vllm-server"),
}


def user_of(stack: Stack, tier: str) -> Identity:
    return stack.account_token(f"{TIER_PREFIX}{tier}")


def until_answered(stack: Stack, model: Provider, user: Identity, status: int) -> None:
    """Not too often: each question is one of the user's fifty."""
    until(f"{model.name} to answer with {status}", lambda: stack.models(model, user).status,
          lambda seen: seen == status, ENFORCED_SECONDS, every=0.5)  # fmt: skip


def until_counted(stack: Stack) -> None:
    """A user who comes now is refused in the end."""
    late = user_of(stack, "free")
    until("requests to be counted again", lambda: stack.models(LOCAL, late).status,
          lambda status: status == 429, ENFORCED_SECONDS)  # fmt: skip


@requirement("HD-19")
def test_without_limitador(demo: Stack, decide: Decision) -> None:
    """A user whose budget is used up; and one who comes when Limitador is back."""
    alice = user_of(demo, "free")
    for _ in range(FREE_REQUESTS):
        demo.models(LOCAL, alice).expect_status(200)
    demo.models(LOCAL, alice).expect_refusal(429)
    with gone(demo.kube, LIMITADOR):
        statuses = {demo.models(LOCAL, alice).status for _ in range(3)}
        demo.models(LOCAL).expect_refusal(401)
    until_counted(demo)
    found = {frozenset({200}): "open", frozenset({500}): "closed"}
    decide(found.get(frozenset(statuses), f"statuses {statuses}"))


@requirement("HD-39")
@pytest.mark.capability("pausing")
def test_while_limitador_is_silent(demo: Stack, access: Access, decide: Decision) -> None:
    """A new user sends more than his requests, and nobody counts them."""
    alice = user_of(demo, "free")
    requests: list[Callable[[], Exchange]] = [
        partial(demo.models, LOCAL, alice) for _ in range(FREE_REQUESTS + 1)
    ]
    with paused(demo.kube, access, LIMITADOR):
        seconds = waits(demo.kube, "ratelimit-service", "ratelimit-check-service")
        asked = [one.status for one in in_time(requests, seconds)]
        demo.models(LOCAL).expect_refusal(401)
    until_counted(demo)
    found = {frozenset({200}): "open", frozenset({500}): "closed"}
    decide(found.get(frozenset(asked), f"statuses {asked}"))


@requirement("HD-20")
def test_without_a_provider(demo: Stack) -> None:
    """Its own users are told so, the others' are served, and it comes back by itself; one after
    the other."""
    for down, server in SERVERS.items():
        user = user_of(demo, "enterprise")
        demo.models(down, user).expect_status(200)
        with gone(demo.kube, server):
            until_answered(demo, down, user, 503)
            for other in (one for one in ALL if one is not down):
                demo.models(other, user).expect_status(200)
        until_answered(demo, down, user, 200)


@requirement("HD-36")
def test_without_maas_api(demo: Stack, decide: Decision) -> None:
    """Whose tier nobody can say is asked for no budget: six requests of a free user."""
    known = user_of(demo, "free")
    for _ in range(FREE_REQUESTS):
        demo.models(LOCAL, known).expect_status(200)
    demo.models(LOCAL, known).expect_refusal(429)
    with gone(demo.kube, MAAS_API):
        demo.models(LOCAL).expect_refusal(401)
        new = user_of(demo, "free")
        asked = [demo.models(LOCAL, new) for _ in range(FREE_REQUESTS + 1)]
        for one in asked:
            if one.status != 200:
                one.expect_refusal(401, 403, 429, 500)
    until_counted(demo)
    found = [one.status for one in asked]
    refused = found[-1] != 200
    decide(PRESENT if set(found) == {200} else CLOSED if refused else f"statuses {found}")
