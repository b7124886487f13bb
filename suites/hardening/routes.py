"""The ways to a model at the MaaS gateway, from the cluster's own routes, whoever made them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from fixtures.kube import Kube
from fixtures.stack.gateways import MAAS_GATEWAY
from manifests import Object

ROUTE = ("gateway.networking.k8s.io/v1", "HTTPRoute")
MODEL = ("serving.kserve.io/v1alpha1", "LLMInferenceService")
NO_MODEL = "maas-api"  # the Service of what lists models, and is none
# How tests call what they make for themselves, and what is no more before it is judged.
MADE_BY_TESTS = ("conformance-", "local-")
_OPENAI = re.compile(r"(/v1(/.*)?)?/?$")  # what of a path is the provider's own


@dataclass(frozen=True)
class ModelRoute:
    """`path` is what stands before /v1; `owner` is the LLMInferenceService that the route is made
    for, if there is one."""

    namespace: str
    name: str
    path: str
    owner: str

    def __str__(self) -> str:
        return f"{self.path or '/'} of route {self.namespace}/{self.name}"


def model_routes(kube: Kube) -> list[ModelRoute]:
    """Those on the MaaS gateway that lead to a backend for every request to their paths."""
    found = set()
    for route in kube.all(*ROUTE):
        namespace, name = route["metadata"]["namespace"], route["metadata"]["name"]
        ours = namespace.startswith(MADE_BY_TESTS) or name.startswith(MADE_BY_TESTS)
        if ours or not _is_attached(route, namespace):
            continue
        owners = route["metadata"].get("ownerReferences") or []
        owner = next((one["name"] for one in owners if one["kind"] == MODEL[1]), "")
        for path in _paths(route):
            found.add(ModelRoute(namespace, name, _OPENAI.sub("", path, count=1), owner))
    return sorted(found, key=str)


def models(kube: Kube) -> dict[str, list[str]]:
    """The LLMInferenceServices of each namespace."""
    found: dict[str, list[str]] = {}
    for model in kube.all(*MODEL):
        metadata = model["metadata"]
        found.setdefault(metadata["namespace"], []).append(metadata["name"])
    return found


def _is_attached(route: Object, namespace: str) -> bool:
    parents = route["spec"].get("parentRefs") or []
    return MAAS_GATEWAY in [(one.get("namespace", namespace), one["name"]) for one in parents]


def _paths(route: Object) -> list[str]:
    """Of matches by path alone."""
    rules = [
        rule
        for rule in route["spec"].get("rules") or []
        if any(ref["name"] != NO_MODEL for ref in rule.get("backendRefs") or [])
    ]
    matches = [match for rule in rules for match in rule.get("matches") or []]
    return [match["path"]["value"] for match in matches if set(match) == {"path"}]
