"""Parts that start anew, and of which there are two; each test leaves its cluster as it was."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial

import httpx
import pytest

from fixtures.evidence import CLIENT, EGRESS, MAAS, Exchange, expect
from fixtures.evidence.requirements import requirement
from fixtures.evidence.verdicts import CLOSED, PRESENT, Decision
from fixtures.kube import Kube
from fixtures.objects import existing
from fixtures.secrets import Secret
from fixtures.stack import Identity, Provider, Stack
from fixtures.waiting import ENFORCED_SECONDS, until
from suites.external_models.backends import Backends
from suites.hardening.own import AUTH, PORT, open_to_all, own_route
from suites.hardening.parts import (
    AUTHORINO,
    EGRESS_PROXY,
    LIMITADOR,
    MAAS_API,
    MAAS_PROXY,
    ROUTER,
    replaced,
    scaled,
    until_scaled,
)
from suites.hardening.test_failures import FREE_REQUESTS, until_counted, user_of
from suites.mixed_providers.providers import ALL, LOCAL, OPENAI

pytestmark = [pytest.mark.disposable, pytest.mark.capability("disposable_clusters")]

SHIM = ("kuadrant-system", "wasm-shim")  # a Deployment where it is no module
TOKENS, KEYS = "/maas-api/v1/tokens", "/maas-api/v1/api-keys"
CUSTOMERS = 20  # each has fifty requests
ASKED_EVERY_SECONDS = 0.02
# Those of whom requests, and what is asked for them, never hear: all others are on their way.
ON_THE_WAY = (AUTHORINO, LIMITADOR, MAAS_API, MAAS_PROXY, EGRESS_PROXY, ROUTER, SHIM)
# The cluster's own, whose end is no controller's: names and the way in from outside.
CLUSTERS = ("kube-system", "conformance-entry")
MODELS = ("llm", "external-models", "kserve")


def controllers(kube: Kube) -> list[tuple[str, str]]:
    """The Deployments that configure others, by (namespace, name)."""
    found = [
        (one["metadata"]["namespace"], one["metadata"]["name"])
        for one in kube.all("apps/v1", "Deployment")
    ]
    return [
        one for one in found
        if one not in ON_THE_WAY and one[0] not in CLUSTERS
        and (one[0] not in MODELS or "controller" in one[1])
    ]  # fmt: skip


def listing(stack: Stack, model: Provider, user: Identity | None, new: bool = True) -> Exchange:
    """A model's, on a connection that no other request comes on, or on a kept one."""
    headers = {"connection": "close"} if new else None
    return stack.send("GET", f"{model.path}/v1/models", user, headers=headers)


class Customers:
    """Enterprise users who ask every provider in turn, on kept connections and on new ones, until
    they are left."""

    def __init__(self, stack: Stack) -> None:
        self._stack, self._over = stack, threading.Event()
        self._users = [user_of(stack, "enterprise") for _ in range(CUSTOMERS)]
        self._pool = ThreadPoolExecutor(2)
        self.lost: list[str] = []
        self.lost_again: list[str] = []
        self.served = 0

    def __enter__(self) -> Customers:
        self._asking = [self._pool.submit(self._run, new) for new in (False, True)]
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._pool.shutdown()
        for one in self._asking:
            one.result()  # or what ended it

    def _run(self, new: bool) -> None:
        lost = set()
        for number, provider in enumerate(itertools.cycle(ALL)):
            if self._over.wait(ASKED_EVERY_SECONDS):
                return
            user = self._users[number % CUSTOMERS]
            try:
                status: object = listing(self._stack, provider, user, new).status
            except httpx.TransportError as error:
                status = type(error).__name__
            if status == 200:
                self.served += 1
                lost.discard(provider)
                continue
            told = (f"{provider} on a {'new' if new else 'kept'} connection: "
                    f"{status} at {time.strftime('%H:%M:%S')}")  # fmt: skip
            self.lost.append(told)
            if provider in lost:
                self.lost_again.append(told)
            lost.add(provider)

    def expect_served(self, what: str) -> None:
        """All of them, while something was the case."""
        wanted = f"200 for each good request while {what}"
        expect(not self.lost, MAAS, wanted, f"{len(self.lost)} lost: {self.lost[:5]}")
        self._expect_many(what)

    def expect_served_again(self, what: str, ended: int) -> None:
        """All of them, but for those under way at so many Pods as they ended (Authorino, Limitador
        and the simulator end at a SIGTERM and finish nothing), and those when they were asked
        again."""
        wanted = f"200 at the provider that lost a request, asked again while {what}"
        expect(not self.lost_again, MAAS, wanted, f"lost again: {self.lost_again[:5]}")
        most = ended * len(self._asking)
        wanted = f"at most {most} requests lost that were under way at {ended} Pods as they ended"
        expect(len(self.lost) <= most, MAAS, wanted, f"{len(self.lost)}: {self.lost[:5]}")
        self._expect_many(what)

    def _expect_many(self, what: str) -> None:
        expect(self.served > 2 * len(ALL), CLIENT, f"requests while {what}", f"{self.served}")


@requirement("HD-92")
def test_who_configures_others_may_start_anew(demo: Stack) -> None:
    """One after the other, while good requests come; each has done what was asked of it since
    before it is the next one's turn: new routes of both gateways serve."""
    found = controllers(demo.kube)
    assert found, "no Deployment configures others"
    with closing(Backends(demo.kube)) as backends, own_route(demo.kube, demo) as own:
        own.recorder("one")
        own.policy(AUTH, open_to_all())
        rules = [own.rule("one")]
        own.route(*rules)
        own.until_answered(200)
        behind = backends.destination(f"one.{own.namespace}.svc.cluster.local")
        for one in found:
            with Customers(demo) as customers:
                replaced(demo.kube, one)
                path = f"/rule-{len(rules)}"
                rules.append(own.rule("one", path))
                own.route(*rules)
                own.until_answered(200, path)
                address = f"{backends.egress_route(behind, port=PORT)}/v1/models"
                ask = partial(demo.at_egress, "GET", address, kept=False)
                until_status(ask, 200, "a new route of the egress gateway")
            customers.expect_served(f"{one[1]} starts anew")


def minted(stack: Stack, user: Identity) -> Identity:
    """A token of maas-api for a user of the cluster."""
    return Identity(Secret(stack.mint(user).expect_status(201).json["token"]))


def until_status(ask: Callable[[], Exchange], status: int, what: str) -> None:
    until(what, lambda: ask().status, lambda seen: seen == status, ENFORCED_SECONDS, every=0.5)


@requirement("HD-87")
def test_what_maas_api_gave_and_took_outlives_it(demo: Stack) -> None:
    """A token of before is good, one that was revoked before is not, and what it minted in its
    last life it revokes in this one."""
    keeps, revoked, revokes = (demo.cluster_identity() for _ in range(3))
    kept, gone, going = (minted(demo, one) for one in (keeps, revoked, revokes))
    demo.models(LOCAL, kept).expect_status(200)
    demo.send("DELETE", TOKENS, revoked).expect_status(204)
    until_status(partial(demo.models, LOCAL, gone), 401, "a revoked token to be refused")
    replaced(demo.kube, MAAS_API)
    until_status(lambda: demo.mint(demo.cluster_identity()), 201, "maas-api to mint again")
    demo.models(LOCAL, kept).expect_status(200)
    demo.models(OPENAI, kept).expect_status(200)
    for model in (LOCAL, OPENAI):
        demo.models(model, gone).expect_refusal(401)
    demo.send("DELETE", TOKENS, revokes).expect_status(204)
    until_status(partial(demo.models, LOCAL, going), 401,
                 "a token of before to be refused after it was revoked")  # fmt: skip
    demo.models(LOCAL, kept).expect_status(200)


@requirement("HD-91")
def test_api_keys_after_maas_api_started_anew(demo: Stack, decide: Decision) -> None:
    """Two users' keys: still good, but are they still listed?"""
    users = [demo.cluster_identity() for _ in range(2)]
    asked = {"name": "laptop", "expiration": "1h"}
    made = [demo.send("POST", KEYS, one, asked).expect_status(201).json for one in users]
    keys = [Identity(Secret(one["token"])) for one in made]

    def names() -> list[list[str]]:
        listings = [demo.send("GET", KEYS, one).expect_status(200).json for one in users]
        return [[key["name"] for key in one] for one in listings]

    before = names()
    expect(before == [["laptop"]] * 2, MAAS, "each user's key in his listing", f"{before}")
    replaced(demo.kube, MAAS_API)
    until_status(lambda: demo.mint(demo.cluster_identity()), 201, "maas-api to mint again")
    for key in keys:
        demo.models(LOCAL, key).expect_status(200)
    after = names()
    decide(PRESENT if after == [[], []] else CLOSED if after == before else f"{after} of {before}")


@requirement("HD-88")
def test_budgets_after_limitador_started_anew(demo: Stack, decide: Decision) -> None:
    """Of a user who has used up his, at two routes."""
    alice = user_of(demo, "free")
    for model in (LOCAL, OPENAI):
        for _ in range(FREE_REQUESTS):
            demo.models(model, alice).expect_status(200)
        demo.models(model, alice).expect_refusal(429)
    replaced(demo.kube, LIMITADOR)
    until_counted(demo)
    found = [demo.models(model, alice).status for model in (LOCAL, OPENAI)]
    decide({(200, 200): PRESENT, (429, 429): CLOSED}.get((found[0], found[1]), f"{found}"))


@requirement("HD-89")
def test_two_are_as_one(demo: Stack) -> None:
    """Of the gateways, Authorino and maas-api there are two each, and each request comes on a new
    connection: budgets are what they were, and who is nobody with one is with the other."""
    with scaled(demo.kube, 2, MAAS_PROXY, EGRESS_PROXY, AUTHORINO, MAAS_API):
        for model in ALL:
            until(f"{model} to be served by both",
                  partial(answers, demo, model, user_of(demo, "enterprise")),
                  lambda seen: seen == {200}, ENFORCED_SECONDS, every=0.5)  # fmt: skip
        for tier, requests in (("free", FREE_REQUESTS), ("premium", 20)):
            for model in (LOCAL, OPENAI):
                user = user_of(demo, tier)
                statuses = [listing(demo, model, user).status for _ in range(requests + 3)]
                expect(statuses == [200] * requests + [429] * 3, MAAS,
                       f"{requests} requests of a user of the {tier} tier at {model}, then 429",
                       f"{statuses}")  # fmt: skip
        user = demo.cluster_identity()
        token = minted(demo, user)
        demo.send("DELETE", TOKENS, user).expect_status(204)
        until("a revoked token to be refused by both",
              partial(answers, demo, LOCAL, token),
              lambda seen: seen == {401}, ENFORCED_SECONDS, every=0.5)  # fmt: skip
        for model in ALL:
            strange = answers(demo, model, None)
            expect(strange == {401}, MAAS, f"401 without a token at {model}, by both", f"{strange}")


@requirement("HD-103")
def test_as_many_as_were_asked_for(demo: Stack) -> None:
    """Of each gateway's Envoys two, and then their controllers have a new route to bring."""
    both = [MAAS_PROXY, EGRESS_PROXY]
    try:
        for namespace, name in both:
            demo.kube.scale(namespace, name, 2)
        with closing(Backends(demo.kube)) as backends, own_route(demo.kube, demo) as own:
            own.recorder("one")
            own.policy(AUTH, open_to_all())
            own.route(own.rule("one"))
            own.until_answered(200)
            behind = backends.destination(f"one.{own.namespace}.svc.cluster.local")
            address = f"{backends.egress_route(behind, port=PORT)}/v1/models"
            ask = partial(demo.at_egress, "GET", address, kept=False)
            until_status(ask, 200, "a new route of the egress gateway")
            found = {name: replicas(demo, name, namespace) for namespace, name in both}
    finally:
        for one in both:
            demo.kube.scale(*one, 1)
    for one in both:
        until_scaled(demo.kube, one, 1)
    wanted = {name: 2 for _, name in both}
    expect(found == wanted, EGRESS, f"the replicas that were asked for: {wanted}", f"{found}")


def replicas(stack: Stack, name: str, namespace: str) -> int:
    """How many Pods a Deployment is to have."""
    found = existing(stack.kube, "apps/v1", "Deployment", namespace, name)
    return int(found["spec"]["replicas"])


def answers(stack: Stack, model: Provider, user: Identity | None) -> set[int]:
    """What so many connections get that both of two have had one, but once in 128 times."""
    return {listing(stack, model, user).status for _ in range(8)}
