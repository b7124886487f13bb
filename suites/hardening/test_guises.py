"""What opens doors elsewhere opens none here: a stranger's word for himself, another version of
HTTP, another kind of request, and what is no token but stands in a token's place."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from fixtures.clusters import Access
from fixtures.evidence import MAAS, expect
from fixtures.evidence.requirements import requirement
from fixtures.kube import Kube
from fixtures.stack import TIER_PREFIX, Stack
from suites.hardening.everywhere import (
    SHOWN,
    Asker,
    Question,
    expect_nobody,
    known,
    surface,
    usual,
)
from suites.maas_gateway.models import PREMIUM, PRIVATE

SELF = "127.0.0.1"
GUISES = {
    # of the kubelet, which asks whether somebody is there, or of a part of the cluster
    "probe": {
        "user-agent": "kube-probe/1.31",
        "x-forwarded-for": SELF,
        "x-real-ip": SELF,
        "x-client-ip": SELF,
        "true-client-ip": SELF,
        "forwarded": f"for={SELF};proto=https",
        "x-envoy-internal": "true",
    },
    # of a browser, before it asks for another site (Fetch, CORS-preflight fetch)
    "browser": {
        "origin": "https://elsewhere.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization, content-type",
        "sec-fetch-mode": "cors",
    },
    # of a proxy that has asked already, and asked for something else
    "proxy": {
        "x-original-url": "/health",
        "x-rewrite-url": "/health",
        "x-original-uri": "/health",
        "x-envoy-original-path": "/health",
        "x-forwarded-uri": "/health",
        "x-forwarded-prefix": "/health",
        "x-http-method-override": "OPTIONS",
        "x-forwarded-user": "admin",
        "x-remote-user": "system:admin",
        "x-ext-auth-reason": "ok",
    },
    "grpc": {"content-type": "application/grpc", "te": "trailers", "grpc-timeout": "1S"},
    "upgrade": {
        "connection": "Upgrade",
        "upgrade": "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
        "sec-websocket-protocol": "realtime",
    },
}
# What programs send that have none, and what has no token behind its scheme.
NO_TOKENS = {"empty": "", "scheme": "Bearer", "null": "Bearer null", "none": "Bearer None",
             "undefined": "Bearer undefined", "scheme-twice": "Bearer Bearer",
             "nobody": "Basic Og==", "negotiate": "Negotiate", "dot": "Bearer ."}  # fmt: skip
CLUSTER = "https://kubernetes.default.svc"  # for which maas-api takes tokens too


@pytest.fixture
def asked(kube: Kube, stack: Stack, asker: Asker) -> list[Question]:
    """What is mostly asked of every route, and OPTIONS, on every listener."""
    mostly = {(one.method, one.path) for one in usual(kube)}
    paths = {path for _, path in mostly}
    return [
        one
        for one in known(kube, asker, stack)
        if (one.method, one.path) in mostly or (one.method == "OPTIONS" and one.path in paths)
    ]


@requirement("HD-51")
@pytest.mark.parametrize("guise", GUISES.values(), ids=GUISES)
def test_nobody_in_any_guise(asker: Asker, asked: list[Question], guise: dict[str, str]) -> None:
    """What is 401 without it is 401 with it: who gets another refusal was taken for somebody."""
    plain = {one.question: one.status for one in asker.ask(asked)}
    answers = asker.ask(asked, headers=guise)
    others = [str(one) for one in answers if plain[one.question] == 401 != one.status]
    who = f"a stranger with {', '.join(guise)}"
    expect_nobody(asker, answers, who)
    expect(not others, MAAS, f"401 for {who} wherever it is so without",
           f"{len(others)} others: {'; '.join(others[:SHOWN])}")  # fmt: skip


@pytest.fixture
def modern(kube: Kube, access: Access, stack: Stack) -> Iterator[Asker]:
    """Who asks over HTTP/2 where it is offered, on one connection."""
    made = Asker(kube, access, stack, http2=True)
    yield made
    made.close()


@pytest.fixture
def steady(kube: Kube, access: Access, stack: Stack) -> Iterator[Asker]:
    """Who asks on one connection to each listener."""
    made = Asker(kube, access, stack, side_by_side=1)
    yield made
    made.close()


@requirement("HD-51")
def test_nobody_over_http2(asked: list[Question], modern: Asker) -> None:
    secure = [one for one in asked if one.listener == "https"]
    expect_nobody(modern, modern.ask(secure), "nobody, over HTTP/2")


@requirement("HD-51")
@pytest.mark.parametrize("who", ["steady", "modern"])
def test_nobody_after_somebody(
    request: pytest.FixtureRequest, kube: Kube, stack: Stack, who: str
) -> None:
    """On the connection on which somebody was let in just now: no token, and no good one."""
    asker: Asker = request.getfixturevalue(who)
    user = stack.account_token(f"{TIER_PREFIX}enterprise")
    strangers = {"nobody": {}, "garbage": {"authorization": "Bearer of-nobody"}}
    welcome, wrong = 0, []
    for one in usual(kube):
        welcome += sum(answer.is_let_in for answer in asker.ask([one], user))
        for stranger, headers in strangers.items():
            answers = asker.ask([one], headers=headers)
            wrong += [f"{stranger}: {answer}" for answer in answers if answer.is_let_in]
    expect(welcome > 0, MAAS, "somebody let in", "nobody")
    expect(not wrong, MAAS, "nobody after somebody", "; ".join(wrong[:SHOWN]))


# Headers, what a body has beside, and whether it comes in chunks.
Sized = tuple[dict[str, str], int, bool]
SIZES: dict[str, Sized] = {
    "long-question": ({}, 70_000, False),
    "large-question": ({}, 2 << 20, False),
    "large-question-in-chunks": ({}, 2 << 20, True),
    "long-header": ({"x-long": "a" * 20_000}, 0, False),
    "long-token": ({"authorization": f"Bearer {'a' * 20_000}"}, 0, False),
    "many-headers": ({f"x-many-{number}": "a" for number in range(60)}, 0, False),
}


@requirement("HD-51")
@pytest.mark.parametrize("sized", SIZES.values(), ids=SIZES)
def test_nobody_of_any_size(asker: Asker, asked: list[Question], sized: Sized) -> None:
    mine = [one for one in asked if one.method == "POST" or not sized[1]]
    expect_nobody(asker, asker.ask(mine, None, *sized), "nobody, at length")


# Who says of himself what would be a right, in the words of the gateway, of Kubernetes, of proxies.
GROUPS = [f"system:serviceaccounts:{TIER_PREFIX}premium", "premium-users", "system:masters"]
CLAIMS = {
    "groups": {
        "x-maas-group": json.dumps(GROUPS),
        "x-maas-tier": "premium",
        "x-maas-username": "system:admin",
    },
    "impersonation": {"impersonate-user": "system:admin", "impersonate-group": "system:masters"},
    "remote": {
        "x-remote-user": "system:admin",
        "x-remote-group": "system:masters",
        "x-forwarded-user": "system:admin",
        "x-forwarded-groups": ",".join(GROUPS),
        "x-auth-request-groups": ",".join(GROUPS),
    },
}
LENGTHS = {name: sized for name, sized in SIZES.items() if name != "long-token"}
OF_WHOM_IT_IS_NOT: dict[str, Sized] = {
    **{name: (headers, 0, False) for name, headers in {**GUISES, **CLAIMS}.items()},
    **LENGTHS,
}


@requirement("HD-52")
@pytest.mark.parametrize("sized", OF_WHOM_IT_IS_NOT.values(), ids=list(OF_WHOM_IT_IS_NOT))
def test_no_word_is_a_right(
    stack: Stack, asker: Asker, asked: list[Question], sized: Sized
) -> None:
    """What is mostly asked of the models that a free user and an enterprise one may not use."""
    for tier, model in (("free", PREMIUM), ("enterprise", PRIVATE)):
        user = stack.account_token(f"{TIER_PREFIX}{tier}")
        mine = [one for one in asked if one.path.startswith(model.path)]
        mine = [one for one in mine if one.method == "POST" or not sized[1]]
        expect(bool(mine), MAAS, f"a route to {model}", "none")
        answers = asker.ask(mine, user, *sized)
        expect_nobody(asker, answers, f"a user of the {tier} tier with {', '.join(sized[0])}")


@requirement("HD-52")
def test_no_right_over_http2(stack: Stack, asked: list[Question], modern: Asker) -> None:
    """On the connection of one who may."""
    may = stack.account_token(f"{TIER_PREFIX}premium")
    user = stack.account_token(f"{TIER_PREFIX}free")
    mine = [one for one in asked if one.listener == "https" and one.path.startswith(PREMIUM.path)]
    welcome = [one for one in modern.ask(mine, may) if one.is_let_in]
    expect(bool(welcome), MAAS, "a premium user let in", "nobody")
    modern.renew()
    expect_nobody(modern, modern.ask(mine, user), "a user of the free tier, over HTTP/2")


@requirement("HD-51")
@pytest.mark.parametrize("value", NO_TOKENS.values(), ids=NO_TOKENS)
def test_what_is_no_token_is_none(kube: Kube, asker: Asker, value: str) -> None:
    headers = {"authorization": value}
    expect_nobody(asker, asker.ask(usual(kube), headers=headers), f"Authorization {value!r}")


@requirement("HD-51")
def test_tokens_for_the_cluster_are_for_maas_api_alone(
    kube: Kube, stack: Stack, asker: Asker
) -> None:
    """A token that the API server takes: whoever steals one from a Pod uses no model by it."""
    api = {one.route for one in surface(kube) if one.is_maas_api}
    models = [one for one in usual(kube) if one.route not in api]
    expect(bool(models), MAAS, "routes to models", "none")
    user = stack.account_token(f"{TIER_PREFIX}enterprise", CLUSTER)
    expect_nobody(asker, asker.ask(models, user), "a token for the cluster")
    other = stack.account_token(f"{TIER_PREFIX}enterprise", "another-gateway-sa")
    expect_nobody(asker, asker.ask(models, other), "a token for another gateway")
