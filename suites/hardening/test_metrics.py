"""What the stack's parts count, for whoever runs it; and whom they name in it."""

from __future__ import annotations

import re
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from fixtures.evidence import BACKEND, CLIENT, expect
from fixtures.evidence.requirements import requirement
from fixtures.evidence.verdicts import CLOSED, PRESENT, Decision
from fixtures.kube import Kube
from fixtures.stack import TIER_PREFIX, Identity, Provider, Stack
from fixtures.stack.surface import of_a_test
from fixtures.waiting import ENFORCED_SECONDS, until
from suites.hardening.everywhere import SIDE_BY_SIDE
from suites.hardening.parts import LIMITADOR
from suites.hardening.test_failures import FREE_REQUESTS
from suites.hardening.ways import Walker, Way, expect_on_each
from suites.mixed_providers.providers import ALL, LOCAL, OPENAI

# Of Limitador, Authorino, the semantic router, Envoy, and Istio's agent.
SHOWN_AT = ((8080, "/metrics"), (9190, "/metrics"), (15000, "/stats/prometheus"),
            (15020, "/stats/prometheus"))  # fmt: skip
_SAMPLE = re.compile(r"^(?P<name>\w+)\{(?P<labels>.*)\} (?P<value>[\d.e+]+)$", re.MULTILINE)
LARGE, REFUSED = 40_000, 3  # tokens of an answer, which the enterprise tier has; requests
ROUTES = {LOCAL: "llm/facebook-opt-125m-simulated-kserve-route", OPENAI: "default/openai-bridge"}


@dataclass(frozen=True)
class Shown:
    """What one port of a Pod shows in Prometheus' format."""

    pod: str
    port: int
    text: str


def shown(kube: Kube) -> list[Shown]:
    """Of each Pod of the stack that shows metrics."""
    pods = [one for one in kube.all("v1", "Pod")
            if not of_a_test(one) and one["status"].get("phase") == "Running"]  # fmt: skip
    asked = [(one["metadata"], port, path) for one in pods for port, path in SHOWN_AT]

    def read(one: tuple[dict[str, str], int, str]) -> Shown | None:
        metadata, port, path = one
        status, text = kube.through_pod(metadata["namespace"], metadata["name"], port, path)
        is_metrics = status == 200 and "# TYPE " in text
        return (
            Shown(f"{metadata['namespace']}/{metadata['name']}", port, text) if is_metrics else None
        )

    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        return [found for found in pool.map(read, asked) if found]


def limitadors(kube: Kube) -> str:
    """Limitador's own."""
    found = [one.text for one in shown(kube) if one.pod.startswith("/".join(LIMITADOR))]
    expect(bool(found), BACKEND, "metrics of Limitador", "none")
    return "\n".join(found)


def of_route(text: str, name: str, route: str) -> int:
    """A counter of Limitador's for one route, over all other labels."""
    place = f'limitador_namespace="{route}"'
    return sum(
        round(float(one["value"]))
        for one in _SAMPLE.finditer(text)
        if one["name"] == name and place in one["labels"]
    )


@requirement("HD-100")
@pytest.mark.parametrize("model", ROUTES, ids=str)
def test_a_route_has_its_counters(kube: Kube, stack: Stack, model: Provider) -> None:
    """One large answer, and then the requests of a user who has none left; others use it too."""
    route, before = ROUTES[model], limitadors(kube)
    user, free = (stack.account_token(f"{TIER_PREFIX}{tier}") for tier in ("enterprise", "free"))
    stack.chat(model, user, recorder={"total_tokens": LARGE}).expect_status(200)
    for _ in range(FREE_REQUESTS):
        stack.models(model, free).expect_status(200)
    for _ in range(REFUSED):
        stack.models(model, free).expect_refusal(429)
    least = {"authorized_hits": LARGE, "authorized_calls": FREE_REQUESTS, "limited_calls": REFUSED}

    def grown() -> dict[str, int]:
        now = limitadors(kube)
        return {name: of_route(now, name, route) - of_route(before, name, route) for name in least}

    until(f"{least} more of {route} at least", grown,
          lambda seen: all(seen[name] >= least[name] for name in least), ENFORCED_SECONDS)  # fmt: skip


@requirement("HD-101")
def test_no_metric_has_a_prompt_or_a_key(kube: Kube, walker: Walker, all_ways: list[Way]) -> None:
    """After a prompt of its own on each way to a recorder."""
    words = {str(way): f"prompt-{uuid.uuid4().hex}" for way in all_ways}

    def asked(way: Way) -> str:
        messages = [{"role": "user", "content": words[str(way)]}]
        status = walker.ask(way, messages=messages).status
        return "" if status == 200 else f"status {status}"

    expect_on_each(all_ways, "an answer", asked)
    secrets = {one.key.reveal(): f"the key of {one}" for one in ALL if one.key.reveal()}
    secrets[walker.user.token.reveal()] = "the user's token"
    secrets |= {word: f"the prompt on {way}" for way, word in words.items()}
    found = shown(kube)
    told = [
        f"{one.pod}:{one.port} has {what}"
        for one in found
        for secret, what in secrets.items()
        if secret in one.text
    ]
    expect(len(found) > 1, BACKEND, "metrics of several Pods", f"{[one.pod for one in found]}")
    expect(not told, BACKEND, f"neither in the metrics of {len(found)} ports", f"{told}")


@requirement("HD-102")
def test_whose_use_it_was(kube: Kube, stack: Stack, heavy_user: Identity, decide: Decision) -> None:
    """The account, or its tier, among the labels of what was used."""
    stack.chat(LOCAL, heavy_user).expect_status(200)
    account = heavy_user.username.rpartition(":")[2]
    labels = [one["labels"] for one in _SAMPLE.finditer(limitadors(kube))
              if one["name"] in ("authorized_hits", "authorized_calls")]  # fmt: skip
    expect(bool(labels), CLIENT, "counters of what was used", "none")
    named = any(account in one or '"enterprise"' in one for one in labels)
    decide(CLOSED if named else PRESENT)
