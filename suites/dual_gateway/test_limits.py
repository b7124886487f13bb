"""MaaS' limits on /v1/chat/*, on the deployed route: with the tier, and beside the model's own
path. Variants with another policy are for what the document says of policies that are not there."""

from collections.abc import Callable
from typing import Any

import pytest

from fixtures.evidence import CLIENT, Exchange
from fixtures.evidence.budget import reported_usage
from fixtures.evidence.requirements import requirement
from fixtures.evidence.verdicts import CLOSED, PRESENT, Decision
from fixtures.kube import Kube
from fixtures.stack import STREAMED, Identity, Stack
from suites.dual_gateway.vsr import MODEL_B, ROUTE, Vsr

MemberOf = Callable[[str], Identity]
FREE_REQUESTS, FREE_TOKENS = 5, 100
KINDS = [("kuadrant.io/v1", "RateLimitPolicy"), ("kuadrant.io/v1alpha1", "TokenRateLimitPolicy")]


def using(vsr: Vsr, user: Identity, tokens: int) -> Exchange:
    """A chat whose answer reports so many tokens."""
    return vsr.ask(user, recorder={"total_tokens": tokens})


def after_budget(vsr: Vsr, user: Identity) -> Exchange:
    """What a user gets who has used a free user's tokens in one answer."""
    exchange = using(vsr, user, FREE_TOKENS).expect_status(200)
    assert reported_usage(exchange) == FREE_TOKENS
    return using(vsr, user, 1)


@requirement("DG-7")
def test_request_limit(vsr: Vsr, member_of: MemberOf) -> None:
    """So many are accepted, and not one more."""
    user = member_of("free")
    for _ in range(FREE_REQUESTS):
        using(vsr, user, 1).expect_status(200)
    refused = using(vsr, user, 1).expect_status(429)
    body = refused.response.text
    refused.expect(CLIENT, body == "Too Many Requests\n", "Too Many Requests", body)
    refused.expect_no_backend().expect_no_inner()


@requirement("DG-8")
@pytest.mark.parametrize("stream", [False, True], ids=["json", "stream"])
def test_token_limit(vsr: Vsr, member_of: MemberOf, stream: bool) -> None:
    """One below the budget passes, at the budget it does not, whichever way it is reported."""
    user = member_of("free")
    wish = {"total_tokens": FREE_TOKENS - 1}
    more: dict[str, Any] = STREAMED if stream else {}
    first = vsr.ask(user, recorder=wish, **more).expect_status(200)
    assert reported_usage(first) == FREE_TOKENS - 1
    using(vsr, user, 1).expect_status(200)
    using(vsr, user, 1).expect_status(429).expect_no_backend().expect_no_inner()


@requirement("DG-8")
def test_token_limit_is_the_tiers(vsr: Vsr, member_of: MemberOf) -> None:
    """What is too much for the free tier is not for the premium one."""
    assert after_budget(vsr, member_of("premium")).expect_status(200)
    after_budget(vsr, member_of("free")).expect_status(429)


@requirement("DG-9")
def test_budgets_are_separate(stack: Stack, vsr: Vsr, member_of: MemberOf) -> None:
    """Out of budget on one path, served on the other, at the same model."""
    alice, bob = member_of("free"), member_of("free")
    wish = {"total_tokens": FREE_TOKENS}
    after_budget(vsr, alice).expect_status(429)
    stack.chat(MODEL_B, alice).expect_status(200).expect_backend_received(MODEL_B.name)
    stack.chat(MODEL_B, bob, recorder=wish).expect_status(200)
    stack.chat(MODEL_B, bob).expect_status(429).expect_no_backend()
    vsr.ask(bob).expect_status(200).expect_backend_received(MODEL_B.name)


def limited(vsr: Vsr, user: Identity) -> str:
    """The gap's state: closed where the user is not let in, or has no more than a free budget."""
    if using(vsr, user, FREE_TOKENS).status in (401, 403):
        return CLOSED
    then = using(vsr, user, 1)
    return {200: PRESENT, 429: CLOSED}.get(then.status, str(then.status))


@requirement("DG-37")
def test_namespace_of_another_name_has_no_limit(
    stack: Stack, vsr: Vsr, member_of: MemberOf, decide: Decision
) -> None:
    """The free account is limited; one of a namespace that is no tier's is let in, and is not."""
    after_budget(vsr, member_of("free")).expect_status(429)
    decide(limited(vsr, stack.account_token("conformance-strangers")))


@requirement("DG-53")
def test_tenant_of_another_name_has_no_limit(
    stack: Stack, vsr: Vsr, member_of: MemberOf, decide: Decision
) -> None:
    """The free tier of MaaS' own tenant is limited, that of another tenant is not."""
    after_budget(vsr, member_of("free")).expect_status(429)
    decide(limited(vsr, stack.account_token("other-tenant-tier-free")))


@requirement("DG-39")
def test_no_token_limit_without_the_tier(
    document_vsr: Vsr, poc_vsr: Vsr, member_of: MemberOf, decide: Decision
) -> None:
    """The same user, the same tokens: 429 under one AuthPolicy, 200 under the other."""
    user = member_of("free")
    after_budget(document_vsr, user).expect_status(429)
    seen = after_budget(poc_vsr, user).status
    decide({200: PRESENT, 429: CLOSED}.get(seen, str(seen)))


@requirement("DG-40")
def test_whether_the_tier_is_extracted(vsr: Vsr, member_of: MemberOf, decide: Decision) -> None:
    """Under the AuthPolicy that is deployed."""
    seen = after_budget(vsr, member_of("free")).status
    decide({429: "extracted", 200: "not_extracted"}.get(seen, str(seen)))


@requirement("DG-44")
def test_whether_each_path_needs_its_own(
    kube: Kube, stack: Stack, vsr: Vsr, member_of: MemberOf, decide: Decision
) -> None:
    """No limit policy names the routes; is there a limit on both?"""
    targets = {
        (policy["spec"]["targetRef"]["kind"], policy["spec"]["targetRef"]["name"])
        for api_version, kind in KINDS
        for policy in kube.all(api_version, kind)
    }
    assert not targets & {("HTTPRoute", ROUTE), ("HTTPRoute", "model-b-kserve-route")}
    user, wish = member_of("free"), {"total_tokens": FREE_TOKENS}
    stack.chat(MODEL_B, user, recorder=wish).expect_status(200)
    stack.chat(MODEL_B, user).expect_status(429)
    seen = after_budget(vsr, user).status
    decide({429: "gateway_covers_both", 200: "each_path_its_own"}.get(seen, str(seen)))
