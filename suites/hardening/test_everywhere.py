"""Sentences with *nobody* and *no* in them, over everything that the MaaS gateway can be asked."""

from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from fixtures.clusters import Access
from fixtures.evidence import MAAS, expect
from fixtures.evidence.requirements import requirement
from fixtures.evidence.verdicts import CLOSED, PRESENT, Decision
from fixtures.kube import Kube
from fixtures.secrets import Secret
from fixtures.stack import CHAT, TIER_PREFIX, Identity, Provider, Stack
from fixtures.stack.tokens import expired
from fixtures.waiting import ENFORCED_SECONDS, until
from suites.hardening.everywhere import (
    Answered,
    Asker,
    Question,
    at_the_prefix,
    questions,
    surface,
    written,
)
from suites.hardening.hosts import FORGED
from suites.maas_gateway.models import PREMIUM, PRIVATE
from suites.mixed_providers.providers import LOCAL

SHOWN = 12
REDIRECTS = (301, 302, 303, 307, 308)


@pytest.fixture
def asker(kube: Kube, access: Access, stack: Stack, tried: Counter[str]) -> Iterator[Asker]:
    made = Asker(kube, access, stack, tried)
    yield made
    made.close()


def expect_nobody(asker: Asker, answers: list[Answered], who: str) -> None:
    """Nobody was served, and no recorder received anything."""
    assert answers, "there was nothing to ask"
    served = [str(one) for one in answers if one.is_let_in] + asker.received()
    shown = "; ".join(served[:SHOWN])
    expect(not served, MAAS, f"nothing for {who} at {len(answers)} questions",
           f"{len(served)} let in: {shown}")  # fmt: skip


def known(kube: Kube, asker: Asker, stack: Stack) -> list[Question]:
    """All the questions, once a good one has shown that an answer from behind the gateway is told
    from the gateway's own: else a backend's refusal would pass for the gateway's."""
    found = questions(surface(kube))
    listing = [q for q in found if (q.method, q.path) == ("GET", f"{LOCAL.path}/v1/models")]
    assert listing, f"no route leads to {LOCAL.path}"
    good = asker.ask(listing[:1], stack.account_token(f"{TIER_PREFIX}enterprise"))
    expect(good[0].behind, MAAS, "an answer from behind it for a good token", str(good[0]))
    asker.renew()
    return found


@requirement("HD-51")
@pytest.mark.parametrize(
    ("listener", "headers"),
    [("http", {}), ("https", FORGED)],
    ids=["no-token", "who-says-who-he-is"],
)
def test_nobody_without_a_token(
    kube: Kube, stack: Stack, asker: Asker, listener: str, headers: dict[str, str]
) -> None:
    """Every operation and method of every route."""
    asked = [one for one in known(kube, asker, stack) if one.listener == listener]
    expect_nobody(asker, asker.ask(asked, headers=headers), "nobody")


@requirement("HD-10", "HD-51")
def test_no_spelling_leads_past_authentication(kube: Kube, stack: Stack, asker: Asker) -> None:
    """Every route, and what is asked of it most, written in every way."""
    asked = known(kube, asker, stack)
    mostly = [q for q in asked if q.listener == "https" and q.method == "POST"
              and q.path.endswith(("/chat/completions", "/v1/tokens"))]  # fmt: skip
    spelled = [
        Question(q.listener, q.host, q.route, q.method, path)
        for q in mostly for path in written(q.path)
    ]  # fmt: skip
    expect_nobody(asker, asker.ask(spelled, headers=FORGED), "nobody")


@requirement("HD-54")
def test_at_the_prefix_itself(kube: Kube, stack: Stack, asker: Asker, decide: Decision) -> None:
    """One of them that is let in is enough; a good token shows that they lead somewhere."""
    asked = at_the_prefix(surface(kube))
    if not asked:
        pytest.skip("no route has a prefix that ends with a slash")
    served = asker.ask(asked, stack.account_token(f"{TIER_PREFIX}enterprise"))
    assert any(one.is_let_in for one in served), f"{[str(one) for one in served]}"
    decide(PRESENT if any(one.is_let_in for one in asker.ask(asked)) else CLOSED)


def garbage(_: Stack, __: Access) -> Identity:
    return Identity(Secret("of-nobody"))


def of_another_audience(stack: Stack, _: Access) -> Identity:
    return stack.account_token(f"{TIER_PREFIX}enterprise", "somebody-else")


def of_a_deleted_account(stack: Stack, _: Access) -> Identity:
    """Deleted before the token was ever used."""
    found = stack.account_token(f"{TIER_PREFIX}enterprise")
    _deleted(stack, found)
    return found


def _deleted(stack: Stack, user: Identity) -> None:
    stack.kube.delete("v1", "ServiceAccount", *stack.account_of(user.token.reveal()))


def that_expired(stack: Stack, access: Access) -> Identity:
    if access.signing_key is None:
        pytest.skip("the API server's key for tokens is not at hand")
    return expired(stack.account_token(f"{TIER_PREFIX}enterprise"), access)


@requirement("HD-51")
@pytest.mark.parametrize(
    "whose", [garbage, of_another_audience, of_a_deleted_account, that_expired]
)
def test_nobody_with_a_bad_token(
    kube: Kube, stack: Stack, access: Access, asker: Asker,
    whose: Callable[[Stack, Access], Identity],
) -> None:  # fmt: skip
    """Every route, by what is most asked of it."""
    identity = whose(stack, access)
    asked = [q for q in known(kube, asker, stack) if q.listener == "https"
             and q.method in ("GET", "POST", "DELETE")]  # fmt: skip
    expect_nobody(asker, asker.ask(asked, identity), f"a token {whose.__name__}")


@requirement("HD-52")
@pytest.mark.parametrize(
    ("model", "tier"),
    [(PREMIUM, "free"), (PRIVATE, "free"), (PRIVATE, "premium"), (PRIVATE, "enterprise")],
    ids=str,
)
def test_nobody_without_the_right(
    kube: Kube, stack: Stack, asker: Asker, model: Provider, tier: str
) -> None:
    """A good token, and every operation and method of a model that its tier may not use."""
    asked = [q for q in known(kube, asker, stack) if q.path.startswith(model.path)]
    assert asked, f"no route leads to {model.path}"
    user = stack.account_token(f"{TIER_PREFIX}{tier}")
    expect_nobody(asker, asker.ask(asked, user), f"a user of the {tier} tier")


@requirement("HD-53")
def test_a_deleted_account_is_nobodys_everywhere(kube: Kube, stack: Stack, asker: Asker) -> None:
    """Each route has let it in before it is deleted, and remembers it for a while; but for the
    models that it may not use."""
    bases = {one.base for one in surface(kube)}
    user = stack.account_token(f"{TIER_PREFIX}enterprise")
    once = {("GET", f"{base}/v1/models") for base in bases} | {("POST", CHAT)}
    asked = [q for q in known(kube, asker, stack) if q.listener == "https"
             and (q.method, q.path) in once]  # fmt: skip
    before = asker.ask(asked, user)
    stand = {one.route for one in surface(kube)}  # tests beside this one take theirs away
    shut = [str(one) for one in before if one.question.route in stand
            and not (one.is_let_in or one.status in (*REDIRECTS, 403))]  # fmt: skip
    expect(not shut, MAAS, "an answer, a redirect or 403 of every route", f"{shut}")
    welcome = [one.question for one in before if one.is_let_in]
    expect(bool(welcome), MAAS, "a route that lets an enterprise user in", "none")
    _deleted(stack, user)
    until("the account to be nobody's on every route",
          lambda: [str(one) for one in asker.ask(welcome, user) if one.is_let_in],
          lambda still: not still, ENFORCED_SECONDS, every=0.5)  # fmt: skip
