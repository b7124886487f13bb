"""What leads to a Service, by whatever stands between."""

from typing import Any, cast

import pytest

from fixtures.kube import Kube
from fixtures.stack.leading import Target, key_of, services_of

Object = dict[str, Any]
BACKENDS = "ainetworking.prototype.x-k8s.io/v0alpha0"
ISTIO = "networking.istio.io/v1"
POD: Object = {"metadata": {"namespace": "inside", "name": "pod"}, "status": {"podIP": "10.0.0.7"}}


def obj(namespace: str, name: str, labels: Object | None = None, **more: Any) -> Object:
    return {"metadata": {"namespace": namespace, "name": name, "labels": labels or {}}, **more}


def endpoints(service: str, address: str, namespace: str = "inside") -> Object:
    labels = {"kubernetes.io/service-name": service}
    return obj(namespace, f"{service}-1", labels, endpoints=[{"addresses": [address]}])


SERVICES = [
    obj("inside", "own", spec={"selector": {"app": "own"}, "clusterIPs": ["10.1.0.1"]}),
    obj("inside", "by-another-label", spec={"selector": {"part": "x"}, "clusterIPs": ["None"]}),
    obj("elsewhere", "by-address", spec={"clusterIPs": ["10.1.0.2"]}),
    obj("elsewhere", "alias", spec={"externalName": "own.inside.svc.cluster.local"}),
    obj("inside", "other", spec={"selector": {"app": "other"}, "clusterIPs": ["10.1.0.3"]}),
]
SLICES = [
    endpoints("own", "10.0.0.7"),
    endpoints("by-another-label", "10.0.0.7"),
    endpoints("by-address", "10.0.0.7", "elsewhere"),
    endpoints("other", "10.0.0.8"),
    {**endpoints("nobody", "10.0.0.9"), "endpoints": None},
]


def fqdn(name: str, host: str) -> Object:
    return obj("outside", name, spec={"destination": {"type": "Fqdn", "fqdn": {"hostname": host}}})


class FakeKube:
    def __init__(self, **between: list[Object]) -> None:
        self.there = {"Service": SERVICES, "EndpointSlice": SLICES, **between}

    def all(self, _: str, kind: str) -> list[Object]:
        return self.there.get(kind, [])

    def serves(self, _: str, kind: str) -> bool:
        return kind in self.there


def target(**between: list[Object]) -> Target:
    kube = cast(Kube, FakeKube(**between))
    return Target.of(services_of(kube, [POD])).through(kube, [POD])


def route(**reference: str) -> Object:
    return obj("outside", "route", spec={"rules": [{"backendRefs": [{"port": 80, **reference}]}]})


def test_services_by_label_address_and_name() -> None:
    found = {key_of(one) for one in services_of(cast(Kube, FakeKube()), [POD])}
    assert found == {("inside", "own"), ("inside", "by-another-label"),
                     ("elsewhere", "by-address"), ("elsewhere", "alias")}  # fmt: skip


@pytest.mark.parametrize(
    "reference",
    [
        {"name": "own", "namespace": "inside"},
        {"name": "by-address", "namespace": "elsewhere"},
        {"host": "own.inside.svc.cluster.local"},
        {"host": "OWN.inside.svc.cluster.local."},
        {"host": "alias.elsewhere"},
    ],
)
def test_routes_that_name_one(reference: Object) -> None:
    assert target().is_named_by(route(**reference))


@pytest.mark.parametrize(
    "reference",
    [
        {"name": "own"},  # of its own namespace
        {"name": "other", "namespace": "inside"},
        {"host": "other.inside.svc.cluster.local"},
        {"host": "own.inside.example.com"},
    ],
)
def test_routes_that_name_another(reference: Object) -> None:
    assert not target().is_named_by(route(**reference))


@pytest.mark.parametrize(
    "host", ["own.inside.svc.cluster.local", "own.inside.svc", "own.inside", "10.1.0.1",
             "10.0.0.7", "alias.elsewhere.svc.cluster.local"],
)  # fmt: skip
def test_destinations_that_stand_for_one(host: str) -> None:
    assert target(XBackendDestination=[fqdn("there", host)]).is_named_by(route(name="there"))


def test_destinations_that_stand_for_another() -> None:
    there = [fqdn("there", "other.inside.svc.cluster.local"), fqdn("more", "api.example.com")]
    found = target(XBackendDestination=there)
    assert not found.is_named_by(route(name="there"))
    assert not found.is_named_by(route(name="more"))


def test_destinations_of_destinations() -> None:
    """Whichever is looked at first."""
    entry = obj("mesh", "entry", spec={"hosts": ["platform.example.com"],
                                       "endpoints": [{"address": "10.0.0.7"}]})  # fmt: skip
    found = target(
        XBackendDestination=[fqdn("there", "platform.example.com")], ServiceEntry=[entry]
    )
    assert found.is_named_by(route(name="there"))
    assert found.is_named_by(route(host="platform.example.com"))
