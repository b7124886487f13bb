"""Two URL rewrites for each external provider, for every operation."""

import pytest

from fixtures.evidence import BACKEND
from fixtures.evidence.requirements import requirement
from fixtures.stack import Identity, Provider, Stack
from suites.mixed_providers.providers import ANTHROPIC, OPENAI, VLLM

PATHS = {"chat": "/v1/chat/completions", "models": "/v1/models"}
RESTS = ["/v1/models/", "/v1/Models/GPT-4", "/v1/files/a%20b/c", "/v1/models/llama:7b@main;a=1"]


def rewrites(*cited: str) -> list[object]:
    """Each provider with the requirement of the hop in question."""
    providers = (OPENAI, ANTHROPIC, VLLM)
    pairs = zip(providers, cited, strict=True)
    return [pytest.param(p, id=p.name, marks=requirement(one)) for p, one in pairs]


@pytest.mark.parametrize("operation", PATHS)
@pytest.mark.parametrize("provider", rewrites("MP-27", "MP-30", "MP-33"))
def test_maas_gateway_strips_external(
    stack: Stack, alice: Identity, provider: Provider, operation: str
) -> None:
    """The egress gateway receives the provider's prefix and the rest of the path."""
    exchange = getattr(stack, operation)(provider, alice)
    exchange.expect_inner_received(provider.egress_path + PATHS[operation])


@pytest.mark.parametrize("operation", PATHS)
@pytest.mark.parametrize("provider", rewrites("MP-28", "MP-31", "MP-34"))
def test_egress_gateway_strips_the_provider(
    stack: Stack, alice: Identity, provider: Provider, operation: str
) -> None:
    """The provider receives the path of the real API, and answers it."""
    exchange = getattr(stack, operation)(provider, alice)
    record = exchange.expect_backend_received(provider.name, PATHS[operation])
    exchange.expect_status(200)
    exchange.expect(BACKEND, "//" not in record.path, "no doubled slash", record.path)


@pytest.mark.parametrize("provider", rewrites("MP-28", "MP-31", "MP-34"))
def test_query_survives_both_rewrites(stack: Stack, alice: Identity, provider: Provider) -> None:
    """Only the prefix goes."""
    exchange = stack.send("GET", f"{provider.path}/v1/models?limit=2&after=a%2Fb", alice)
    exchange.expect_backend_received(provider.name, "/v1/models?limit=2&after=a%2Fb")


@pytest.mark.parametrize("rest", RESTS)
@pytest.mark.parametrize("provider", rewrites("MP-28", "MP-31", "MP-34"))
def test_rest_of_the_path_survives_both_rewrites(
    stack: Stack, alice: Identity, provider: Provider, rest: str
) -> None:
    """Letter by letter, as Gateway API's ReplacePrefixMatch has it; what it names need not be."""
    exchange = stack.send("GET", provider.path + rest, alice)
    exchange.expect_inner_received(provider.egress_path + rest)
    exchange.expect_backend_received(provider.name, rest)
