"""A part that is gone, and back again. Each test has a cluster of its own, which it ruins."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fixtures.clusters import Access
from fixtures.kube import Kube
from fixtures.objects import existing
from fixtures.requirements import requirement
from fixtures.stack import TIER_PREFIX, Identity, Provider, Stack
from fixtures.verdicts import Decision
from fixtures.waiting import DEPLOYED_SECONDS, ENFORCED_SECONDS, until
from manifests import FOLDER
from suites.mixed_providers.providers import ALL, ANTHROPIC, LOCAL, OPENAI

pytestmark = [pytest.mark.disposable, pytest.mark.capability("disposable_clusters")]

FREE_REQUESTS = 5
AUTHORINO = ("kuadrant-system", "authorino")
LIMITADOR = ("kuadrant-system", "limitador-limitador")
SIMULATOR = ("external-models", "openai-simulator")


@pytest.fixture
def demo(disposable: Callable[[Path], Access]) -> Iterator[Stack]:
    """The demo with recorders, seen in effect."""
    access = disposable(FOLDER / "mixed-providers" / "overlays" / "recording")
    made = Stack(Kube(access.kubeconfig), access, ALL)
    made.wait_in_effect(ALL)
    yield made
    made.close()


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
    for model in (LOCAL, OPENAI):
        for user in (known, new):
            until_answered(demo, model, user, 200)
        demo.models(model).expect_refusal(401)


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
    late = user_of(demo, "free")
    until("requests to be counted again", lambda: demo.models(LOCAL, late).status,
          lambda status: status == 429, ENFORCED_SECONDS)  # fmt: skip
    found = {frozenset({200}): "open", frozenset({500}): "closed"}
    decide(found.get(frozenset(statuses), f"statuses {statuses}"))


@requirement("HD-20")
def test_without_a_provider(demo: Stack) -> None:
    """Its own users are told so, the others' are served, and it comes back by itself."""
    user = user_of(demo, "enterprise")
    demo.models(OPENAI, user).expect_status(200)
    scaled(demo.kube, SIMULATOR, 0)
    until_answered(demo, OPENAI, user, 503)
    for other in (ANTHROPIC, LOCAL):
        demo.models(other, user).expect_status(200)
    scaled(demo.kube, SIMULATOR, 1)
    until_answered(demo, OPENAI, user, 200)
