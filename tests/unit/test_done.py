"""What is ready, and where a Gateway is reached, while others write what they like beside it."""

from __future__ import annotations

from typing import Any

import pytest

from fixtures import done
from fixtures.done import Watched, lacks
from fixtures.stack.gateways import address_of

OWN, FOREIGN = "openshift.io/gateway-controller/v1", "sigs.k8s.io/wg-ai-gateway-envoy-controller"
POLICIES = {"controllerName": "kuadrant.io/policy-controller", "parentRef": {"name": "maas"}}
ROUTE = {
    "apiVersion": done.GATEWAY_API,
    "kind": "HTTPRoute",
    "metadata": {"name": "bridge", "namespace": "default"},
    "spec": {"parentRefs": [{"name": "maas", "namespace": "ingress"}]},
}


def entry(controller: str, *false: str, gateway: str = "maas") -> dict[str, Any]:
    conditions = [
        {"type": name, "status": "False" if name in false else "True"}
        for name in ("Accepted", "ResolvedRefs")
    ]
    ref = {"name": gateway}
    return {"controllerName": controller, "parentRef": ref, "conditions": conditions}


class FakeKube:
    """One namespace with objects as they are now."""

    def __init__(self, *objects: dict[str, Any]) -> None:
        self.objects = list(objects)

    def all(self, api_version: str, kind: str, namespace: str = "") -> list[dict[str, Any]]:
        return self.objects

    def controller_of(self, namespace: str, gateway: str) -> str:
        return OWN if (namespace, gateway) == ("ingress", "maas") else ""


@pytest.mark.parametrize(
    ("parents", "lacking"),
    [
        ([entry(OWN)], ""),
        ([POLICIES, entry(OWN)], ""),
        ([entry(FOREIGN, "ResolvedRefs"), entry(OWN)], ""),
        ([entry(FOREIGN)], f"no status of {OWN} yet"),
        ([POLICIES], f"no status of {OWN} yet"),
        ([entry(OWN, gateway="another")], f"no status of {OWN} yet"),
        (None, f"no status of {OWN} yet"),
        ([entry(OWN, "ResolvedRefs"), entry(FOREIGN)], "ResolvedRefs=False"),
        ([{**entry(OWN), "conditions": None}], "no condition Accepted yet"),
    ],
)
def test_a_route_is_ready_in_its_own_controllers_words(parents: Any, lacking: str) -> None:
    kube = FakeKube({**ROUTE, "status": {"parents": parents}})
    assert lacking in "".join(lacks(kube, [ROUTE]))
    assert bool(lacks(kube, [ROUTE])) == bool(lacking)


def test_statuses_that_never_settle_are_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two controllers overwrite each other's for ever: what each object was a moment ago counts,
    and no longer than that."""
    now = [100.0]
    monkeypatch.setattr("fixtures.done.time.monotonic", lambda: now[0])
    first, second = ({**ROUTE, "metadata": {"name": n, "namespace": "default"}} for n in "ab")
    turns = [{"a": first}, {"b": second}, {"a": first}]

    def look(asked: list[Any]) -> dict[str, Any]:
        return {line: one for line, one in turns[0].items() if one in asked}

    watched = Watched(look, [first, second])
    assert list(watched.lacks()) == ["a"]
    turns.pop(0)
    now[0] += 1
    assert watched.lacks() == {}  # a is as it should be now, and b was a second ago
    now[0] += done.FLICKER_SECONDS + 1
    assert list(watched.all_lacks()) == ["b"]


def test_what_one_controller_writes_has_to_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Deployment that was available is not so any longer."""
    deployment = {**ROUTE, "apiVersion": "apps/v1", "kind": "Deployment"}
    turns: list[dict[str, Any]] = [{}, {"d": deployment}]
    watched = Watched(lambda _: turns.pop(0), [deployment])
    assert watched.lacks() == {}
    assert list(watched.lacks()) == ["d"]


def service(name: str, uid: str, cluster: str, *published: dict[str, str]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "ingress", "ownerReferences": [{"uid": uid}]}
    status = {"loadBalancer": {"ingress": list(published)}} if published else {}
    return {"metadata": metadata, "spec": {"clusterIP": cluster}, "status": status}


@pytest.mark.parametrize(
    ("status", "services", "address"),
    [
        ({"addresses": [{"value": "10.0.0.1"}]}, [], "10.0.0.1"),
        ({}, [service("envoy-maas", "1", "10.0.0.2", {"ip": "10.0.0.3"})], "10.0.0.3"),
        ({"addresses": []}, [service("envoy-maas", "1", "10.0.0.2")], "10.0.0.2"),
        (None, [service("envoy-maas", "1", "None", {"hostname": "a.example"})], "a.example"),
        ({}, [service("envoy-ingress-maas", "1", "10.0.0.2"),
              service("maas-openshift-default", "1", "10.0.0.4")], "10.0.0.4"),
        ({}, [service("envoy-maas", "2", "10.0.0.2")], ""),
        ({}, [service("envoy-maas", "1", "None")], ""),
    ],
)  # fmt: skip
def test_where_a_gateway_is_reached(status: Any, services: list[Any], address: str) -> None:
    """At the address of its status, or at its own Service; its own class's controller's first."""
    gateway = {
        "metadata": {"name": "maas", "namespace": "ingress", "uid": "1"},
        "spec": {"gatewayClassName": "openshift-default"},
        "status": status,
    }
    kube: Any = FakeKube(*services)
    assert address_of(kube, gateway) == address
