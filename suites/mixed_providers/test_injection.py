"""Which key reaches which provider, and who else sees it."""

import pytest

from fixtures.evidence import BACKEND, CLIENT, Exchange, Record, expect
from fixtures.evidence.requirements import requirement
from fixtures.secrets import Secret
from fixtures.stack import Identity, Provider, Stack
from suites.mixed_providers.operations import each, received
from suites.mixed_providers.providers import ANTHROPIC, EXTERNAL, LOCAL, OPENAI, VLLM

FREE_REQUESTS = 5  # in two minutes


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


@pytest.mark.parametrize(
    "provider",
    [
        pytest.param(OPENAI, id="openai", marks=requirement("MP-29")),
        pytest.param(ANTHROPIC, id="anthropic", marks=requirement("MP-32")),
        pytest.param(VLLM, id="vllm", marks=requirement("MP-35")),
    ],
)
def test_provider_key_by_every_operation(
    stack: Stack, heavy_user: Identity, provider: Provider
) -> None:
    """The provider's own key once, no other's beside it, and the provider does not refuse it."""
    for record in received(stack, provider, heavy_user):
        expect_own_key(record, provider)


def expect_own_key(record: Record, provider: Provider) -> None:
    """It is under its header, once, and no other provider's is anywhere."""
    bearer, asked = "Bearer " if provider is VLLM else "", f"{record.method} {record.path}"
    values = record.headers.all(provider.key_header)
    own = values == [bearer + provider.key.reveal()]
    wanted = f"{provider.key_header}: the key of {provider}, once, by {asked}"
    expect(own, BACKEND, wanted, f"{len(values)} values")
    expect_no_other_key(record, provider)


def expect_no_other_key(record: Record, provider: Provider) -> None:
    """Of another provider."""
    found = [one.name for one in EXTERNAL if one.key.reveal() in record.headers.text]
    others = [one for one in found if one != provider.name]
    expect(not others, BACKEND, f"no other key by {record.method} {record.path}", f"of {others}")


@requirement("MP-36")
@pytest.mark.parametrize("provider", [OPENAI, ANTHROPIC], ids=str)
def test_key_of_the_client_is_replaced_by_every_operation(
    stack: Stack, heavy_user: Identity, provider: Provider
) -> None:
    """Another's, which its own provider would take."""
    other = ANTHROPIC if provider is OPENAI else OPENAI
    for record in received(stack, provider, heavy_user, {provider.key_header: other.key.reveal()}):
        expect_own_key(record, provider)


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
        expect_no_key(exchange)


def expect_no_key(exchange: Exchange) -> None:
    """In no header and nowhere in the body."""
    seen = f"{exchange.response.headers.raw} {exchange.response.text}"
    for one in EXTERNAL:
        visible = one.key.reveal() in seen
        exchange.expect(CLIENT, not visible, "no provider key", f"the key of {one}")


@requirement("MP-37")
def test_no_key_is_visible_in_any_answer(
    stack: Stack, alice: Identity, heavy_user: Identity, provider: Provider
) -> None:
    """Of each operation; of the provider's errors; of what nobody serves; and of the gateway's
    refusals of who is nobody, or asks too often."""
    for exchange in each(stack, provider, heavy_user):
        expect_no_key(exchange)
    if not stack.is_real(provider):
        for status in (400, 401, 403, 429, 500, 503):
            answer = stack.chat(provider, heavy_user, recorder={"status": status})
            answer.expect(CLIENT, answer.status >= 400, "an error", f"status {answer.status}")
            expect_no_key(answer)
    expect_no_key(stack.models(provider, Identity(Secret("of-nobody"))).expect_status(401))
    expect_no_key(stack.send("GET", f"{provider.path}/nothing", heavy_user))
    answers = [stack.models(provider, alice) for _ in range(FREE_REQUESTS + 1)]
    expect_no_key(answers[-1].expect_status(429))
    expect_no_key(stack.chat(provider, alice).expect_status(429))


@requirement("MP-41")
def test_local_model_gets_no_provider_key(stack: Stack, alice: Identity) -> None:
    """The workload receives the MaaS token alone."""
    exchange = stack.chat(LOCAL, alice).expect_status(200)
    record = exchange.expect_backend_received("local")
    assert "x-provider-api-key" not in record.headers
    assert record.headers.all("authorization") == [f"Bearer {alice.token.reveal()}"]
    for one in EXTERNAL:
        exchange.expect_nowhere(record, one.key.reveal(), f"the key of {one}")


@requirement("MP-41")
def test_local_model_gets_no_provider_key_by_any_operation(
    stack: Stack, heavy_user: Identity
) -> None:
    for record in received(stack, LOCAL, heavy_user):
        asked, found = f"{record.method} {record.path}", record.headers.all("x-provider-api-key")
        expect(not found, BACKEND, f"no X-Provider-Api-Key by {asked}", f"{len(found)}")
        own = record.headers.all("authorization") == [f"Bearer {heavy_user.token.reveal()}"]
        expect(own, BACKEND, f"the MaaS token alone by {asked}", "another, or none")
        expect_no_other_key(record, LOCAL)


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
