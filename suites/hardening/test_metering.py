"""What is counted, and on whose account."""

import uuid

import pytest

from fixtures.grants import granted
from fixtures.kube import Kube
from fixtures.requirements import requirement
from fixtures.stack import AUDIENCE, TIER_PREFIX, Identity, Stack
from fixtures.verdicts import Decision
from suites.maas_gateway.models import PREMIUM
from suites.mixed_providers.providers import LOCAL

PREMIUM_REQUESTS = 20
PREMIUM_GROUP = "conformance-premium-users"  # a namespace whose group has that tier


@requirement("HD-15")
@pytest.mark.parametrize("usage", [-1000, -1.5, "many"], ids=str)
def test_usage_gives_nothing_back(stack: Stack, alice: Identity, usage: object) -> None:
    """A hundred tokens are a free user's minute, whatever was reported before."""
    stack.chat(LOCAL, alice, recorder={"total_tokens": usage}).expect_status(200)
    stack.chat(LOCAL, alice, recorder={"total_tokens": 101}).expect_status(200)
    stack.chat(LOCAL, alice).expect_refusal(429)


@requirement("HD-16")
def test_namesakes(kube: Kube, stack: Stack, decide: Decision) -> None:
    """A premium account, its namesake of another namespace with the same tier, and a stranger."""
    name = f"user-{uuid.uuid4().hex[:12]}"

    def account(namespace: str, called: str) -> Identity:
        kube.service_account(namespace, called)
        username = f"system:serviceaccount:{namespace}:{called}"
        return Identity(kube.token(namespace, called, [AUDIENCE]), username)

    first = account(f"{TIER_PREFIX}premium", name)
    namesake, stranger = account(PREMIUM_GROUP, name), account(PREMIUM_GROUP, f"{name}-x")
    model = PREMIUM.path.rpartition("/")[2]
    with granted(kube, namesake, "llm", [model]), granted(kube, stranger, "llm", [model]):
        for _ in range(PREMIUM_REQUESTS):
            stack.models(PREMIUM, first).expect_status(200)
        stack.models(PREMIUM, first).expect_refusal(429)
        stack.models(PREMIUM, stranger).expect_status(200)
        found = stack.models(PREMIUM, namesake).status
    decide({429: "present", 200: "closed"}.get(found, f"status {found}"))
