"""GET /v1/models: one listing of local and external models."""

from typing import Any

import pytest
import yaml

from fixtures.evidence import CLIENT
from fixtures.kube import Kube
from fixtures.requirements import requirement
from fixtures.stack import Identity, Stack

EXTERNAL = {"gpt-4": "openai", "claude-3-sonnet": "anthropic", "Qwen/Qwen3-0.6B": "vllm"}
LOCAL = "facebook/opt-125m"


@pytest.fixture
def listing(stack: Stack, alice: Identity) -> dict[str, dict[str, Any]]:
    """The listing's entries by id."""
    body = stack.send("GET", "/v1/models", alice).expect_status(200).json
    assert body["object"] == "list"
    return {entry["id"]: entry for entry in body["data"]}


@pytest.fixture
def registered(kube: Kube) -> dict[str, str]:
    """The models of external-model-registry: id → provider."""
    registry = kube.get("v1", "ConfigMap", "opendatahub", "external-model-registry")
    assert registry is not None, "there is no ConfigMap opendatahub/external-model-registry"
    return {m["id"]: m["provider"] for m in yaml.safe_load(registry["data"]["models"])}


@requirement("MP-10")
def test_listing_has_all_models(stack: Stack, alice: Identity, registered: dict[str, str]) -> None:
    """The four of the document, each once, and no others than the registry has."""
    exchange = stack.send("GET", "/v1/models", alice).expect_status(200)
    found = [entry["id"] for entry in exchange.json["data"]]
    document, known = {LOCAL, *EXTERNAL}, {LOCAL, *EXTERNAL, *registered}
    right = document <= set(found) <= known and len(found) == len(set(found))
    expected = f"{sorted(document)}, and of others at most {sorted(known - document)}"
    exchange.expect(CLIENT, right, expected, f"models {found}")


@requirement("MP-11")
def test_local_entry_has_the_documented_fields(listing: dict[str, dict[str, Any]]) -> None:
    """Every field of the example output; the url is the model's own path at the gateway."""
    entry = listing[LOCAL]
    assert set(entry) == {"id", "created", "object", "owned_by", "url", "ready"}
    assert (entry["object"], entry["owned_by"], entry["ready"]) == ("model", "vllm", True)
    assert isinstance(entry["created"], int)
    assert entry["url"].startswith("http")
    assert entry["url"].endswith("/llm/facebook-opt-125m-simulated")


@requirement("MP-12")
@pytest.mark.parametrize("model", EXTERNAL)
def test_external_entry_has_the_documented_fields(
    listing: dict[str, dict[str, Any]], model: str
) -> None:
    """Owned by its provider, ready, and without a url."""
    entry = listing[model]
    assert set(entry) == {"id", "created", "object", "owned_by", "ready"}
    assert (entry["object"], entry["owned_by"], entry["ready"]) == ("model", EXTERNAL[model], True)
    assert isinstance(entry["created"], int)


@requirement("MP-8")
def test_external_part_comes_from_the_config_map(
    listing: dict[str, dict[str, Any]], registered: dict[str, str]
) -> None:
    """What external-model-registry lists is what the listing shows as external."""
    external = {id_: e["owned_by"] for id_, e in listing.items() if "url" not in e}
    assert external == registered
