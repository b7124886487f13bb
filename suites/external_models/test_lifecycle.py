"""What changes while the stack runs: the registry, the operator, and the end of it all.

Each test has the quickstart to itself, in a cluster that it ruins.
"""

from typing import Any

import pytest
import yaml

from fixtures.evidence.requirements import requirement
from fixtures.found import only
from fixtures.kube import Kube
from fixtures.objects import existing
from fixtures.stack import TIER_PREFIX, Identity, Provider, Stack
from fixtures.stack.grants import granted
from fixtures.stack.local_models import local_model, made_beside
from fixtures.stack.teardown import addresses, answering, delete_file, left
from fixtures.waiting import ENFORCED_SECONDS, REMOVED_SECONDS, until
from manifests import FOLDER, render
from suites.external_models.backends import SIMULATOR, SIMULATOR_NAMESPACE

pytestmark = [pytest.mark.disposable, pytest.mark.capability("disposable_clusters")]
Object = dict[str, Any]
MAAS_API = ("apps/v1", "Deployment", "opendatahub", "maas-api")
EXTERNAL = ["gpt-4-external", "claude-3-sonnet-external"]
TEARDOWN = [
    "external-models/base/maas-bridge.yaml",
    "external-models/base/external-model.yaml",
    "external-models/registry/external-model-registry.yaml",
    "egress/gateway.yaml",
    "external-models/base/simulator.yaml",
    "egress/controller.yaml",
    "platform/base/crds/wg-ai-gateway.yaml",
]
LISTENING = [("external-models", "model-simulator"), ("default", "envoy-poc-gateway"),
             ("ai-gateway-system", "ai-gateway-controller")]  # fmt: skip


def listed(stack: Stack, user: Identity) -> list[str]:
    """The ids of external models and of the test's own in MaaS' listing, whose data are null
    without any; the status if there is none. What other documents deploy is not this one's."""
    exchange = stack.send("GET", "/v1/models", user)
    if exchange.status != 200:
        return [str(exchange.status)]
    return [e["id"] for e in exchange.listed() if "url" not in e or made_beside(e["id"])]


def until_listed(stack: Stack, user: Identity, wanted: list[str]) -> None:
    """Until exactly these are listed, twice in a row.

    Few questions: maas-api asks each local model with the caller's token, which uses up the
    caller's requests.
    """
    until(f"the listing {wanted}", lambda: listed(stack, user), lambda seen: seen == wanted,
          ENFORCED_SECONDS, in_a_row=2, every=0.2)  # fmt: skip


def registry(models: str) -> Object:
    """The registry with this text."""
    metadata = {"name": "external-model-registry", "namespace": "opendatahub"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata,
            "data": {"models": models}}  # fmt: skip


def started(kube: Kube) -> set[str]:
    """The Pods of maas-api."""
    pods = kube.all("v1", "Pod", "opendatahub")
    return {p["metadata"]["uid"] for p in pods if p["metadata"]["name"].startswith("maas-api")}


@requirement("EM-24", "EM-25")
def test_registry_while_running(quickstart: Stack) -> None:
    """Changed, broken, deleted and back; the same maas-api lists what there is."""
    stack, kube = quickstart, quickstart.kube
    user = stack.account_token(f"{TIER_PREFIX}enterprise")
    with (
        local_model(kube, SIMULATOR_NAMESPACE) as local,
        granted(kube, user, SIMULATOR_NAMESPACE, [local.name]),
    ):
        until_listed(stack, user, [local.model, *EXTERNAL])
        before = started(kube)
        added = [{"id": "mistral-external", "provider": "mistral"}]
        kube.apply(registry(yaml.safe_dump(added)))
        until_listed(stack, user, [local.model, "mistral-external"])
        for broken in ("- id: [", "just text", "7", ""):
            kube.apply(registry(broken))
            until_listed(stack, user, [local.model])
        kube.delete("v1", "ConfigMap", "opendatahub", "external-model-registry")
        until_listed(stack, user, [local.model])
        kube.apply(registry(yaml.safe_dump(added)))
        until_listed(stack, user, [local.model, "mistral-external"])
        assert started(kube) == before


@requirement("EM-26")
def test_operator_reverts_the_image(quickstart: Stack) -> None:
    """With the annotation the image stays, without it the operator's own comes back."""
    stack, kube = quickstart, quickstart.kube
    user = stack.account_token(f"{TIER_PREFIX}premium")

    def image() -> str:
        maas_api = existing(kube, *MAAS_API)
        container = only(maas_api["spec"]["template"]["spec"]["containers"], "container")
        return str(container["image"])

    patched = image()
    until_listed(stack, user, EXTERNAL)
    kube.annotate(*MAAS_API, {"conformance": "an event for the operator"})
    until("the image to stay", image, lambda seen: seen == patched, ENFORCED_SECONDS,
          in_a_row=20)  # fmt: skip
    kube.annotate(*MAAS_API, {"opendatahub.io/managed": None})
    until("the image to be reverted", image, lambda seen: seen != patched, ENFORCED_SECONDS)
    until_listed(stack, user, [])
    kube.annotate(*MAAS_API, {"opendatahub.io/managed": "false"})
    kube.set_image("opendatahub", "maas-api", "maas-api", patched)
    until_listed(stack, user, EXTERNAL)


def remains(kube: Kube, objects: list[Object]) -> list[str]:
    """What is left of the quickstart: its objects, what its Gateway owned, its Pods."""
    found = left(kube, objects)
    for kind in ("Service", "Pod", "ConfigMap", "ServiceAccount"):
        names = [o["metadata"]["name"] for o in kube.all("v1", kind, "default")]
        found += [f"{kind} {name}" for name in names if name.startswith("envoy-poc-gateway")]
    pods = kube.all("v1", "Pod", "ai-gateway-system")
    pods += kube.all("v1", "Pod", "external-models", {"app": "model-simulator"})
    return found + [f"Pod {pod['metadata']['name']}" for pod in pods]


@requirement("EM-27")
def test_teardown(quickstart: Stack) -> None:
    """The printed files in their order, one by one, while MaaS goes on."""
    stack, kube = quickstart, quickstart.kube
    user = stack.account_token(f"{TIER_PREFIX}enterprise")
    kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "llm"}})
    recorder = only(render(FOLDER / "recording-provider" / "llm"), "ConfigMap")
    kube.apply(recorder)
    with local_model(kube, "llm") as local, granted(kube, user, "llm", [local.name]):
        until_answered(stack, local, user, 200)
        listening = addresses(kube, LISTENING)
        assert len(listening) > len(LISTENING), f"not everything listened before: {listening}"
        gone: list[Object] = []
        for file in TEARDOWN:
            gone += delete_file(kube, FOLDER / file)
            until_answered(stack, local, user, 200)
            assert stack.mint(stack.cluster_identity()).status == 201
        until("nothing to be left", lambda: remains(kube, gone), lambda found: not found,
              REMOVED_SECONDS)  # fmt: skip
        until("nobody to listen", lambda: answering(kube, listening), lambda found: not found,
              REMOVED_SECONDS)  # fmt: skip
        until("the bridge to be gone", lambda: stack.chat(SIMULATOR, user).status,
              lambda seen: seen == 404, ENFORCED_SECONDS, in_a_row=2)  # fmt: skip
        until_answered(stack, local, user, 200)
        maas_api = existing(kube, *MAAS_API)
        container = only(maas_api["spec"]["template"]["spec"]["containers"], "container")
        assert container["image"] == "ghcr.io/nerdalert/maas-api:external-models"
        assert maas_api["metadata"]["annotations"]["opendatahub.io/managed"] == "false"


def until_answered(stack: Stack, model: Provider, user: Identity, status: int) -> None:
    """Until this is the answer, several times in a row."""
    until(f"{status} from {model.name}", lambda: stack.models(model, user).status,
          lambda seen: seen == status, ENFORCED_SECONDS, in_a_row=2)  # fmt: skip
