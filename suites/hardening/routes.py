"""The ways to a model at the MaaS gateway, from the cluster's own routes, whoever made them."""

from __future__ import annotations

from dataclasses import dataclass

from fixtures.kube import Kube
from fixtures.stack.gateways import MAAS_GATEWAY
from fixtures.stack.surface import entrances

ROUTE = ("gateway.networking.k8s.io/v1", "HTTPRoute")
MODEL = ("serving.kserve.io/v1alpha1", "LLMInferenceService")
# How tests call what they make for themselves, and what is no more before it is judged.
MADE_BY_TESTS = ("conformance-", "local-")


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
        ours = namespace.startswith(MADE_BY_TESTS) or name.startswith(MADE_BY_TESTS)
        leads = one.gateway == MAAS_GATEWAY and one.alone and one.backends
        if leads and not (ours or one.is_maas_api):
            found.add(ModelRoute(namespace, name, one.base))
    return sorted(found)


def models(kube: Kube) -> dict[str, list[str]]:
    """The LLMInferenceServices of each namespace."""
    found: dict[str, list[str]] = {}
    for model in kube.all(*MODEL):
        metadata = model["metadata"]
        found.setdefault(metadata["namespace"], []).append(metadata["name"])
    return found
