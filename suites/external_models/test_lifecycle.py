"""What changes while the stack runs: the registry, the operator, and the end of it all.

Each test has the quickstart to itself, in a cluster that it may ruin.
"""

import socket
from pathlib import Path
from typing import Any

import pytest
import yaml

from fixtures.grants import granted
from fixtures.kube import Kube
from fixtures.local_models import local_model
from fixtures.requirements import requirement
from fixtures.stack import TIER_PREFIX, Identity, Provider, Stack
from fixtures.waiting import ENFORCED_SECONDS, REMOVED_SECONDS, until
from manifests import FOLDER, identity, render
from suites.external_models.backends import SIMULATOR, SIMULATOR_NAMESPACE

pytestmark = [pytest.mark.disposable, pytest.mark.capability("disposable_clusters")]
Object = dict[str, Any]
MAAS_API = ("apps/v1", "Deployment", "opendatahub", "maas-api")
EXTERNAL = ["gpt-4-external", "claude-3-sonnet-external"]
TEARDOWN = ["external-models/base", "external-models/registry", "external-models/request-limits",
            "recording-provider/external-models", "egress"]  # fmt: skip


def listed(stack: Stack, user: Identity) -> list[str]:
    """The ids of MaaS' listing; the status if there is none."""
    exchange = stack.send("GET", "/v1/models", user)
    return [e["id"] for e in exchange.json["data"]] if exchange.status == 200 else [
        str(exchange.status)
    ]  # fmt: skip


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
        (container,) = (kube.get(*MAAS_API) or {})["spec"]["template"]["spec"]["containers"]
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
    left = [" ".join(identity(o)[1:]) for o in objects if kube.get(*identity(o)) is not None]
    for kind in ("Service", "Pod", "ConfigMap", "ServiceAccount"):
        found = kube.all("v1", kind, "default")
        left += [
            f"{kind} {o['metadata']['name']}"
            for o in found
            if o["metadata"]["name"].startswith("envoy-poc-gateway")
        ]
    left += [
        f"Pod {pod['metadata']['name']}"
        for namespace in ("ai-gateway-system", "external-models")
        for pod in kube.all("v1", "Pod", namespace)
    ]
    return left


def listening(kube: Kube) -> list[tuple[str, int]]:
    """Addresses at which the quickstart's Services and Pods answer."""
    services = [("external-models", "model-simulator"), ("default", "envoy-poc-gateway"),
                ("ai-gateway-system", "ai-gateway-controller")]  # fmt: skip
    found = []
    for namespace, name in services:
        service = kube.get("v1", "Service", namespace, name) or {}
        for port in service["spec"]["ports"]:
            found.append((service["spec"]["clusterIP"], port["port"]))
    for namespace in ("external-models", "ai-gateway-system"):
        for pod in kube.all("v1", "Pod", namespace):
            for port in pod["spec"]["containers"][0].get("ports", []):
                found.append((pod["status"]["podIP"], port["containerPort"]))
    return [address for address in found if answers(address)]


def answers(address: tuple[str, int]) -> bool:
    """Whether a connection is taken."""
    try:
        socket.create_connection(address, timeout=2).close()
    except OSError:
        return False
    return True


def torn_down(kube: Kube, folder: Path) -> list[Object]:
    """Delete what a step applied, and say what that was."""
    objects = render(folder)
    for obj in reversed(objects):
        kube.delete(*identity(obj))
    return objects


@requirement("EM-27")
def test_teardown(quickstart: Stack) -> None:
    """The document's steps, one by one, while MaaS goes on."""
    stack, kube = quickstart, quickstart.kube
    user = stack.account_token(f"{TIER_PREFIX}enterprise")
    kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "llm"}})
    (recorder,) = render(FOLDER / "recording-provider" / "llm")
    kube.apply(recorder)
    with local_model(kube, "llm") as local, granted(kube, user, "llm", [local.name]):
        until_answered(stack, local, user, 200)
        ports = listening(kube)
        assert ports, "the quickstart listens nowhere to begin with"
        gone: list[Object] = []
        for step in TEARDOWN:
            gone += torn_down(kube, FOLDER / step)
            until_answered(stack, local, user, 200)
            assert stack.mint(stack.cluster_identity()).status == 201
        until("nothing to be left", lambda: remains(kube, gone), lambda left: not left,
              REMOVED_SECONDS)  # fmt: skip
        assert [address for address in ports if answers(address)] == []
        crd = "xbackenddestinations.ainetworking.prototype.x-k8s.io"
        kube.delete("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", crd)
        until("the bridge to be gone", lambda: stack.chat(SIMULATOR, user).status,
              lambda seen: seen == 404, ENFORCED_SECONDS, in_a_row=2)  # fmt: skip
        until_answered(stack, local, user, 200)


def until_answered(stack: Stack, model: Provider, user: Identity, status: int) -> None:
    """Until this is the answer, several times in a row."""
    until(f"{status} from {model.name}", lambda: stack.models(model, user).status,
          lambda seen: seen == status, ENFORCED_SECONDS, in_a_row=2)  # fmt: skip
