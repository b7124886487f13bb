"""Which key reaches which provider, and who else sees it."""

import pytest

from fixtures.evidence import CLIENT
from fixtures.evidence.requirements import requirement
from fixtures.stack import Identity, Provider, Stack
from suites.mixed_providers.providers import ANTHROPIC, EXTERNAL, LOCAL, OPENAI, VLLM


@pytest.mark.parametrize(
    "provider",
    [
        pytest.param(OPENAI, id="openai", marks=requirement("MP-29")),
        pytest.param(ANTHROPIC, id="anthropic", marks=requirement("MP-32")),
    ],
)
@pytest.mark.parametrize("operation", ["chat", "models"])
def test_provider_key_is_injected(
    stack: Stack, alice: Identity, provider: Provider, operation: str
) -> None:
    """The provider receives its key under its header, and takes it."""
    exchange = getattr(stack, operation)(provider, alice)
    exchange.expect_backend_header(provider.name, provider.key_header, provider.key.reveal())
    exchange.expect_status(200)


@requirement("MP-35")
@pytest.mark.parametrize("operation", ["chat", "models"])
def test_authorization_is_overridden_for_vllm(
    stack: Stack, alice: Identity, operation: str
) -> None:
    """vLLM receives its key as the one bearer, and the MaaS token nowhere."""
    exchange = getattr(stack, operation)(VLLM, alice)
    wanted = f"Bearer {VLLM.key.reveal()}"
    record = exchange.expect_backend_header("vllm", "Authorization", wanted)
    exchange.expect_nowhere(record, alice.token.reveal(), "the MaaS token")
    exchange.expect_status(200)


@requirement("MP-36")
@pytest.mark.parametrize("provider", [OPENAI, ANTHROPIC], ids=str)
@pytest.mark.parametrize("name", ["X-Provider-Api-Key", "x-provider-api-key"])
@pytest.mark.parametrize("sent", ["sk-of-the-client", ""], ids=["another", "empty"])
def test_key_of_the_client_is_replaced(
    stack: Stack, alice: Identity, provider: Provider, sent: str, name: str
) -> None:
    """Not appended, not kept: replaced, and the provider takes it."""
    exchange = stack.chat(provider, alice, headers={name: sent})
    exchange.expect_backend_header(provider.name, provider.key_header, provider.key.reveal())
    exchange.expect_status(200)


@requirement("MP-36")
@pytest.mark.parametrize("provider", [OPENAI, ANTHROPIC], ids=str)
def test_doubled_key_of_the_client_is_replaced(
    stack: Stack, alice: Identity, provider: Provider
) -> None:
    """Sent twice, with the other provider's key among them."""
    other = ANTHROPIC if provider is OPENAI else OPENAI
    twice = [(provider.key_header, "sk-of-the-client"), (provider.key_header, other.key.reveal())]
    exchange = stack.chat(provider, alice, headers=twice)
    exchange.expect_backend_header(provider.name, provider.key_header, provider.key.reveal())
    exchange.expect_status(200)


@requirement("MP-37")
def test_no_key_is_visible_to_the_client(stack: Stack, alice: Identity, provider: Provider) -> None:
    """Neither in a good answer nor in a refusal."""
    for exchange in (stack.chat(provider, alice), stack.chat(provider)):
        seen = f"{exchange.response.headers.raw} {exchange.response.text}"
        for one in EXTERNAL:
            visible = one.key.reveal() in seen
            exchange.expect(CLIENT, not visible, "no provider key", f"the key of {one}")


@requirement("MP-41")
def test_local_model_gets_no_provider_key(stack: Stack, alice: Identity) -> None:
    """The workload receives the MaaS token alone."""
    exchange = stack.chat(LOCAL, alice).expect_status(200)
    record = exchange.expect_backend_received("local")
    assert "x-provider-api-key" not in record.headers
    assert record.headers.all("authorization") == [f"Bearer {alice.token.reveal()}"]
    for one in EXTERNAL:
        exchange.expect_nowhere(record, one.key.reveal(), f"the key of {one}")


@requirement("MP-18")
@pytest.mark.capability("real_vllm")
@pytest.mark.parametrize("wrong", ["bogus-key", "invalid-key"])
def test_vllm_refuses_a_wrong_key(stack: Stack, wrong: str) -> None:
    """The document's negative tests, with its own wrong keys, from inside the cluster."""
    status, body = stack.straight_from_inside(VLLM, {"Authorization": f"Bearer {wrong}"})
    assert (status, body) == (401, {"error": "Unauthorized"})


@requirement("MP-18")
@pytest.mark.capability("real_vllm")
def test_vllm_takes_the_right_key(stack: Stack) -> None:
    """The same request with the right key passes: it was the key that was refused."""
    right = {"Authorization": f"Bearer {VLLM.key.reveal()}"}
    status, body = stack.straight_from_inside(VLLM, right)
    assert (status, body["model"]) == (200, VLLM.model)
