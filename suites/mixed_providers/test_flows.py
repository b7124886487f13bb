"""The end-to-end flows: who answers, and what the client gets."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from fixtures.evidence import CLIENT
from fixtures.evidence.requirements import requirement
from fixtures.evidence.verdicts import Decision
from fixtures.found import parsed
from fixtures.stack import Identity, Provider, Stack
from suites.mixed_providers.providers import ALL, ANTHROPIC, EXTERNAL, LOCAL, OPENAI, VLLM


@pytest.mark.parametrize(
    "provider",
    [
        pytest.param(OPENAI, id="openai", marks=requirement("MP-13")),
        pytest.param(ANTHROPIC, id="anthropic", marks=requirement("MP-14")),
        pytest.param(VLLM, id="vllm", marks=requirement("MP-15")),
        pytest.param(LOCAL, id="local", marks=requirement("MP-16")),
    ],
)
def test_chat_is_answered_by_the_provider(
    stack: Stack, alice: Identity, provider: Provider
) -> None:
    """200 and an OpenAI chat completion with usage, and the provider has seen the request."""
    exchange = stack.chat(provider, alice).expect_status(200)
    body = exchange.json
    exchange.expect(CLIENT, body["object"] == "chat.completion", "a completion", body["object"])
    exchange.expect(CLIENT, body["model"] == provider.model, provider.model, body["model"])
    assert body["choices"][0]["message"]["role"] == "assistant"
    assert body["choices"][0]["message"]["content"]
    usage = body["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] > 0
    exchange.expect_backend_received(provider.name)


@requirement("MP-48")
def test_requests_reach_no_other_provider(
    stack: Stack, alice: Identity, provider: Provider
) -> None:
    """Exactly one provider has the request, the body unchanged, and no other's key in it."""
    exchange = stack.chat(provider, alice).expect_status(200)
    record = exchange.expect_backend_received(provider.name)
    assert record.json == parsed(exchange.response.request.content, "the request")
    for other in EXTERNAL:
        if other is not provider:
            exchange.expect_nowhere(record, other.key.reveal(), f"the key of {other}")


@requirement("MP-48")
def test_requests_at_once_are_not_mixed_up(stack: Stack, heavy_user: Identity) -> None:
    """Five requests to each provider, all at the same time."""
    asked = ALL * 5
    with ThreadPoolExecutor(len(asked)) as threads:
        exchanges = list(threads.map(lambda one: stack.chat(one, heavy_user), asked))
    for provider, exchange in zip(asked, exchanges, strict=True):
        record = exchange.expect_status(200).expect_backend_received(provider.name)
        exchange.expect(CLIENT, exchange.json["model"] == provider.model, provider.model, "another")
        for other in EXTERNAL:
            if other is not provider:
                exchange.expect_nowhere(record, other.key.reveal(), f"the key of {other}")


@requirement("MP-48")
@pytest.mark.parametrize("name", ["openai2", "openai.", "openai-eu", "opena", "OpenAI", "vllm2"])
def test_name_beside_a_providers_is_nobodys(stack: Stack, alice: Identity, name: str) -> None:
    """A name that begins like a provider's, or is the beginning of one, is another name."""
    stack.send("GET", f"/external/{name}/v1/models", alice).expect_refusal(403, 404)


@requirement("MP-21")
@pytest.mark.parametrize("provider", ALL, ids=str)
def test_tls_ends_at_the_maas_gateway(stack: Stack, alice: Identity, provider: Provider) -> None:
    """The client's HTTPS is verified against the CA for the host; an external provider gets
    HTTP."""
    exchange = stack.chat(provider, alice).expect_status(200)
    url = exchange.response.request.url
    assert (url.scheme, exchange.response.request.headers["host"][:5]) == ("https", "maas.")
    record = exchange.expect_backend_received(provider.name)
    assert record.tls is (provider is LOCAL)


@requirement("MP-38")
@pytest.mark.capability("maas_gateway_log", "egress_gateway_log")
def test_local_model_is_not_behind_the_egress_gateway(stack: Stack, alice: Identity) -> None:
    """The MaaS gateway's log names the KServe workload; the egress gateway's has nothing."""
    exchange = stack.chat(LOCAL, alice).expect_status(200)
    exchange.expect_backend_received("local")
    lines = stack.maas_log(exchange.id)
    named = [line.need("cluster").rstrip(";") for line in lines]  # Istio 1.31 ends it so
    assert named == [
        "outbound|8000||facebook-opt-125m-simulated-kserve-workload-svc.llm.svc.cluster.local"
    ]
    exchange.expect_no_inner()


@requirement("MP-40")
def test_hop_to_the_local_model_is_https(stack: Stack, alice: Identity) -> None:
    """The workload got the request over TLS."""
    record = stack.chat(LOCAL, alice).expect_status(200).expect_backend_received("local")
    assert record.tls is True


@requirement("MP-42")
def test_whether_the_local_models_path_is_rewritten(
    stack: Stack, alice: Identity, decide: Decision
) -> None:
    """What the workload receives decides, whether it serves that path or not."""
    exchange = stack.chat(LOCAL, alice)
    record = exchange.expect_backend_received("local")
    outcomes = {"/v1/chat/completions": "rewritten", exchange.sent_path: "kept"}
    decide(outcomes.get(record.path, record.path))
