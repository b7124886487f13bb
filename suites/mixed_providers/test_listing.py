"""GET /v1/models: one listing of local and external models."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from fixtures.evidence import CLIENT
from fixtures.evidence.requirements import requirement
from fixtures.found import parsed_yaml
from fixtures.kube import Kube
from fixtures.objects import conditions, existing
from fixtures.stack import Identity, Provider, Stack
from fixtures.stack.grants import granted
from fixtures.stack.local_models import closed_gateway, local_model, made_beside
from fixtures.waiting import DEPLOYED_SECONDS, until

EXTERNAL = {"gpt-4": "openai", "claude-3-sonnet": "anthropic", "Qwen/Qwen3-0.6B": "vllm"}
LOCAL = "facebook/opt-125m"


@pytest.fixture
def listing(stack: Stack, alice: Identity) -> dict[str, dict[str, Any]]:
    """The listing's entries by id."""
    exchange = stack.send("GET", "/v1/models", alice).expect_status(200)
    assert exchange.json["object"] == "list"
    return {entry["id"]: entry for entry in exchange.listed()}


def is_recent(created: object) -> bool:
    """Whether `created` is Unix seconds of these years, as in the example."""
    return isinstance(created, int) and 1_700_000_000 < created <= time.time() + 5


@pytest.fixture
def registered(kube: Kube) -> dict[str, str]:
    """The models of external-model-registry: id → provider."""
    registry = kube.get("v1", "ConfigMap", "opendatahub", "external-model-registry")
    assert registry is not None, "there is no ConfigMap opendatahub/external-model-registry"
    return {m["id"]: m["provider"] for m in parsed_yaml(registry["data"]["models"], "the registry")}


@requirement("MP-10")
@pytest.mark.as_deployed(
    "ConfigMap opendatahub/external-model-registry", "Deployment opendatahub/maas-api"
)
def test_listing_has_all_models(stack: Stack, alice: Identity, registered: dict[str, str]) -> None:
    """The four of the document, each once, and no others than the registry has."""
    exchange = stack.send("GET", "/v1/models", alice).expect_status(200)
    listed = [entry["id"] for entry in exchange.listed()]
    found = [model for model in listed if not made_beside(model)]
    document, known = {LOCAL, *EXTERNAL}, {LOCAL, *EXTERNAL, *registered}
    right = document <= set(found) <= known and len(found) == len(set(found))
    expected = f"{sorted(document)}, and of others at most {sorted(known - document)}"
    exchange.expect(CLIENT, right, expected, f"models {found}")


@requirement("MP-11")
def test_local_entry_has_the_documented_fields(
    stack: Stack, listing: dict[str, dict[str, Any]]
) -> None:
    """Every field of the example output; the url is the model's own path at the gateway."""
    entry = listing[LOCAL]
    assert set(entry) == {"id", "created", "object", "owned_by", "url", "ready"}
    assert (entry["object"], entry["owned_by"], entry["ready"]) == ("model", "vllm", True)
    assert is_recent(entry["created"])
    assert entry["url"] == f"http://{stack.host}/llm/facebook-opt-125m-simulated"


@requirement("MP-12")
@pytest.mark.as_deployed(
    "ConfigMap opendatahub/external-model-registry", "Deployment opendatahub/maas-api"
)
@pytest.mark.parametrize("model", EXTERNAL)
def test_external_entry_has_the_documented_fields(
    listing: dict[str, dict[str, Any]], model: str
) -> None:
    """Owned by its provider, ready, and without a url."""
    entry = listing[model]
    assert set(entry) == {"id", "created", "object", "owned_by", "ready"}
    assert (entry["object"], entry["owned_by"], entry["ready"]) == ("model", EXTERNAL[model], True)
    assert is_recent(entry["created"])


@requirement("MP-8")
@pytest.mark.as_deployed(
    "ConfigMap opendatahub/external-model-registry", "Deployment opendatahub/maas-api"
)
def test_external_part_comes_from_the_config_map(
    listing: dict[str, dict[str, Any]], registered: dict[str, str]
) -> None:
    """What external-model-registry lists is what the listing shows as external."""
    external = {id_: e["owned_by"] for id_, e in listing.items() if "url" not in e}
    assert external == registered


@pytest.fixture
def unready(kube: Kube, stack: Stack, heavy_user: Identity) -> Iterator[Provider]:
    """A model that answers and is not Ready: the second gateway that it names refuses its route."""
    with (
        closed_gateway(kube) as closed,
        local_model(kube, "llm", gateways=[closed]) as made,
        granted(kube, heavy_user, "llm", [made.name]),
    ):
        # Not too often: each question is one of the user's fifty.
        until(f"{made.name} to answer", lambda: stack.models(made, heavy_user).status,
              lambda seen: seen == 200, DEPLOYED_SECONDS, every=0.5)  # fmt: skip
        yield made


@requirement("MP-67")
def test_ready_is_said_of_what_is_ready(
    kube: Kube, stack: Stack, heavy_user: Identity, unready: Provider
) -> None:
    """What the object says of itself is what the listing says of it."""
    model = existing(kube, "serving.kserve.io/v1alpha1", "LLMInferenceService", "llm", unready.name)
    assert conditions(model["status"])["Ready"] == "False"
    exchange = stack.send("GET", "/v1/models", heavy_user).expect_status(200)
    said = {entry["id"]: entry["ready"] for entry in exchange.listed()}
    exchange.expect(CLIENT, said[LOCAL] is True, f"{LOCAL} ready", f"{said}")
    shown = said.get(unready.model, False)
    exchange.expect(CLIENT, shown is False, f"{unready.model} not ready", f"{said}")
