"""What is not a good token in one Authorization is none, at every route of the MaaS gateway."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import pytest

from fixtures.clusters import Access
from fixtures.evidence.requirements import requirement
from fixtures.evidence.verdicts import CLOSED, PRESENT, Decision
from fixtures.kube import Kube
from fixtures.secrets import Secret
from fixtures.stack import TIER_PREFIX, Identity, Stack
from fixtures.stack.tokens import (
    altered,
    expected_later,
    expired,
    of_another_key,
    padded,
    unsigned,
)
from suites.hardening.everywhere import (
    Asker,
    Question,
    expect_nobody,
    known,
    usual,
    welcoming,
)

BESIDE = ("/v1/completions", "/v1/embeddings", "/v1/api-keys")  # what is asked less often
IN_THE_QUERY = ("access_token", "token", "authorization", "api_key", "key")
# Where other APIs, gateways and browsers have it.
ELSEWHERE: dict[str, Callable[[str], dict[str, str]]] = {
    "cookie": lambda token: {"cookie": f"access_token={token}; Authorization={token}"},
    "proxy": lambda token: {"proxy-authorization": f"Bearer {token}"},
    "forwarded": lambda token: {
        "x-forwarded-access-token": token,
        "x-original-authorization": f"Bearer {token}",
    },
    "api-key": lambda token: {"x-api-key": token, "api-key": token, "x-auth-token": token},
    "protocol": lambda token: {"sec-websocket-protocol": f"openai-insecure-api-key.{token}"},
}


@dataclass(frozen=True)
class Doors:
    """What is asked of every route, and a user whom it lets in."""

    asker: Asker
    questions: list[Question]
    user: Identity


@pytest.fixture(scope="module")
def doors(kube: Kube, access: Access, stack: Stack) -> Iterator[Doors]:
    """Those that let a user in, on each listener: what they refuse now is what is wrong with his
    token."""
    user, asker = stack.account_token(f"{TIER_PREFIX}enterprise"), Asker(kube, access, stack)
    mostly = {(one.method, one.path) for one in usual(kube)}
    asked = [
        one
        for one in known(kube, asker, stack)
        if (one.method, one.path) in mostly
        or (one.listener == "https" and one.method == "POST" and one.path.endswith(BESIDE))
    ]
    yield Doors(asker, welcoming(kube, asker, asked, user), user)
    asker.close()


@requirement("HD-2")
@pytest.mark.parametrize("good_first", [True, False], ids=["good-first", "bad-first"])
@pytest.mark.parametrize("other", ["Bearer nothing", "Basic bm9ib2R5Og=="], ids=["bad", "basic"])
def test_two_authorizations_are_refused(doors: Doors, other: str, good_first: bool) -> None:
    values = [f"Bearer {doors.user.token.reveal()}", other]
    headers = [("authorization", one) for one in (values if good_first else values[::-1])]
    answers = doors.asker.ask(doors.questions, headers=headers)
    expect_nobody(doors.asker, answers, "who says twice who he is")


@requirement("HD-2")
@pytest.mark.parametrize(
    "more", [", Bearer nothing", ",", ";q=1", "."], ids=["another", "comma", "parameter", "dot"]
)
def test_a_token_with_more_behind_it_is_none(doors: Doors, more: str) -> None:
    """In one header."""
    headers = {"authorization": f"Bearer {doors.user.token.reveal()}{more}"}
    answers = doors.asker.ask(doors.questions, headers=headers)
    expect_nobody(doors.asker, answers, f"a good token and {more!r}")


@requirement("HD-113")
def test_what_stands_behind_a_token(doors: Doors, decide: Decision) -> None:
    """In one header, behind a space."""
    found = []
    for more in ("nothing", "Bearer nothing"):
        headers = {"authorization": f"Bearer {doors.user.token.reveal()} {more}"}
        found += doors.asker.ask(doors.questions, headers=headers)
    doors.asker.renew()  # what was served here is none of the next test's
    decide(PRESENT if any(one.is_let_in for one in found) else CLOSED)


@requirement("HD-3")
@pytest.mark.parametrize("name", IN_THE_QUERY)
def test_a_token_in_the_query_is_none(doors: Doors, name: str) -> None:
    token = doors.user.token.reveal()
    asked = [replace(one, path=f"{one.path}?{name}={token}") for one in doors.questions]
    # The question without it: a failure shows no token.
    answers = [replace(one, question=plain) for one, plain in
               zip(doors.asker.ask(asked), doors.questions, strict=True)]  # fmt: skip
    expect_nobody(doors.asker, answers, f"a token in the query's {name}")


@requirement("HD-3")
@pytest.mark.parametrize("where", ELSEWHERE)
def test_a_token_elsewhere_is_none(doors: Doors, where: str) -> None:
    headers = ELSEWHERE[where](doors.user.token.reveal())
    answers = doors.asker.ask(doors.questions, headers=headers)
    expect_nobody(doors.asker, answers, f"a token in {', '.join(headers)}")


def expect_forgery_is_nobodys(doors: Doors, forged: Identity, what: str) -> None:
    expect_nobody(doors.asker, doors.asker.ask(doors.questions, forged), f"a token {what}")


@requirement("HD-4")
@pytest.mark.parametrize("forge", [of_another_key, unsigned, padded])
def test_tokens_of_nobody_are_refused(
    access: Access, doors: Doors, forge: Callable[[Identity, Access], Identity]
) -> None:
    """His own token is good; the same claims otherwise signed or not at all, or swollen, are
    not."""
    expect_forgery_is_nobodys(doors, forge(doors.user, access), forge.__name__)


@requirement("HD-65")
@pytest.mark.capability("token_signing_key")
@pytest.mark.parametrize("forge", [expected_later, expired])
def test_tokens_of_another_time_are_refused(
    access: Access, doors: Doors, forge: Callable[[Identity, Access], Identity]
) -> None:
    """His own token is good; the same claims, as well signed, are not yet or no more."""
    expect_forgery_is_nobodys(doors, forge(doors.user, access), forge.__name__)


@requirement("HD-8")
def test_other_letters_are_another_token(kube: Kube, stack: Stack, asker: Asker) -> None:
    """Before the right one was ever used, and while every route remembers it."""
    user = stack.account_token(f"{TIER_PREFIX}enterprise")
    other = Identity(Secret(altered(user.token.reveal())), user.username)
    asked = usual(kube)
    refused = partial(expect_nobody, asker, who="a token in other letters")
    refused(asker.ask(asked, other))
    refused(asker.ask(welcoming(kube, asker, asked, user), other))
