"""What the gateway's own refusals say, and what they do not say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from fixtures.evidence import MAAS, Exchange, expect
from fixtures.evidence.requirements import requirement
from fixtures.evidence.verdicts import CLOSED, PRESENT, Decision
from fixtures.found import Unexpected, parsed
from fixtures.kube import Kube
from fixtures.secrets import Secret
from fixtures.stack import CHAT, TIER_PREFIX, Identity, Stack
from suites.hardening.everywhere import QUESTION, SIDE_BY_SIDE, Question, surface, usual
from suites.hardening.test_failures import FREE_REQUESTS
from suites.maas_gateway.models import PREMIUM
from suites.mixed_providers.providers import ALL

NOWHERE = "/of-no-route/v1/chat/completions"
JSON = "application/json"
_PODS_AND_SERVICES = (("v1", "Pod"), ("v1", "Service"))


def ask(stack: Stack, path: str, user: Identity | None = None) -> Exchange:
    return stack.send("POST", path, user, QUESTION)


def over_budget(stack: Stack) -> list[Exchange]:
    """The 429 of each provider, for a user who has used up his requests."""
    alice = stack.account_token(f"{TIER_PREFIX}free")

    def spent(path: str) -> Exchange:
        for _ in range(FREE_REQUESTS):
            stack.send("GET", f"{path}/v1/models", alice).expect_status(200)
        return stack.send("GET", f"{path}/v1/models", alice).expect_refusal(429)

    with ThreadPoolExecutor(len(ALL)) as pool:
        return list(pool.map(spent, [one.path for one in ALL]))


def refusals(stack: Stack) -> Iterator[Exchange]:
    """Of each status with which the gateway and its policies refuse, at each provider where they
    have one."""
    alice = stack.account_token(f"{TIER_PREFIX}free")
    for provider in ALL:
        yield ask(stack, provider.path + CHAT).expect_refusal(401)
    yield ask(stack, PREMIUM.path + CHAT, alice).expect_refusal(403)
    yield ask(stack, NOWHERE, alice).expect_refusal(404)
    yield from over_budget(stack)


def is_openais(exchange: Exchange) -> bool:
    """An error as OpenAI's clients read it: JSON, an object `error` with a `message`."""
    kind = str(exchange.response.headers.get("content-type", ""))
    if not kind.startswith(JSON):
        return False
    try:
        body = parsed(exchange.response.content, "the error")
    except Unexpected:
        return False
    error = body.get("error") if isinstance(body, dict) else None
    return isinstance(error, dict) and bool(error.get("message"))


@requirement("HD-94")
def test_refusals_are_errors_that_clients_read(stack: Stack, decide: Decision) -> None:
    """What OpenAI's clients show of an error is its message."""
    found = list(refusals(stack))
    others = sorted({one.status for one in found if not is_openais(one)})
    print(*(f"{one.status}: {one.response.text!r}" for one in found), sep="\n")
    decide(PRESENT if others else CLOSED)


@requirement("HD-95")
def test_who_has_no_budget_is_told_when_to_come_back(stack: Stack, decide: Decision) -> None:
    """OpenAI's clients wait for as long as Retry-After says, and try three times else."""
    found = over_budget(stack)
    said = [one.response.headers.get("retry-after") for one in found]
    if None in said:
        left = {name for one in found for name in one.response.headers}
        print(f"Retry-After: {said}; of limits {sorted(n for n in left if 'ratelimit' in n)}")
        decide(PRESENT)
        return
    wrong = [one for one in said if not (str(one).isdecimal() and int(str(one)) >= 1)]
    decide(f"Retry-After: {wrong}" if wrong else CLOSED)


def inner_names(kube: Kube) -> set[str]:
    """Addresses of the cluster, and the names that it gives its Pods."""
    found: set[str] = set()
    for kind in _PODS_AND_SERVICES:
        for one in kube.all(*kind):
            status, spec = one.get("status") or {}, one["spec"]
            found |= {str(status.get("podIP") or ""), str(spec.get("clusterIP") or "")}
            if kind[1] == "Pod":
                found.add(one["metadata"]["name"])
    return found - {"", "None"}


def shown(exchange: Exchange) -> str:
    """All that a client has of an answer."""
    headers = exchange.response.headers.multi_items()
    return "\n".join([*(f"{name}: {value}" for name, value in headers), exchange.response.text])


@requirement("HD-96")
def test_no_refusal_names_what_is_inside(kube: Kube, stack: Stack) -> None:
    """At each route without a token and with one of nobody, and at what is behind the gateways for
    what they do not have."""
    nobody, user = Identity(Secret("of-nobody")), stack.account_token(f"{TIER_PREFIX}premium")
    asked = [(one, who) for one in usual(kube) for who in (None, nobody)]
    asked += [(one, user) for one in beside(kube)]

    def answer(pair: tuple[Question, Identity | None]) -> Exchange:
        question, who = pair
        body = QUESTION if question.method == "POST" else None
        return stack.send(question.method, question.path, who, body, {"host": question.host})

    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        found = list(pool.map(answer, asked)) + list(refusals(stack))
    inside = re.compile("|".join(rf"(?<![\w.]){re.escape(one)}(?!\w)" for one in inner_names(kube)))
    told = [f"{one.sent_path} ({one.status}): {match[0]}" for one in found
            if one.status >= 400 and (match := inside.search(shown(one)))]  # fmt: skip
    statuses = {one.status for one in found}
    expect({401, 403, 404, 429} <= statuses, MAAS, "refusals of each kind", f"{statuses}")
    expect(not told, MAAS, f"nothing of the inside in {len(found)} answers", f"{told[:5]}")


def beside(kube: Kube) -> list[Question]:
    """What no server behind a route has, once for each route."""
    found = [one for one in surface(kube) if one.listener == "https"]
    return [
        Question(one.listener, one.host, one.route, "GET", f"{one.path.rstrip('/')}/of-nobody")
        for one in found
    ]
