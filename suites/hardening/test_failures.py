"""A part that is gone, and back again. Each test has a cluster of its own, which it ruins."""

import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import httpx
import pytest

from fixtures.evidence import CLIENT, Exchange, expect
from fixtures.evidence.requirements import requirement
from fixtures.evidence.verdicts import CLOSED, PRESENT, Decision
from fixtures.found import only
from fixtures.kube import Kube
from fixtures.objects import existing
from fixtures.stack import TIER_PREFIX, Identity, Provider, Stack
from fixtures.stack.paused import paused
from fixtures.waiting import DEPLOYED_SECONDS, ENFORCED_SECONDS, SETTLED_SECONDS, until
from suites.mixed_providers.providers import LOCAL, OPENAI

pytestmark = [pytest.mark.disposable, pytest.mark.capability("disposable_clusters")]

FREE_REQUESTS = 5
SLACK_SECONDS = 4.0  # of a busy machine
AUTHORINO = ("kuadrant-system", "authorino")
LIMITADOR = ("kuadrant-system", "limitador-limitador")
MAAS_API = ("opendatahub", "maas-api")
OPERATOR = ("kuadrant-system", "kuadrant-operator")
MAAS_PROXY = ("openshift-ingress", "maas-default-gateway-openshift-default")
EGRESS_PROXY = ("default", "envoy-poc-gateway")
KNOCK_SECONDS = 0.01
DOORS = [(LOCAL, {}), (OPENAI, {OPENAI.key_header: OPENAI.key.reveal()})]
GATEWAY_POLICY = ("kuadrant.io/v1", "AuthPolicy", "openshift-ingress", "gateway-auth-policy")


def scaled(kube: Kube, deployment: tuple[str, str], replicas: int) -> None:
    """Give a Deployment so many Pods, and wait until they are ready, or gone."""
    namespace, name = deployment
    kube.scale(namespace, name, replicas)

    def seen() -> tuple[int, int]:
        found = existing(kube, "apps/v1", "Deployment", namespace, name)
        pods = kube.all("v1", "Pod", namespace, found["spec"]["selector"]["matchLabels"])
        return len(pods), found["status"].get("readyReplicas", 0)

    until(f"{replicas} Pods of {name}", seen, lambda found: found == (replicas, replicas),
          DEPLOYED_SECONDS)  # fmt: skip


def user_of(stack: Stack, tier: str) -> Identity:
    return stack.account_token(f"{TIER_PREFIX}{tier}")


def until_answered(stack: Stack, model: Provider, user: Identity, status: int) -> None:
    """Not too often: each question is one of the user's fifty."""
    until(f"{model.name} to answer with {status}", lambda: stack.models(model, user).status,
          lambda seen: seen == status, ENFORCED_SECONDS, every=0.5)  # fmt: skip


def until_as_before(stack: Stack, *users: Identity) -> None:
    """These users are let in everywhere, and nobody without a token is."""
    for model in (LOCAL, OPENAI):
        for user in users:
            until_answered(stack, model, user, 200)
        stack.models(model).expect_refusal(401)


def until_counted(stack: Stack) -> None:
    """A user who comes now is refused in the end."""
    late = user_of(stack, "free")
    until("requests to be counted again", lambda: stack.models(LOCAL, late).status,
          lambda status: status == 429, ENFORCED_SECONDS)  # fmt: skip


@requirement("HD-18")
def test_without_authorino(demo: Stack) -> None:
    """Who was let in before is not let in either; when it is back, everybody is."""
    known, new = user_of(demo, "enterprise"), user_of(demo, "enterprise")
    for model in (LOCAL, OPENAI):
        demo.models(model, known).expect_status(200)
    scaled(demo.kube, AUTHORINO, 0)
    for model in (LOCAL, OPENAI):
        for user in (known, new, None):
            demo.models(model, user).expect_refusal(500)
    scaled(demo.kube, AUTHORINO, 1)
    until_as_before(demo, known, new)


@requirement("HD-19")
def test_without_limitador(demo: Stack, decide: Decision) -> None:
    """A user whose budget is used up; and one who comes when Limitador is back."""
    alice = user_of(demo, "free")
    for _ in range(FREE_REQUESTS):
        demo.models(LOCAL, alice).expect_status(200)
    demo.models(LOCAL, alice).expect_refusal(429)
    scaled(demo.kube, LIMITADOR, 0)
    statuses = {demo.models(LOCAL, alice).status for _ in range(3)}
    demo.models(LOCAL).expect_refusal(401)
    scaled(demo.kube, LIMITADOR, 1)
    until_counted(demo)
    found = {frozenset({200}): "open", frozenset({500}): "closed"}
    decide(found.get(frozenset(statuses), f"statuses {statuses}"))


def waits(kube: Kube, *services: str) -> float:
    """For how many seconds Kuadrant waits for these services at most, by its own configuration."""
    plugin = only(kube.all("extensions.istio.io/v1alpha1", "WasmPlugin", MAAS_PROXY[0]), "shim")
    found = plugin["spec"]["pluginConfig"]["services"]
    seconds = 0.0
    for one in services:
        timeout = re.fullmatch(r"(\d+)(ms|s)", found[one]["timeout"])
        assert timeout, f"{one} has the timeout {found[one]['timeout']!r}"
        seconds += int(timeout[1]) * {"ms": 0.001, "s": 1.0}[timeout[2]]
    return seconds


def in_time(requests: list[Callable[[], Exchange]], seconds: float) -> list[Exchange]:
    """Their answers, asked for side by side while a part is silent."""
    began = time.monotonic()
    with ThreadPoolExecutor(len(requests)) as pool:
        asked = [pool.submit(one) for one in requests]
        answers = [one.result() for one in asked]
    passed = time.monotonic() - began
    wanted = f"answers within {seconds + SLACK_SECONDS:.1f} s"
    expect(passed < seconds + SLACK_SECONDS, CLIENT, wanted, f"after {passed:.1f} s")
    return answers


@requirement("HD-38")
def test_while_authorino_is_silent(demo: Stack) -> None:
    """It stands still, so that connections to it are made and nothing comes back."""
    known, new = user_of(demo, "enterprise"), user_of(demo, "enterprise")
    for model in (LOCAL, OPENAI):
        demo.models(model, known).expect_status(200)
    everybody = [partial(demo.models, model, user)
                 for model in (LOCAL, OPENAI) for user in (known, new, None)]  # fmt: skip
    with paused(demo.kube, AUTHORINO):
        answers = in_time(everybody, waits(demo.kube, "auth-service"))
    for one in answers:
        one.expect_refusal(500)
    until_as_before(demo, known, new)


@requirement("HD-39")
def test_while_limitador_is_silent(demo: Stack, decide: Decision) -> None:
    """A new user sends more than his requests, and nobody counts them."""
    alice = user_of(demo, "free")
    requests = [partial(demo.models, LOCAL, alice) for _ in range(FREE_REQUESTS + 1)]
    with paused(demo.kube, LIMITADOR):
        seconds = waits(demo.kube, "ratelimit-service", "ratelimit-check-service")
        asked = [one.status for one in in_time(requests, seconds)]
        demo.models(LOCAL).expect_refusal(401)
    until_counted(demo)
    found = {frozenset({200}): "open", frozenset({500}): "closed"}
    decide(found.get(frozenset(asked), f"statuses {asked}"))


@requirement("HD-36")
def test_without_maas_api(demo: Stack, decide: Decision) -> None:
    """Whose tier nobody can say is asked for no budget: six requests of a free user."""
    known = user_of(demo, "free")
    for _ in range(FREE_REQUESTS):
        demo.models(LOCAL, known).expect_status(200)
    demo.models(LOCAL, known).expect_refusal(429)
    scaled(demo.kube, MAAS_API, 0)
    demo.models(LOCAL).expect_refusal(401)
    new = user_of(demo, "free")
    asked = [demo.models(LOCAL, new) for _ in range(FREE_REQUESTS + 1)]
    for one in asked:
        if one.status != 200:
            one.expect_refusal(401, 403, 429, 500)
    scaled(demo.kube, MAAS_API, 1)
    until_counted(demo)
    found = [one.status for one in asked]
    refused = found[-1] != 200
    decide(PRESENT if set(found) == {200} else CLOSED if refused else f"statuses {found}")


class Knocker:
    """Asks both kinds of providers without a token, again and again, until it is left.

    With the provider's own key: past the gateway it would be served.
    """

    def __init__(self, stack: Stack) -> None:
        self._stack, self._over = stack, threading.Event()
        self._pool = ThreadPoolExecutor(1)
        self.let_in: list[str] = []
        self.refused = 0

    def __enter__(self) -> "Knocker":
        self._knocking = self._pool.submit(self._run)
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._pool.shutdown()
        self._knocking.result()  # or what ended it

    def _run(self) -> None:
        while not self._over.wait(KNOCK_SECONDS):
            for model, keys in DOORS:
                try:
                    found = self._stack.send("GET", f"{model.path}/v1/models", headers=keys)
                except httpx.TransportError:  # the gateway itself starts anew
                    continue
                if found.status < 300:
                    self.let_in.append(f"{model} at {time.strftime('%H:%M:%S')}")
                self.refused += found.status == 401

    def expect_outside(self, what: str) -> None:
        """It was refused now and again, and never let in."""
        inside = self.let_in
        expect(not inside, CLIENT, f"nobody let in while {what}", f"let in: {inside[:5]}")
        expect(self.refused > 0, CLIENT, "401 now and again", "none")


def replaced(kube: Kube, deployment: tuple[str, str]) -> None:
    """Delete a Deployment's Pods, and wait for others in their place."""
    namespace, name = deployment
    found = existing(kube, "apps/v1", "Deployment", namespace, name)
    labels = found["spec"]["selector"]["matchLabels"]
    before = {pod["metadata"]["uid"] for pod in kube.all("v1", "Pod", namespace, labels)}
    for pod in kube.all("v1", "Pod", namespace, labels):
        kube.delete("v1", "Pod", namespace, pod["metadata"]["name"])

    def ready() -> bool:
        now = existing(kube, "apps/v1", "Deployment", namespace, name)
        uids = {pod["metadata"]["uid"] for pod in kube.all("v1", "Pod", namespace, labels)}
        return not uids & before and now["status"].get("readyReplicas", 0) == len(before)

    until(f"other Pods of {name}", ready, bool, DEPLOYED_SECONDS)


@requirement("HD-32")
def test_no_door_is_open_for_a_moment(demo: Stack) -> None:
    """While Authorino, Kuadrant's operator and the gateways start anew, and a policy is edited."""
    deployments = [AUTHORINO, OPERATOR, MAAS_PROXY, EGRESS_PROXY]
    for deployment in deployments:
        with Knocker(demo) as knocker:
            replaced(demo.kube, deployment)
            until_answered(demo, OPENAI, user_of(demo, "enterprise"), 200)
            time.sleep(SETTLED_SECONDS)
        knocker.expect_outside(f"{deployment[1]} starts anew")
    with Knocker(demo) as knocker:
        for seconds in (30, 60, 90):
            caches = {"tier-access": {"cache": {"ttl": seconds}}}
            demo.kube.merge(*GATEWAY_POLICY, {"spec": {"rules": {"authorization": caches}}})
            time.sleep(SETTLED_SECONDS)
    knocker.expect_outside("a policy is edited")
