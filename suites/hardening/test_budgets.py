"""A tier's requests are as many as its policy says, on every way, however they are written."""

from __future__ import annotations

import uuid

import pytest

from fixtures.clusters import Access
from fixtures.evidence.requirements import requirement
from fixtures.evidence.verdicts import CLOSED, PRESENT, Decision
from fixtures.kube import Kube
from fixtures.stack import Stack
from suites.hardening.budgets import (
    Limited,
    Spender,
    Written,
    expect_at_each,
    is_odd,
    limited,
    spender,
)
from suites.hardening.everywhere import SHOWN, Question, written
from suites.hardening.hosts import PORTS, SPELLINGS
from suites.hardening.test_usage import expect_nothing_came
from suites.hardening.ways import Way
from suites.maas_gateway.tiers import REQUESTS

FREE = "free"


def spread(asked: list[Written], count: int) -> list[Written]:
    """So many of them, from the first to the last, and no two neighbours."""
    return [asked[at * len(asked) // count] for at in range(min(count, len(asked)))]


@requirement("HD-79")
@pytest.mark.parametrize("tier", REQUESTS)
def test_requests_are_limited(kube: Kube, access: Access, stack: Stack, tier: str) -> None:
    """A new user at each route, by another operation, method, listener or version each time: as
    many requests as the tier has, and no more."""
    limit, past = REQUESTS[tier], f"conformance-{uuid.uuid4()}"

    def problem(one: Limited) -> str:
        with spender(kube, access, stack, tier, one.route) as user:
            passed, refused = user.spend(spread(one.written(), limit), limit)
            if refused is None or len(passed) != limit:
                return f"{len(passed)} requests, then {refused}; the last {passed[-1:]}"
            user.past = past
            more = [user.ask(one) for one in spread(one.written(), 3)]
            wrong = [f"past the limit {answer}" for answer in more if not answer.is_refusal]
            return "; ".join([*wrong, *filter(None, map(is_odd, [refused, *more]))])

    expect_at_each(limited(kube), f"{limit} requests and then 429", problem)
    expect_nothing_came(kube, stack, past)


def out_of_requests(user: Spender, one: Limited) -> str:
    """Spend all by what is usual; what went wrong."""
    passed, refused = user.spend([Written(one.usual)], REQUESTS[FREE])
    wrong = refused is None or len(passed) != REQUESTS[FREE]
    return f"{len(passed)} requests, then {refused}" if wrong else ""


@requirement("HD-79")
def test_no_spelling_has_a_budget_of_its_own(
    kube: Kube, access: Access, stack: Stack, all_ways: list[Way]
) -> None:
    """A free user who has spent his requests as usual gets no more, by whatever operation, method,
    listener or version, nor under the name with a port; and by no other spelling of the path has he
    an answer of its model: where that leads to another route, it has no key for it. What is refused
    reaches nobody."""
    past = f"conformance-{uuid.uuid4()}"

    def problem(one: Limited) -> str:
        ways = [way for way in all_ways if way.route == one.route]
        model = ways[0].model if ways else "auto"
        with spender(kube, access, stack, FREE, one.route, model) as user:
            if wrong := out_of_requests(user, one):
                return wrong
            user.past = past
            answers = [user.ask(asked) for asked in one.written()]
            user.past = ""
            got = [str(answer) for answer in answers if not answer.is_refusal]
            usual = one.usual
            ports = [user.ask(spelled(usual, spell(usual.host))) for spell in PORTS.values()]
            got += [str(answer) for answer in ports if answer.is_let_in]
            paths = [user.ask(spelled(usual, path=path)) for path in written(usual.path)
                     if path.startswith(usual.path.rpartition("/")[0])]  # fmt: skip
            got += [str(answer) for answer in paths if answer.status < 300]
            odd = [is_odd(one) for one in (*answers, *ports, *paths) if one.is_refusal]
            return "; ".join([*got, *filter(None, odd)][:SHOWN])

    expect_at_each(limited(kube), "429 for all that is asked past the limit", problem)
    expect_nothing_came(kube, stack, past)


def spelled(asked: Question, host: str = "", path: str = "") -> Written:
    """The same question, written otherwise."""
    return Written(
        Question(asked.listener, host or asked.host, asked.route, asked.method, path or asked.path)
    )


@requirement("HD-77")
def test_the_host_in_capitals_is_not_counted(
    kube: Kube, access: Access, stack: Stack, decide: Decision
) -> None:
    """A free user who has spent his requests asks under the gateway's name in other letters."""
    let_in: list[str] = []

    def problem(one: Limited) -> str:
        with spender(kube, access, stack, FREE, one.route) as user:
            if wrong := out_of_requests(user, one):
                return wrong
            for spell in SPELLINGS.values():
                answer = user.ask(spelled(one.usual, spell(one.usual.host)))
                if answer.is_let_in:
                    let_in.append(str(answer))
                elif answer.status not in (429, 401, 403, 404, 421):
                    return str(answer)
            return ""

    expect_at_each(limited(kube), "an answer, or a refusal", problem)
    decide(PRESENT if let_in else CLOSED)
