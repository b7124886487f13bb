"""What preflight says of quotas, ranges, policies, webhooks and Pod Security levels."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, cast

import pytest
from kubernetes.client.exceptions import ApiException

from fixtures.clusters.existing.discovery import Finding
from fixtures.clusters.existing.obstacles import ENFORCE, obstacles, terminating
from fixtures.kube import Kube

Object = dict[str, Any]
SPACE = "llm"
HOOKS = ("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration")
SERVICE = {"service": {"namespace": "guard", "name": "guard"}}


def obj(kind: str, name: str, namespace: str = SPACE, **more: Any) -> Object:
    api = "apps/v1" if kind == "Deployment" else "v1"
    return {
        "apiVersion": api, "kind": kind, "metadata": {"name": name, "namespace": namespace}, **more
    }  # fmt: skip


def space(name: str = SPACE, phase: str = "Active", **more: Any) -> Object:
    return {"kind": "Namespace", "metadata": {"name": name, **more}, "status": {"phase": phase}}


def deployment(replicas: int = 1) -> Object:
    pod = {"serviceAccountName": "own", "containers": [{"name": "model"}]}
    template = {"metadata": {"labels": {"app": "model"}}, "spec": pod}
    return obj("Deployment", "model", spec={"replicas": replicas, "template": template})


def hook(**more: Any) -> Object:
    rule = {"apiGroups": ["apps"], "resources": ["deployments"], "operations": ["CREATE"]}
    one = {"name": "guard.example", "clientConfig": SERVICE, "rules": [rule], **more}
    return {"kind": HOOKS[1], "metadata": {"name": "guard", "namespace": ""}, "webhooks": [one]}


class FakeKube:
    """A cluster of these objects, which takes what `refuses` says nothing of."""

    def __init__(self, *objects: Object, refuses: Callable[[Object], str] | None = None) -> None:
        self._objects, self._refuses = objects, refuses or (lambda _: "")
        self.tried: list[tuple[str, str, Object]] = []

    def serves(self, _: str, __: str) -> bool:
        return True

    def all(
        self, _: str, kind: str, __: str = "", ___: Mapping[str, str] | None = None
    ) -> list[Object]:
        return [one for one in self._objects if one["kind"] == kind]

    def get(self, _: str, kind: str, namespace: str, name: str) -> Object | None:
        for one in self.all("", kind):
            if (one["metadata"].get("namespace", ""), one["metadata"]["name"]) == (namespace, name):
                return one
        return None

    def resource_of(self, api_version: str, kind: str) -> tuple[str, str, bool]:
        return api_version.rpartition("/")[0], f"{kind.lower()}s", True

    def try_create(self, obj: Object, place: str) -> tuple[int, str]:
        self.tried.append((obj["kind"], place, obj))
        words = self._refuses(obj)
        return (403 if words else 201), words


def found(
    *objects: Object, refuses: Callable[[Object], str] | None = None, deploys: Object | None = None
) -> list[Finding]:
    kube = FakeKube(*objects, refuses=refuses)
    return obstacles(cast(Kube, kube), [deploys or deployment()], [SPACE])


def test_nothing_is_in_the_way() -> None:
    assert found(space()) == []


def test_a_namespace_that_does_not_go() -> None:
    """Of those that the run uses."""
    stuck = space(phase="Terminating", deletionTimestamp="2026-01-01T00:00:00Z")
    message = "Some content in the namespace has finalizers remaining: kserve in 1 resource"
    stuck["status"]["conditions"] = [
        {"type": "NamespaceFinalizersRemaining", "status": "True", "message": message},
        {"type": "NamespaceDeletionContentFailure", "status": "False", "message": "All deleted"},
    ]
    kube = cast(Kube, FakeKube(stuck, space("other", "Terminating"), space("alive")))
    (one,) = terminating(kube, {SPACE, "alive"})
    assert one.needed
    assert one.found == f"{SPACE}, Terminating since 2026-01-01T00:00:00Z"
    assert one.problem == f"nothing can be made in it until it is gone: {message}"


def quota(hard: dict[str, str], used: dict[str, str], namespace: str = SPACE) -> Object:
    return obj("ResourceQuota", "few", namespace, spec={"hard": hard}, status={"used": used})


@pytest.mark.parametrize(
    ("hard", "used", "problem"),
    [
        ({"pods": "5"}, {"pods": "2"}, ""),
        ({"pods": "5"}, {"pods": "3"}, "3 pods are to be made, 2 are left"),
        ({"count/deployments.apps": "1"}, {"count/deployments.apps": "1"},
         "1 count/deployments.apps are to be made, 0 are left"),
        ({"requests.cpu": "4", "services": "0"}, {"requests.cpu": "1"}, ""),
    ],
)  # fmt: skip
def test_quotas(hard: dict[str, str], used: dict[str, str], problem: str) -> None:
    (one,) = found(space(), quota(hard, used), deploys=deployment(3))
    assert (one.what, one.problem, one.needed) == ("ResourceQuota", problem, bool(problem))
    name = min(hard)
    assert f"{SPACE}/few: {name} {used[name]} of {hard[name]}" in one.found


def test_what_is_there_already_needs_no_room() -> None:
    """And other namespaces' quotas are others'."""
    full = quota({"pods": "1"}, {"pods": "1"})
    assert [one.problem for one in found(space(), full, deployment())] == [""]
    assert found(space(), quota({"pods": "0"}, {}, "theirs")) == []


def test_limit_ranges_are_told() -> None:
    limits = [{"type": "Container", "max": {"memory": "1Gi"}, "default": {"cpu": "500m"}}]
    (one,) = found(space(), obj("LimitRange", "small", spec={"limits": limits}))
    assert one.found == f"{SPACE}/small: Container max memory 1Gi, Container default cpu 500m"


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({"podSelector": {}, "policyTypes": ["Ingress"]}, "lets nobody in by default"),
        ({"podSelector": {}}, "lets nobody in by default"),
        ({"podSelector": {}, "policyTypes": ["Egress"], "ingress": []}, "lets nobody out by"),
        ({"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}, "in and lets nobody out by"),
        ({"podSelector": {}, "ingress": [{}], "policyTypes": ["Ingress"]}, None),
        ({"podSelector": {"matchLabels": {"app": "db"}}}, None),
    ],
)
def test_network_policies(spec: Object, problem: str | None) -> None:
    seen = found(space(), obj("NetworkPolicy", "deny", spec=spec))
    assert [one.found for one in seen] == ([] if problem is None else [f"{SPACE}/deny"])
    assert all(problem in one.problem for one in seen if problem)


@pytest.mark.parametrize("ready", [True, False])
def test_a_webhook_that_nobody_serves(ready: bool) -> None:
    endpoint = {"addresses": ["192.0.2.1"], "conditions": {"ready": ready}}
    slices = obj("EndpointSlice", "guard-1", "guard", endpoints=[endpoint])
    seen = found(space(), hook(), slices)
    assert [one.found for one in seen] == (
        [] if ready else ["guard.example of ValidatingWebhookConfiguration guard"]
    )
    assert all("nobody is behind its Service guard/guard" in one.problem for one in seen)


@pytest.mark.parametrize(
    ("more", "needed"),
    [
        ({}, [True]),
        ({"namespaceSelector": {"matchLabels": {"a": "b"}}}, [False]),
        ({"failurePolicy": "Ignore"}, []),
        ({"clientConfig": {"url": "https://guard.example"}}, []),
        ({"rules": [{"apiGroups": [""], "resources": ["pods"], "operations": ["DELETE"]}]}, []),
        ({"rules": [{"apiGroups": [""], "resources": ["pods"], "operations": ["*"]}]}, [True]),
        ({"rules": [{"apiGroups": ["batch"], "resources": ["*"], "operations": ["*"]}]}, []),
    ],
    ids=["it must be asked", "not of all", "not asked", "elsewhere", "deletes", "Pods", "others"],
)
def test_which_webhooks_concern_a_run(more: Object, needed: list[bool]) -> None:
    assert [one.needed for one in found(space(), hook(**more))] == needed


RESTRICTED = 'pods "model-tried" is forbidden: violates PodSecurity "restricted:latest"'


def test_pods_that_are_not_let_in() -> None:
    """In the API server's own words, and the level is told."""
    labelled = space(labels={ENFORCE: "restricted"})
    seen = found(labelled, refuses=lambda one: RESTRICTED * (one["kind"] == "Pod"))
    assert [(one.what, one.found, one.problem, one.needed) for one in seen] == [
        ("Pod Security", f"{SPACE}: restricted", "", False),
        ("refused", f"Pod {SPACE}/model-tried", RESTRICTED, True),
    ]


def test_what_a_webhook_refuses() -> None:
    words = 'admission webhook "guard.example" denied the request: no models on Fridays'
    (one,) = found(space(), refuses=lambda one: words * (one["kind"] == "Deployment"))
    assert (one.found, one.problem) == (f"Deployment {SPACE}/model", words)


def test_a_webhook_that_knows_no_dry_run_is_no_refusal() -> None:
    words = 'admission webhook "x" does not support dry run'
    assert found(space(), refuses=lambda _: words) == []


def test_what_has_no_namespace_yet_is_tried_elsewhere() -> None:
    """And keeps no run from its work; nothing is deployed by it, and no account is wanted."""
    kube = FakeKube(space("default"), refuses=lambda one: RESTRICTED * (one["kind"] == "Pod"))
    (one,) = obstacles(cast(Kube, kube), [deployment()], [])
    assert (one.found, one.needed) == (f"Pod {SPACE}/model-tried, tried in default", False)
    assert [(kind, place) for kind, place, _ in kube.tried] == [
        ("Deployment", "default"), ("Pod", "default"),
    ]  # fmt: skip
    pod = kube.tried[1][2]
    assert pod["metadata"]["namespace"] == "default"
    assert pod["spec"] == {"containers": [{"name": "model"}]}


def test_a_login_that_may_not_look_is_told() -> None:
    class Refusing(FakeKube):
        def all(self, api: str, kind: str, *more: Any) -> list[Object]:
            if kind == "ResourceQuota":
                error = ApiException(403, "Forbidden")
                error.body = json.dumps({"message": "quotas: not for you"})
                raise error
            return super().all(api, kind)

    (one,) = obstacles(cast(Kube, Refusing(space())), [deployment()], [])
    assert one == Finding("ResourceQuota", "", "the login may not look: quotas: not for you")
