"""Sentences with *nobody* and *no* in them, over everything that the MaaS gateway can be asked."""

from collections.abc import Callable

import pytest

from fixtures.evidence import MAAS, expect
from fixtures.evidence.requirements import requirement
from fixtures.evidence.verdicts import CLOSED, PRESENT, Decision
from fixtures.kube import Kube
from fixtures.secrets import Secret
from fixtures.stack import CHAT, TIER_PREFIX, Identity, Provider, Stack
from fixtures.waiting import ENFORCED_SECONDS, until
from suites.hardening.everywhere import (
    SHOWN,
    Asker,
    Question,
    at_the_prefix,
    expect_nobody,
    known,
    rarely,
    surface,
    welcoming,
    written,
)
from suites.hardening.hosts import FORGED
from suites.maas_gateway.models import PREMIUM, PRIVATE


@requirement("HD-51")
@pytest.mark.parametrize("secure", [False, True], ids=["no-token", "who-says-who-he-is"])
def test_nobody_without_a_token(kube: Kube, stack: Stack, asker: Asker, secure: bool) -> None:
    """Every operation and method of every route, on each listener."""
    asked = [one for one in known(kube, asker, stack) if (one.listener == "https") == secure]
    if secure:
        asked += rarely(surface(kube))
    expect_nobody(asker, asker.ask(asked, headers=FORGED if secure else {}), "nobody")


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


def garbage(_: Stack) -> Identity:
    return Identity(Secret("of-nobody"))


def of_another_audience(stack: Stack) -> Identity:
    return stack.account_token(f"{TIER_PREFIX}enterprise", "somebody-else")


def of_a_deleted_account(stack: Stack) -> Identity:
    """Deleted before the token was ever used."""
    found = stack.account_token(f"{TIER_PREFIX}enterprise")
    _deleted(stack, found)
    return found


def _deleted(stack: Stack, user: Identity) -> None:
    stack.kube.delete("v1", "ServiceAccount", *stack.account_of(user.token.reveal()))


BAD = [garbage, of_another_audience, of_a_deleted_account]


@requirement("HD-51")
@pytest.mark.parametrize("whose", BAD)
def test_nobody_with_a_bad_token(
    kube: Kube, stack: Stack, asker: Asker, whose: Callable[[Stack], Identity]
) -> None:
    """Every route, by what is most asked of it over TLS; of all else each has a share."""
    identity, asked = whose(stack), known(kube, asker, stack)
    mostly = [q for q in asked if q.listener == "https" and q.method in ("GET", "POST", "DELETE")]
    rest = sorted(set(asked) - set(mostly), key=str)
    mine = [*mostly, *rest[BAD.index(whose) :: len(BAD)]]
    answers = asker.ask(mine, identity)
    expect_nobody(asker, answers, f"a token {whose.__name__}")
    # Whom rights or limits refuse was taken for somebody.
    taken = [str(one) for one in answers if one.status in (403, 429)]
    expect(not taken, MAAS, f"neither 403 nor 429 for a token {whose.__name__}",
           f"{len(taken)} of {len(answers)}: {'; '.join(taken[:SHOWN])}")  # fmt: skip


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
    welcome = welcoming(kube, asker, asked, user)
    _deleted(stack, user)
    until("the account to be nobody's on every route",
          lambda: [str(one) for one in asker.ask(welcome, user) if one.is_let_in],
          lambda still: not still, ENFORCED_SECONDS, every=0.5)  # fmt: skip
