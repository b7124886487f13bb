"""What the bridges' own policies say, beside what comes of it."""

import json
from typing import Any

import pytest

from fixtures.evidence import MAAS, expect
from fixtures.evidence.requirements import requirement
from fixtures.kube import Kube
from fixtures.objects import existing
from fixtures.stack import AUDIENCE, Provider
from suites.mixed_providers.providers import ANTHROPIC, EXTERNAL, OPENAI, VLLM

# From which else a gateway could take a header.
ELSEWHERE = [
    ("gateway.networking.k8s.io/v1", "HTTPRoute"),
    ("ainetworking.prototype.x-k8s.io/v0alpha0", "XBackendDestination"),
    ("extensions.istio.io/v1alpha1", "WasmPlugin"),
    ("networking.istio.io/v1alpha3", "EnvoyFilter"),
]


def rules(kube: Kube, provider: Provider) -> dict[str, Any]:
    """Of the policy of a provider's bridge."""
    name = f"{provider.name}-bridge-auth"
    policy = existing(kube, "kuadrant.io/v1", "AuthPolicy", "default", name)
    found: dict[str, Any] = policy["spec"]["rules"]
    return found


@pytest.mark.parametrize(
    "provider",
    [
        pytest.param(OPENAI, id="openai", marks=requirement("MP-29")),
        pytest.param(ANTHROPIC, id="anthropic", marks=requirement("MP-32")),
        pytest.param(VLLM, id="vllm", marks=requirement("MP-35")),
    ],
)
def test_the_key_is_the_policys(kube: Kube, provider: Provider) -> None:
    """In its `response.success.headers`, and in nothing else that gateways read."""
    name = provider.key_header
    found = rules(kube, provider)["response"]["success"].get("headers") or {}
    holds = provider.key.reveal() in json.dumps(found.get(name, {}))
    expect(holds, MAAS, f"the key as {name} in its AuthPolicy", f"headers {sorted(found)}")
    others = [
        f"{kind} {one['metadata']['namespace']}/{one['metadata']['name']}"
        for version, kind in ELSEWHERE
        if kube.serves(version, kind)
        for one in kube.all(version, kind)
        if provider.key.reveal() in json.dumps(one.get("spec"))
    ]
    expect(not others, MAAS, "the key nowhere else", f"in {others}")


@requirement("MP-22", "MP-23", "MP-24")
@pytest.mark.parametrize("provider", EXTERNAL, ids=str)
def test_tokens_are_reviewed(kube: Kube, provider: Provider) -> None:
    """By the API server, for the gateway's audience, and by no other rule."""
    found = rules(kube, provider)["authentication"]
    wanted = [{"audiences": [AUDIENCE]}]
    reviews = [one.get("kubernetesTokenReview") for one in found.values()]
    expect(reviews == wanted, MAAS, f"one TokenReview for {AUDIENCE}", f"{reviews}")
