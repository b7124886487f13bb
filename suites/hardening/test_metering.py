"""What is counted, and on whose account."""

import time
import uuid

import pytest

from fixtures.clusters import Access
from fixtures.evidence import BACKEND, CLIENT, expect
from fixtures.evidence.requirements import requirement
from fixtures.evidence.verdicts import CLOSED, PRESENT, Decision
from fixtures.kube import Kube
from fixtures.stack import AUDIENCE, STREAMED, TIER_PREFIX, Identity, Stack
from fixtures.stack.grants import granted
from fixtures.waiting import SETTLED_SECONDS
from suites.hardening.wire import Wire
from suites.maas_gateway.models import PREMIUM
from suites.mixed_providers.providers import LOCAL

FREE_REQUESTS, PREMIUM_REQUESTS = 5, 20
PREMIUM_GROUP = "conformance-premium-users"  # a namespace whose group has that tier


@requirement("HD-16")
@pytest.mark.as_deployed("ConfigMap opendatahub/tier-to-group-mapping")
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


MORE_THAN_ALL = 1000  # tokens: ten times a free user's minute
UNCOUNTED = {200: PRESENT, 429: CLOSED}


def left(stack: Stack, user: Identity) -> str:
    """Whether what was used has not been counted: the next question's status decides."""
    found = stack.chat(LOCAL, user).status
    return UNCOUNTED.get(found, f"status {found}")


@requirement("HD-24")
def test_streams_that_are_cut(
    kube: Kube, access: Access, stack: Stack, alice: Identity, decide: Decision
) -> None:
    """The same stream, read by one user to its end, and left by the other at its first event."""
    wish = {"total_tokens": MORE_THAN_ALL, "sse": "pieces", "text": "word " * 20}
    patient = stack.account_token(f"{TIER_PREFIX}free")
    stack.chat(LOCAL, patient, recorder=wish, **STREAMED).expect_status(200)
    stack.chat(LOCAL, patient).expect_refusal(429)
    wire = Wire(kube, access, stack, alice, LOCAL)
    received = [one.backend for one in wire.cut(wire.body(**STREAMED), wish)]
    expect(received == [LOCAL.name], BACKEND, "one request", f"requests at {received}")
    time.sleep(2 * SETTLED_SECONDS)  # the provider would have come to its end by now
    decide(left(stack, alice))


@requirement("HD-25")
def test_packed_answers(stack: Stack, alice: Identity, decide: Decision) -> None:
    """The same answer plain, and with gzip, which the client unpacks."""
    plain = stack.account_token(f"{TIER_PREFIX}free")
    wish = {"total_tokens": MORE_THAN_ALL}
    stack.chat(LOCAL, plain, recorder=wish).expect_status(200)
    stack.chat(LOCAL, plain).expect_refusal(429)
    packed = stack.chat(LOCAL, alice, recorder={**wish, "encoding": "gzip"}).expect_status(200)
    coding = packed.response.headers.get("content-encoding")
    packed.expect(CLIENT, coding == "gzip", "a packed answer", f"content-encoding {coding}")
    used = packed.json["usage"]["total_tokens"]
    packed.expect(CLIENT, used == MORE_THAN_ALL, f"{MORE_THAN_ALL} tokens", f"{used}")
    decide(left(stack, alice))


@requirement("HD-48")
def test_what_a_listing_costs(stack: Stack, alice: Identity, decide: Decision) -> None:
    """The model's answers to two users, one who has listed the models and one who has not: to
    chats, as a policy may count no /v1/models."""
    other = stack.account_token(f"{TIER_PREFIX}free")
    listing = stack.send("GET", "/v1/models", alice).expect_status(200)
    names = [one["id"] for one in listing.listed()]
    listing.expect(CLIENT, LOCAL.model in names, f"{LOCAL.model} in the listing", f"{names}")
    whole, left = (answers(stack, user) for user in (other, alice))
    decide(CLOSED if left == whole else PRESENT if left < whole else f"{left} answers")


def answers(stack: Stack, user: Identity) -> int:
    """How many answers of the local model a free user gets before he is refused; one more than
    the documents' limit where there is none."""
    few = {"total_tokens": 1}
    asked = (stack.chat(LOCAL, user, recorder=few) for _ in range(FREE_REQUESTS + 1))
    found = [one.status for one in asked]
    served = found.count(200)
    wanted = [200] * served + [429] * (len(found) - served)
    expect(found == wanted, CLIENT, "200, and 429 from the limit on", f"statuses {found}")
    return served
