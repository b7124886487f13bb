"""What a policy's rules remember is that policy's, as it is, for as long as it says: when it is
edited, or the time has passed, they look again."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import pytest

from fixtures.evidence.requirements import requirement
from fixtures.found import parts
from fixtures.kube import Kube
from fixtures.stack import Provider
from fixtures.stack.grants import granted
from fixtures.waiting import ENFORCED_SECONDS, IN_A_ROW, until, wait_until
from manifests import Object
from suites.hardening.own import AUTH, NAME, PORT, USER_HEADER, OwnRoute

REMEMBERED, SHORTLY = 600, 4  # seconds: longer than a test takes, and shorter
FIRST, SECOND = "x-own-first", "x-own-second"  # headers of the client's that say who he is
SAID, MAY = "x-own-said", "x-own-may"  # his tier, and whether he may
FOUND, TIER = "X-Own-Found", "X-Own-Tier"  # what the backend is told


@dataclass(frozen=True)
class Remembering:
    """Rules of an AuthPolicy of each kind that has a cache, all of them of one key: who says so,
    what is looked up, and who is let in."""

    lookup: str
    account: str
    identity: str = FIRST
    tier: str = '"one"'
    predicate: str = "true"
    seconds: int = REMEMBERED

    def rules(self) -> Object:
        key = {"expression": f'request.headers["{USER_HEADER}"]'}
        cache = {"cache": {"key": key, "ttl": self.seconds}}
        says = {"selector": f"context.request.http.headers.{self.identity}"}
        http = {"url": self.lookup, "method": "POST", "contentType": "application/json",
                "body": {"expression": f'{{"tier": {self.tier}}}'}}  # fmt: skip
        _, _, namespace, _ = parts(self.account, ":", 4, "a ServiceAccount's name")
        model = {"group": "serving.kserve.io", "resource": "llminferenceservices",
                 "namespace": namespace, "name": NAME, "verb": "post"}  # fmt: skip
        review = {
            "user": {"value": self.account},
            "resourceAttributes": {name: {"value": value} for name, value in model.items()},
        }
        patterns = {"patterns": [{"predicate": self.predicate}]}
        told = {FOUND: "auth.identity", TIER: "auth.metadata.tier.tier"}
        properties = {"userid": key, "tier": {"expression": "'own'"}}
        return {
            "rules": {
                "authentication": {"named": {"plain": says, **cache}},
                "metadata": {"tier": {"http": http, **cache}},
                "authorization": {
                    "chosen": {"patternMatching": patterns, **cache},
                    "right": {"kubernetesSubjectAccessReview": review, **cache},
                },
                "response": {
                    "success": {
                        "headers": {n: {"plain": {"selector": s}} for n, s in told.items()},
                        "filters": {"identity": {"json": {"properties": properties}}},
                    }
                },
            }
        }


def told(own: OwnRoute, recorder: Provider, **said: str) -> tuple[int, list[str]]:
    """(status, what the backend is told) of a listing; `said` is what the user says of himself."""
    headers = {USER_HEADER: "alice", FIRST: "first", SECOND: "second", SAID: "one", MAY: "yes"}
    headers |= {f"x-own-{name}": value for name, value in said.items()}
    path = f"{own.path}/v1/models"
    exchange = own.stack.send("GET", path, None, headers=headers, at=own.gateway)
    found = own.stack.records_of(recorder, exchange.id)
    return exchange.status, [value for one in found for name in (FOUND, TIER)
                             for value in one.headers.all(name)]  # fmt: skip


def lookup(own: OwnRoute) -> str:
    """Where a recorder says again what it is told."""
    return f"http://one.{own.namespace}.svc.cluster.local:{PORT}/v1/echo"


@requirement("HD-72")
def test_nothing_is_remembered_beyond_an_edit(kube: Kube, target: OwnRoute) -> None:
    """Of a policy of the route's and of its Gateway's: who the user is, what was looked up of him,
    his condition and his right are edited in turn, each after he was let in by what was before."""
    own, recorder = target, target.recorder("one")
    may, may_not = (own.stack.account_token(own.namespace) for _ in range(2))
    rules = Remembering(lookup(own), may.username)

    def until_told(what: str, edited: Remembering, status: int, *wanted: str) -> None:
        own.policy(AUTH, edited.rules())
        until(f"{status} and {wanted} by {what}", lambda: told(own, recorder),
              (status, [*wanted]).__eq__, ENFORCED_SECONDS, IN_A_ROW)  # fmt: skip

    own.route(own.rule("one"))
    with granted(kube, may, own.namespace, [NAME]):
        until_told("the first rules", rules, 200, "first", "one")
        another = replace(rules, identity=SECOND, tier='"two"')
        until_told("another identity and lookup", another, 200, "second", "two")
        until_told("a condition that fails", replace(rules, predicate="false"), 403)
        until_told("the first rules again", rules, 200, "first", "one")
        until_told("another's right", replace(rules, account=may_not.username), 403)
        until_told("an identity of nobody", replace(rules, identity="x-own-third"), 401)


@requirement("HD-115")
@pytest.mark.window(SHORTLY)
def test_what_is_remembered_ends(kube: Kube, own: OwnRoute) -> None:
    """A user is somebody else, has another tier and may no more: that is known when the time to
    remember him has passed, and not before, however often he has asked meanwhile."""
    recorder, user = own.recorder("one"), own.stack.account_token(own.namespace)
    rules = Remembering(
        lookup(own),
        user.username,
        tier=f'request.headers["{SAID}"]',
        predicate=f'request.headers["{MAY}"] == "yes"',
        seconds=SHORTLY,
    )
    own.policy(AUTH, rules.rules())
    own.route(own.rule("one"))
    with granted(kube, user, own.namespace, [NAME]):
        until("the rules to be in force", lambda: told(own, recorder, user="another"),
              (200, ["first", "one"]).__eq__, ENFORCED_SECONDS, IN_A_ROW)  # fmt: skip
        began = time.monotonic()
        assert told(own, recorder) == (200, ["first", "one"])
        known = time.monotonic()  # and remembered between `began` and now
        meanwhile = told(own, recorder, first="other", said="two", may="no")
        if time.monotonic() < began + SHORTLY - 1:  # on a machine that is not too slow to see it
            assert meanwhile == (200, ["first", "one"])
        wait_until(known + SHORTLY + 1)
        assert told(own, recorder, first="other", said="two", may="no") == (403, [])
        assert told(own, recorder, first="other", said="two") == (200, ["other", "two"])
