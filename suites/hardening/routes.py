"""The ways to a model at the MaaS gateway, from the cluster's own routes, whoever made them."""

from __future__ import annotations

from dataclasses import dataclass

from fixtures.found import only
from fixtures.kube import Kube
from fixtures.stack import PATIENCE_SECONDS, Identity, Stack
from fixtures.stack.gateways import MAAS_GATEWAY
from fixtures.stack.surface import entrances, of_a_test
from fixtures.waiting import ENFORCED_SECONDS, until

ROUTE = ("gateway.networking.k8s.io/v1", "HTTPRoute")
MODEL = ("serving.kserve.io/v1alpha1", "LLMInferenceService")
ROUTER = "auto"  # the model's name where a router chooses it


@dataclass(frozen=True, order=True)
class ModelRoute:
    """`path` is what stands before /v1."""

    namespace: str
    name: str
    path: str

    def __str__(self) -> str:
        return f"{self.path or '/'} of route {self.namespace}/{self.name}"


def model_routes(kube: Kube) -> list[ModelRoute]:
    """Those on the MaaS gateway that lead to a backend for every request to their paths."""
    found = set()
    for one in entrances(kube):
        namespace, _, name = one.route.partition("/")
        leads = one.gateway == MAAS_GATEWAY and one.alone and one.backends
        if leads and not one.is_maas_api:
            found.add(ModelRoute(namespace, name, one.base))
    return sorted(found)


def models(kube: Kube) -> dict[str, list[str]]:
    """The LLMInferenceServices of each namespace."""
    found: dict[str, list[str]] = {}
    for model in kube.all(*MODEL):
        metadata = model["metadata"]
        found.setdefault(metadata["namespace"], []).append(metadata["name"])
    return found


def behind_a_router(kube: Kube, route: ModelRoute) -> list[str]:
    """The names by which the models of a router's namespace are asked for."""
    there = kube.all(*MODEL, route.namespace)
    return sorted(one["spec"]["model"]["name"] for one in there if not of_a_test(one))


def model_of(stack: Stack, route: ModelRoute, user: Identity) -> str:
    """The model's own name for itself."""
    if not route.path:
        return ROUTER
    listing = until(
        f"the models of {route}",
        lambda: stack.send("GET", f"{route.path}/v1/models", user),
        lambda seen: seen.status == 200,
        ENFORCED_SECONDS,
        every=PATIENCE_SECONDS,
    )
    return str(only(listing.listed(), "model")["id"])
