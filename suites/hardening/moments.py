"""The moments in which a door could stand open, and a stranger who knocks at every one of them
meanwhile."""

from __future__ import annotations

import copy
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx

from fixtures.clusters import Access
from fixtures.evidence import MAAS, expect
from fixtures.kube import Kube
from fixtures.objects import existing
from fixtures.secrets import Secret
from fixtures.stack import TIER_PREFIX, Identity, Stack
from fixtures.stack.gateways import MAAS_GATEWAY
from fixtures.waiting import ENFORCED_SECONDS, until
from manifests import Object
from suites.hardening.everywhere import SHOWN, Answered, Asker, Question, usual
from suites.hardening.routes import ROUTE

KUADRANT = "kuadrant.io/v1"
BRIDGE = ("default", "openai-bridge")
ROUNDS = 2  # of knocks, after what was to happen has happened
# Who gets one of these was taken for somebody: whose requests are counted, or whose request found
# nobody behind Envoy.
_TAKEN_FOR_SOMEBODY = (429, 502, 503, 504)
NOBODY = None
GARBAGE = Identity(Secret("of-nobody"))
STRANGERS = {"without a token": NOBODY, "with a token of nobody": GARBAGE}


@dataclass(frozen=True)
class Whole:
    """A cluster with all that the documents deploy, which the tests of a module share: `asked` is
    what users ask each route of the MaaS gateway for."""

    kube: Kube
    access: Access
    stack: Stack
    asked: list[Question]

    @classmethod
    def of(cls, kube: Kube, access: Access, stack: Stack) -> Whole:
        return cls(kube, access, stack, usual(kube))

    def asker(self, tried: Counter[str], side_by_side: int = len(STRANGERS) * 4) -> Asker:
        """Who also asks a gateway that is gone."""
        return _Undeterred(self.kube, self.access, self.stack, tried, side_by_side)

    def user(self) -> Identity:
        """An enterprise user whom nobody has seen before."""
        return self.stack.account_token(f"{TIER_PREFIX}enterprise")


class _Undeterred(Asker):
    unanswered = httpx.TransportError


def until_welcome(asker: Asker, asked: list[Question], user: Identity) -> None:
    """Each of these lets the user in; not too often: each question is one of his fifty."""
    until(f"every route to let {user.username} in",
          lambda: [str(one) for one in asker.ask(asked, user) if not one.is_let_in],
          lambda shut: not shut, ENFORCED_SECONDS, every=0.5)  # fmt: skip
    asker.renew()


def expect_all(answers: list[Answered], status: int, who: str, when: str) -> None:
    """This status for everything, of the gateway itself."""
    others = [str(one) for one in answers if one.behind or one.status != status]
    expect(bool(answers) and not others, MAAS, f"{status} for {who} at each route {when}",
           f"{len(others)} of {len(answers)} others: {'; '.join(others[:SHOWN])}")  # fmt: skip


class Knocker:
    """Asks every route for what users ask it for, without a good token, again and again until it
    is left; fails then if somebody was let in, with the route and the moment."""

    def __init__(self, whole: Whole, tried: Counter[str], moment: str) -> None:
        self._asker, self._asked, self._moment = whole.asker(tried), whole.asked, moment
        self._over = threading.Event()
        self._pool = ThreadPoolExecutor(1)
        self._let_in: list[str] = []
        self._refused: set[str] = set()
        self.rounds = 0

    def __enter__(self) -> Knocker:
        self._knocking = self._pool.submit(self._run)
        self.go_on(1)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._over.set()
        self._pool.shutdown()
        try:
            self._knocking.result()  # or what ended it
            if kind is None:
                self._expect_outside()
        finally:
            self._asker.close()

    def go_on(self, rounds: int = ROUNDS) -> None:
        """Every route once more at least, whoever asks: of two rounds one has begun already."""
        wanted = self.rounds + rounds
        until(f"more knocks while {self._moment}",
              lambda: self._knocking.done() or self.rounds >= wanted, bool,
              ENFORCED_SECONDS)  # fmt: skip

    def _run(self) -> None:
        while not self._over.is_set():
            for who, identity in STRANGERS.items():
                for one in self._asker.ask(self._asked, identity):
                    if one.is_let_in or one.status in _TAKEN_FOR_SOMEBODY:
                        self._let_in.append(f"{who} {one}")
                    elif one.status == 401:
                        self._refused.add(one.question.route)
            self.rounds += 1

    def _expect_outside(self) -> None:
        """Nobody was let in, no recorder received anything, and each route refused somebody."""
        inside = [*dict.fromkeys(self._let_in), *self._asker.received()]
        expect(not inside, MAAS, f"nobody let in while {self._moment}",
               f"{len(self._let_in)} let in: {'; '.join(inside[:SHOWN])}")  # fmt: skip
        silent = {one.route for one in self._asked} - self._refused
        expect(not silent, MAAS, f"401 of each route now and again while {self._moment}",
               f"none of {sorted(silent)}")  # fmt: skip


# -- what is edited -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Edit:
    """Of an object: `body` has it, and a number that is another one each time, and gives a merge
    patch which alters nothing that anybody is refused or let in for."""

    identity: tuple[str, str, str, str]
    body: Callable[[Object, int], Object]

    def make(self, kube: Kube, number: int) -> None:
        """And wait until those who have a word on the object have seen it."""
        kube.merge(*self.identity, self.body(existing(kube, *self.identity), number))
        until(f"{' '.join(self.identity[1:])} to be seen as it is now",
              lambda: _unseen(existing(kube, *self.identity)), lambda unseen: not unseen,
              ENFORCED_SECONDS)  # fmt: skip


def _unseen(found: Object) -> list[str]:
    """The conditions of an object that are of an earlier generation of it; all of a route's. Of
    which one a condition is, its holder says where it does not itself (Kuadrant's policies)."""
    status = found.get("status") or {}
    holders = status.get("parents") or [status]
    return [
        one["type"]
        for holder in holders
        for one in holder.get("conditions") or [{"type": "any condition"}]
        if one.get("observedGeneration", holder.get("observedGeneration", 0))
        < found["metadata"]["generation"]
    ]


def _identities_kept(_: Object, number: int) -> Object:
    return {"spec": {"rules": {"authentication": {"service-accounts": {
        "cache": {"ttl": 300 + number}}}}}}  # fmt: skip


def _answers_kept(_: Object, number: int) -> Object:
    return {"spec": {"rules": {"authorization": {"tier-access": {
        "cache": {"ttl": 30 + number}}}}}}  # fmt: skip


def _limit_of_nobody(_: Object, number: int) -> Object:
    limit = {"rates": [{"limit": 1000 + number, "window": "1m"}],
             "when": [{"predicate": 'auth.identity.tier == "of-nobody"'}],
             "counters": [{"expression": "auth.identity.userid"}]}  # fmt: skip
    return {"spec": {"limits": {"of-nobody": limit}}}


def _timeout(found: Object, number: int) -> Object:
    rules = copy.deepcopy(found["spec"]["rules"])
    for rule in rules:
        rule["timeouts"] = {"request": f"{60 + number}s"}
    return {"spec": {"rules": rules}}


EDITS = {
    "the Gateway's AuthPolicy": Edit(
        (KUADRANT, "AuthPolicy", MAAS_GATEWAY[0], "gateway-auth-policy"), _answers_kept
    ),
    "a bridge's AuthPolicy": Edit(
        (KUADRANT, "AuthPolicy", BRIDGE[0], f"{BRIDGE[1]}-auth"), _identities_kept
    ),
    "the AuthPolicy of /v1/chat": Edit(
        (KUADRANT, "AuthPolicy", "vllm-semantic-router-system", "vsr-interim-auth-policy"),
        _identities_kept,
    ),
    "a limit of requests": Edit(
        (KUADRANT, "RateLimitPolicy", MAAS_GATEWAY[0], "gateway-rate-limits"), _limit_of_nobody
    ),
    "a limit of tokens": Edit(
        ("kuadrant.io/v1alpha1", "TokenRateLimitPolicy", MAAS_GATEWAY[0],
         "gateway-token-rate-limits"),
        _limit_of_nobody,
    ),
    "a bridge's route": Edit((*ROUTE, *BRIDGE), _timeout),
}  # fmt: skip
