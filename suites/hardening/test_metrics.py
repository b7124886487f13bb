"""What the stack's parts count, for whoever runs it; and whom they name in it."""

from __future__ import annotations

import re
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from fixtures import spaces
from fixtures.clusters import Access
from fixtures.evidence import BACKEND, CLIENT, expect
from fixtures.evidence.requirements import requirement
from fixtures.evidence.verdicts import CLOSED, PRESENT, Decision
from fixtures.kube import Kube
from fixtures.stack import Identity, Stack
from fixtures.stack.surface import of_a_test
from suites.hardening.everywhere import SIDE_BY_SIDE
from suites.hardening.parts import LIMITADOR
from suites.hardening.ways import Walker, Way, expect_on_each
from suites.mixed_providers.providers import ALL, LOCAL

# Of Limitador, Authorino, the semantic router, Envoy, and Istio's agent.
SHOWN_AT = ((8080, "/metrics"), (9190, "/metrics"), (15000, "/stats/prometheus"),
            (15020, "/stats/prometheus"))  # fmt: skip
_SAMPLE = re.compile(r"^(?P<name>\w+)\{(?P<labels>.*)\} (?P<value>[\d.e+]+)$", re.MULTILINE)


@dataclass(frozen=True)
class Shown:
    """What one port of a Pod shows in Prometheus' format."""

    pod: str
    port: int
    text: str


def shown(kube: Kube, access: Access) -> list[Shown]:
    """Of each Pod that shows metrics, and may be looked at."""
    pods = [one for one in spaces.pods(kube, spaces.namespaces(kube, access))
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


def limitadors(kube: Kube, access: Access) -> str:
    """Limitador's own."""
    found = [one.text for one in shown(kube, access) if one.pod.startswith("/".join(LIMITADOR))]
    expect(bool(found), BACKEND, "metrics of Limitador", "none")
    return "\n".join(found)


@requirement("HD-101")
def test_no_metric_has_a_prompt_or_a_key(
    kube: Kube, access: Access, walker: Walker, all_ways: list[Way]
) -> None:
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
    found = shown(kube, access)
    told = [
        f"{one.pod}:{one.port} has {what}"
        for one in found
        for secret, what in secrets.items()
        if secret in one.text
    ]
    expect(len(found) > 1, BACKEND, "metrics of several Pods", f"{[one.pod for one in found]}")
    expect(not told, BACKEND, f"neither in the metrics of {len(found)} ports", f"{told}")


@requirement("HD-102")
def test_whose_use_it_was(
    kube: Kube, access: Access, stack: Stack, heavy_user: Identity, decide: Decision
) -> None:
    """The account, or its tier, among the labels of what was used."""
    stack.chat(LOCAL, heavy_user).expect_status(200)
    account = heavy_user.username.rpartition(":")[2]
    labels = [one["labels"] for one in _SAMPLE.finditer(limitadors(kube, access))
              if one["name"] in ("authorized_hits", "authorized_calls")]  # fmt: skip
    expect(bool(labels), CLIENT, "counters of what was used", "none")
    named = any(account in one or '"enterprise"' in one for one in labels)
    decide(CLOSED if named else PRESENT)
