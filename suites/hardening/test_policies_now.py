"""Policies and rights that change: what holds is what they say now."""

from __future__ import annotations

import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from fixtures.evidence import MAAS, expect
from fixtures.evidence.requirements import requirement
from fixtures.kube import Kube
from fixtures.stack import CHAT, TIER_PREFIX, Identity, Provider
from fixtures.stack.grants import granted
from fixtures.waiting import ENFORCED_SECONDS, IN_A_ROW, until, wait_until
from manifests import Object
from suites.hardening.own import (
    AUTH,
    KEY_HEADER,
    MODEL,
    NAME,
    REQUESTS,
    TOKENS,
    Kind,
    OwnRoute,
    for_accounts,
    open_to_all,
)

UNLIMITED = 6  # requests, all of them served: more than any limit here
ANSWER_TOKENS = 10
# What becomes of a limit, and how many requests of a new user are served then.
CHANGES = [("made", 2), ("raised", 4), ("lowered", 1), ("taken away", UNLIMITED), ("made anew", 3)]
RBAC = "rbac.authorization.k8s.io/v1"
REMEMBERED_SECONDS = 60  # a right, by the gateway's policy
NEXT_KEY_HEADER = "X-Next-Api-Key"


def limited(kind: Kind, answers: int) -> Object:
    """A policy's rules for so many answers; of tokens, one is left when the last begins."""
    limit = answers if kind is REQUESTS else (answers - 1) * ANSWER_TOKENS + 1
    rates, counters = [{"limit": limit, "window": "5m"}], [{"expression": "auth.identity.userid"}]
    return {"limits": {"everybody": {"rates": rates, "counters": counters}}}


def newcomer() -> str:
    """A user whom nobody has seen before."""
    return f"user-{uuid.uuid4().hex[:12]}"


def answers(own: OwnRoute, recorder: Provider, user: str = "") -> int | str:
    """How many a user, a new one by default, gets before he is refused, and then the recorder is
    not asked."""
    user = user or newcomer()
    for number in range(UNLIMITED):
        exchange = own.chat(user, {"total_tokens": ANSWER_TOKENS})
        if exchange.status == 429:
            return number if not own.at(recorder, exchange) else "a refused request at the backend"
        if exchange.status != 200:
            return f"status {exchange.status}"
    return UNLIMITED


def begun(own: OwnRoute, recorder: Provider, limit: int) -> dict[str, int]:
    """Users who have asked, until they were refused and half as often, and what was counted."""
    spent, other, half = newcomer(), newcomer(), max(1, limit // 2)
    answers(own, recorder, spent)
    for _ in range(half):
        own.chat(other, {"total_tokens": ANSWER_TOKENS}).expect_status(200)
    return dict.fromkeys((spent, other), 0) if limit == UNLIMITED else {spent: limit, other: half}


@requirement("HD-71")
@pytest.mark.parametrize("kind", [REQUESTS, TOKENS], ids=["requests", "tokens"])
def test_limits(target: OwnRoute, kind: Kind) -> None:
    """Each change, of a policy of the route's and of its Gateway's, seen by users who are new, and
    by those whose window runs: who has spent all, and who has begun."""
    own, recorder = target, target.recorder("one")
    own.policy(AUTH, open_to_all())
    own.route(own.rule("one"))
    own.until_answered(200)
    running: dict[str, int] = {}
    for change, wanted in CHANGES:
        if wanted == UNLIMITED:
            own.remove(kind)
        else:
            own.policy(kind, limited(kind, wanted))
        until(f"a limit that was {change} to let {wanted} pass", partial(answers, own, recorder),
              partial(int.__eq__, wanted), ENFORCED_SECONDS, in_a_row=2)  # fmt: skip
        for user, had in running.items():
            more = answers(own, recorder, user)
            left = wanted if wanted == UNLIMITED else max(0, wanted - had)
            what = f"{left} answers for who had {had} before the limit was {change}"
            expect(more == left, MAAS, what, f"{more}")
        running = begun(own, recorder, wanted)


def told(own: OwnRoute, recorder: Provider, user: Identity) -> tuple[int, list[str], list[str]]:
    """(status, the keys under the one header, and under the other) of a listing."""
    exchange = own.models(user=user)
    found = own.stack.records_of(recorder, exchange.id)
    keys, others = ([value for one in found for value in one.headers.all(name)]
                    for name in (KEY_HEADER, NEXT_KEY_HEADER))  # fmt: skip
    return exchange.status, keys, others


@requirement("HD-72")
def test_who_is_let_in_and_with_what(own: OwnRoute) -> None:
    """A key rotated, its header renamed, an audience and a condition edited, all taken away, and
    made anew: each step is seen by who is let in now, and by who was before."""
    stack, recorder = own.stack, own.recorder("one")
    alice, bob = (stack.account_token(own.namespace, one) for one in ("one", "another"))
    carol = stack.account_token(own.namespace, "another")

    def until_told(user: Identity, *keys: list[str]) -> None:
        until(f"keys {keys} for {user.username}", lambda: told(own, recorder, user),
              lambda seen: seen == (200, *keys), ENFORCED_SECONDS, IN_A_ROW)  # fmt: skip

    def edited(audience: str, user: Identity | None = None, **headers: str) -> None:
        predicate = f'auth.identity.user.username == "{user.username}"' if user else ""
        named = {KEY_HEADER: headers.get("key", ""), NEXT_KEY_HEADER: headers.get("next", "")}
        said = {name: value for name, value in named.items() if value}
        own.policy(AUTH, for_accounts(audience, predicate, said))

    edited("one", key="sk-first")
    own.route(own.rule("one"))
    until_told(alice, ["sk-first"], [])
    own.until_answered(401, user=bob)
    edited("one", key="sk-second")
    until_told(alice, ["sk-second"], [])
    edited("one", next="sk-second")
    until_told(alice, [], ["sk-second"])
    edited("another", next="sk-second")
    own.until_answered(401, user=alice)
    until_told(bob, [], ["sk-second"])
    edited("another", bob)
    own.until_answered(403, user=carol)
    until_told(bob, [], [])
    edited("another", carol)
    own.until_answered(403, user=bob)
    until_told(carol, [], [])
    own.remove(AUTH)
    own.until_answered(401, user=carol)  # the gateway's own audience
    own.until_answered(403, user=stack.account_token(own.namespace))  # and its own condition
    edited("another", key="sk-third")
    for user in (bob, carol):
        until_told(user, ["sk-third"], [])


class Holder:
    """A user with a right of his own to the route, asking for each operation."""

    def __init__(self, own: OwnRoute) -> None:
        self._own = own
        self.user = own.stack.account_token(f"{TIER_PREFIX}enterprise")

    def asked(self, operation: str) -> int:
        method, _, path = operation.partition(" ")
        body = {"model": MODEL, "messages": [], "prompt": "Hello"} if method == "POST" else None
        return self._own.stack.send(method, self._own.path + path, self.user, body).status

    def until_asked(self, operations: list[str], status: int) -> None:
        for one in operations:
            until(f"{status} for {one}", partial(self.asked, one), partial(int.__eq__, status),
                  ENFORCED_SECONDS, every=1.0)  # fmt: skip


USED = [f"POST {CHAT}", "POST /v1/completions", "GET /v1/models"]
NEW = ["GET /v1/models?page=2"]  # a path of its own to who remembers rights by path


def withdraw(own: OwnRoute, how: str, name: str) -> None:
    if how == "Role edited":
        rule = {"apiGroups": ["serving.kserve.io"], "resources": ["llminferenceservices"],
                "resourceNames": ["another"], "verbs": ["post"]}  # fmt: skip
        own.kube.merge(RBAC, "Role", own.namespace, name, {"rules": [rule]})
    else:
        own.kube.delete(RBAC, how, own.namespace, name)


@requirement("HD-73")
@pytest.mark.window(REMEMBERED_SECONDS)
def test_rights_withdrawn(kube: Kube, own: OwnRoute) -> None:
    """Under the gateway's own policy. A RoleBinding, a Role and what a Role says, side by side."""
    own.recorder("one")
    own.route(own.rule("one"))
    own.until_answered(401)

    def holds_no_more(how: str) -> None:
        holder = Holder(own)
        with granted(kube, holder.user, own.namespace, [NAME]) as name:
            holder.until_asked(USED, 200)
            remembered = time.monotonic() + REMEMBERED_SECONDS
            withdraw(own, how, name)
            holder.until_asked(NEW, 403)
            wait_until(remembered)
            holder.until_asked(USED, 403)
        with granted(kube, holder.user, own.namespace, [NAME]):
            holder.until_asked([*USED, *NEW], 200)

    with ThreadPoolExecutor() as pool:
        list(pool.map(holds_no_more, ("RoleBinding", "Role", "Role edited")))
