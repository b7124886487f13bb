"""Which key reaches which provider, and who else sees it."""

import pytest

from fixtures.evidence import CLIENT
from fixtures.requirements import requirement
from fixtures.stack import Identity, Provider, Stack
from suites.mixed_providers.providers import ALL, ANTHROPIC, EXTERNAL, LOCAL, OPENAI, VLLM


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
    assert alice.token.reveal() not in " ".join(record.headers.values())
    exchange.expect_status(200)


@requirement("MP-36")
@pytest.mark.parametrize("provider", [OPENAI, ANTHROPIC], ids=str)
@pytest.mark.parametrize("sent", ["sk-of-the-client", ""])
def test_key_of_the_client_is_replaced(
    stack: Stack, alice: Identity, provider: Provider, sent: str
) -> None:
    """Not appended, not kept: replaced."""
    exchange = stack.chat(provider, alice, headers={provider.key_header: sent})
    exchange.expect_backend_header(provider.name, provider.key_header, provider.key.reveal())


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
    record = stack.chat(LOCAL, alice).expect_status(200).expect_backend_received("local")
    assert "x-provider-api-key" not in record.headers
    sent = " ".join(record.headers.values())
    assert [one.name for one in ALL if one.key_header and one.key.reveal() in sent] == []


@requirement("MP-5")
@pytest.mark.parametrize("provider", [OPENAI, ANTHROPIC], ids=str)
def test_provider_refuses_a_missing_key(stack: Stack, provider: Provider) -> None:
    """Straight at the provider, past both gateways."""
    status, body = stack.straight(provider, {})
    assert (status, body["error"]["code"]) == (401, "missing_api_key")


@requirement("MP-6")
@pytest.mark.parametrize("provider", [OPENAI, ANTHROPIC], ids=str)
def test_provider_refuses_a_wrong_key(stack: Stack, provider: Provider) -> None:
    """Another provider's key is wrong too."""
    other = ANTHROPIC if provider is OPENAI else OPENAI
    for wrong in ("wrong", other.key.reveal()):
        status, body = stack.straight(provider, {provider.key_header: wrong})
        assert (status, body["error"]["code"]) == (401, "invalid_api_key")


@requirement("MP-18")
def test_vllm_refuses_a_wrong_key(stack: Stack) -> None:
    """The document's negative test, with its own bogus key, from inside the cluster."""
    status, body = stack.straight_from_inside(VLLM, {"Authorization": "Bearer bogus-key"})
    assert (status, body) == (401, {"error": "Unauthorized"})


@requirement("MP-18")
def test_vllm_takes_the_right_key(stack: Stack) -> None:
    """The same request with the right key passes: it was the key that was refused."""
    right = {"Authorization": f"Bearer {VLLM.key.reveal()}"}
    status, body = stack.straight_from_inside(VLLM, right)
    assert (status, body["model"]) == (200, VLLM.model)
