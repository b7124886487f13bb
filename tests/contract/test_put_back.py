"""A cluster that was ruined is as it was before."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kubernetes.client.exceptions import ApiException

from fixtures import put_back
from fixtures.clusters.base import Unavailable
from fixtures.kube import Kube
from fixtures.put_back import Snapshot
from fixtures.snapshot import differences, taken
from fixtures.waiting import until
from tests.conftest import Cluster
from tests.shared_runs import UNDER_WAY_SECONDS, at_rest, options, verdicts

REGISTRY = ("v1", "ConfigMap", "opendatahub", "external-model-registry")

Ruin = Callable[[Kube], object]


def without_uids(found: dict[str, Any]) -> dict[str, Any]:
    """What is made anew has another uid, and so have its owners' references, and Pods names."""
    return {name: {k: v for k, v in one.items() if k != "uid"} for name, one in found.items()
            if one["kind"] not in ("Pod", "ReplicaSet") and not of_owner(one)}  # fmt: skip


def of_owner(obj: dict[str, Any]) -> bool:
    return bool(obj["metadata"].get("ownerReferences"))


def scale(kube: Kube) -> None:
    kube.scale("opendatahub", "maas-api", 0)


def edit(kube: Kube) -> None:
    kube.merge("kuadrant.io/v1", "AuthPolicy", "openshift-ingress", "gateway-auth-policy",
               {"spec": {"rules": {"authentication": None}}})  # fmt: skip


def add(kube: Kube) -> None:
    metadata = {"name": "new", "namespace": "opendatahub"}
    kube.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})


def delete(kube: Kube) -> None:
    kube.delete(*REGISTRY)


def delete_service(kube: Kube) -> None:
    kube.delete("v1", "Service", "external-models", "openai-simulator")


def delete_namespace(kube: Kube) -> None:
    kube.delete("v1", "Namespace", "", "llm")
    until("the namespace to be gone", lambda: kube.get("v1", "Namespace", "", "llm"),
          lambda found: found is None, 30)  # fmt: skip


def delete_crd(kube: Kube) -> None:
    """And with it all that it has objects of."""
    kube.delete("apiextensions.k8s.io/v1", "CustomResourceDefinition", "",
                "xbackenddestinations.ainetworking.prototype.x-k8s.io")  # fmt: skip


RUINS: dict[str, tuple[Ruin, str]] = {
    "scaled": (scale, "other: apps/v1 Deployment opendatahub maas-api"),
    "edited": (edit, "other: kuadrant.io/v1 AuthPolicy openshift-ingress gateway-auth-policy"),
    "added": (add, "more: v1 ConfigMap opendatahub new"),
    "deleted": (delete, "less: v1 ConfigMap opendatahub external-model-registry"),
    "service": (delete_service, "less: v1 Service external-models openai-simulator"),
    "namespace": (delete_namespace, "less: v1 Namespace  llm"),
    "crd": (delete_crd, "less: apiextensions.k8s.io/v1 CustomResourceDefinition  xbackend"),
}


@pytest.mark.parametrize("ruin", RUINS)
def test_ruin_is_put_back(cluster: Cluster, ruin: str) -> None:
    """What was otherwise is told, and the whole is as before."""
    kube = Kube(cluster.state.kubeconfig)
    act, told = RUINS[ruin]
    before, snapshot = without_uids(taken(kube)), Snapshot(kube)
    act(kube)
    said = snapshot.put_back()
    assert any(line.startswith(told) for line in said), said
    until("the same", lambda: differences(before, without_uids(taken(kube))),
          lambda found: not found, 5)  # fmt: skip
    assert Snapshot(kube).put_back() == []


def test_what_stays_otherwise_is_no_verdict(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An object that somebody makes again and again: the cluster is not as it was, which says
    nothing of the stack."""
    kube = Kube(cluster.state.kubeconfig)
    snapshot = Snapshot(kube)
    monkeypatch.setattr(put_back, "DEPLOYED_SECONDS", 1.0)
    monkeypatch.setattr(Kube, "delete", lambda *_: None)
    add(kube)
    with pytest.raises(Unavailable, match=r"as it was before the test.*more: v1 ConfigMap"):
        snapshot.put_back()
    monkeypatch.undo()
    kube.delete("v1", "ConfigMap", "opendatahub", "new")


def service(namespace: str, address: str) -> dict[str, Any]:
    metadata = {"name": "asking", "namespace": namespace}
    spec = {"clusterIP": address, "ports": [{"port": 80}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}


@pytest.mark.parametrize(
    ("address", "why"),
    [("", "provided IP is already allocated"), ("192.0.2.1", "not in the valid range")],
    ids=["another's", "elsewhere"],
)
def test_address_that_a_service_cannot_have(
    cluster: Cluster, namespace: str, address: str, why: str
) -> None:
    kube = Kube(cluster.state.kubeconfig)
    theirs = kube.get("v1", "Service", "opendatahub", "maas-api") or {}
    with pytest.raises(ApiException, match=f"failed to allocate IP.*{why}"):
        kube.create(service(namespace, address or theirs["spec"]["clusterIP"]))


def test_own_maas_may_be_ruined(cluster: Cluster, tmp_path: Path) -> None:
    """With `--own-maas` also on a cluster that is others': Limitador starts anew, and is gone for a
    while, after a test that ruins nothing; afterwards all is as before, but for its Pods."""
    kube = Kube(cluster.state.kubeconfig)
    before = without_uids(at_rest(kube))
    asked = [f"--requirement={one}" for one in ("HD-88", "HD-19", "MP-20")]
    folders = ["suites/hardening", "suites/mixed_providers"]
    words = [*options(cluster, tmp_path), *folders, "-n2", "--own-maas", *asked]
    done = cluster.run(*words, seconds=3 * UNDER_WAY_SECONDS)
    assert done.returncode == 0, done.stdout
    found = verdicts(tmp_path)
    assert found == {"HD-88": "gap present", "HD-19": "conformant", "MP-20": "conformant"}
    assert "limitador-limitador" not in (tmp_path / "conformance.yaml").read_text()  # as it was
    assert differences(before, without_uids(at_rest(kube))) == []
