"""GET /v1/models at the MaaS gateway: local and external models in one listing."""

from typing import Any

import pytest

from fixtures.evidence import CLIENT, Exchange
from fixtures.evidence.requirements import requirement
from fixtures.evidence.verdicts import Decision
from fixtures.found import parsed_yaml
from fixtures.kube import Kube
from fixtures.objects import existing
from fixtures.stack import Identity, Provider, Stack

EXTERNAL = {"gpt-4-external": "openai", "claude-3-sonnet-external": "anthropic"}


def entry_of(exchange: Exchange, model: str) -> dict[str, Any]:
    """A model's one entry in a listing."""
    listing = exchange.expect_status(200).listed()
    assert exchange.json["object"] == "list"
    ids = [entry["id"] for entry in listing]
    exchange.expect(CLIENT, ids.count(model) == 1, f"{model} in the listing, once", ids)
    return dict(listing[ids.index(model)])


@requirement("EM-10")
@pytest.mark.as_deployed(
    "ConfigMap opendatahub/external-model-registry", "Deployment opendatahub/maas-api"
)
@pytest.mark.parametrize("model", EXTERNAL)
def test_external_entry(stack: Stack, alice: Identity, model: str) -> None:
    """The example's fields and values, and no url."""
    entry = entry_of(stack.send("GET", "/v1/models", alice), model)
    assert isinstance(entry.pop("created"), int)
    owner = EXTERNAL[model]
    assert entry == {"id": model, "object": "model", "owned_by": owner, "ready": True}


@requirement("EM-10")
def test_local_entry(stack: Stack, local: Provider, member: Identity) -> None:
    """With the url of its own path at the MaaS gateway."""
    entry = entry_of(stack.send("GET", "/v1/models", member), local.model)
    assert isinstance(entry.pop("created"), int)
    assert entry.pop("url") == f"http://{stack.host}{local.path}"
    assert entry == {"id": local.model, "object": "model", "owned_by": "vllm", "ready": True}


@requirement("EM-44")
def test_which_is_the_first(
    stack: Stack, local: Provider, member: Identity, decide: Decision
) -> None:
    """For a user who may use a local model; for others the external ones are alone there."""
    exchange = stack.send("GET", "/v1/models", member)
    entry_of(exchange, local.model)
    decide("local" if "url" in exchange.listed()[0] else "external")


@requirement("EM-11")
@pytest.mark.as_deployed(
    "ConfigMap opendatahub/external-model-registry", "Deployment opendatahub/maas-api"
)
def test_order(kube: Kube, stack: Stack, local: Provider, member: Identity) -> None:
    """Whatever has a url comes first; the rest is the registry, line by line."""
    registry = existing(kube, "v1", "ConfigMap", "opendatahub", "external-model-registry")
    wanted = [
        (m["id"], m["provider"]) for m in parsed_yaml(registry["data"]["models"], "the registry")
    ]
    exchange = stack.send("GET", "/v1/models", member).expect_status(200)
    data = exchange.listed()
    locals_ = [entry["id"] for entry in data if "url" in entry]
    assert local.model in locals_
    found = [(entry["id"], entry["owned_by"]) for entry in data[len(locals_) :]]
    exchange.expect(CLIENT, found == wanted, f"local models, then {wanted}", f"{data}")
