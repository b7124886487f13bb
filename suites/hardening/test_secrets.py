"""Who gets to see which secret."""

import json

import pytest

from fixtures.clusters import Access
from fixtures.evidence import BACKEND
from fixtures.evidence.requirements import requirement
from fixtures.evidence.verdicts import Decision
from fixtures.kube import Kube
from fixtures.stack import Identity, Stack
from fixtures.stack.gateways import MAAS_GATEWAY
from fixtures.stack.logs import LOG_LINES
from suites.mixed_providers.providers import EXTERNAL, OPENAI, VLLM

SHOWN = [
    ("gateway.networking.k8s.io/v1", "Gateway"),
    ("gateway.networking.k8s.io/v1", "HTTPRoute"),
    ("kuadrant.io/v1", "AuthPolicy"),
    ("kuadrant.io/v1", "RateLimitPolicy"),
    ("kuadrant.io/v1alpha1", "TokenRateLimitPolicy"),
]


@requirement("HD-13")
@pytest.mark.capability("maas_gateway_log")
def test_no_key_is_shown(kube: Kube, access: Access, stack: Stack, heavy_user: Identity) -> None:
    """After a request that got each key, and one that a provider refused."""
    for provider in EXTERNAL:
        record = stack.chat(provider, heavy_user).expect_status(200)
        got = record.expect_backend_received(provider.name)
        assert provider.key.reveal() in got.headers.text, "the request got no key"
        refused = stack.chat(provider, heavy_user, recorder={"status": 401}).expect_status(401)
        for exchange in (record, refused):
            assert stack.maas_log(exchange.id), "the request is not in the access log"
    shown = [obj.get("status") for kind in SHOWN for obj in kube.all(*kind)]
    shown += kube.all("v1", "Event")
    selector = f"gateway.networking.k8s.io/gateway-name={MAAS_GATEWAY[1]}"
    log = kube.logs(MAAS_GATEWAY[0], selector, access.log_container, LOG_LINES)
    for provider in EXTERNAL:
        for text, where in ((json.dumps(shown), "a status or an event"), (log, "the access log")):
            assert provider.key.reveal() not in text, f"{provider.name}'s key is in {where}"


@requirement("HD-14")
def test_the_users_token_at_the_provider(stack: Stack, alice: Identity, decide: Decision) -> None:
    """Present where the key has a header of its own; replaced where it is Authorization."""
    token = alice.token.reveal()
    exchange = stack.chat(VLLM, alice).expect_status(200)
    record = exchange.expect_backend_received(VLLM.name)
    exchange.expect(BACKEND, token not in record.headers.text, "the token nowhere", "in a header")
    other = stack.chat(OPENAI, alice).expect_status(200).expect_backend_received(OPENAI.name)
    decide("present" if token in other.headers.text else "closed")
