"""Statuses as real clusters write them, which the embedded cluster does not in all of this."""

from typing import Any

import pytest

from fixtures.done import unrolled
from fixtures.objects import conditions, parent_of

GATEWAYS = {"controllerName": "openshift.io/gateway-controller/v1", "conditions": []}
KUADRANTS = {
    "controllerName": "kuadrant.io/policy-controller",
    "conditions": [{"type": "kuadrant.io/AuthPolicyAffected", "status": "True"}],
}


STRANGERS = {"controllerName": "sigs.k8s.io/wg-ai-gateway-envoy-controller", "conditions": []}


class FakeKube:
    def __init__(self, route: dict[str, Any]) -> None:
        self.route = route

    def serves(self, *_: str) -> bool:
        return True

    def get(self, *_: str) -> dict[str, Any]:
        return self.route

    def controller_of(self, namespace: str, gateway: str) -> str:
        return str(GATEWAYS["controllerName"]) if (namespace, gateway) == ("b", "maas") else ""


@pytest.mark.parametrize(
    ("parents", "said"),
    [
        ([KUADRANTS, STRANGERS, GATEWAYS], ""),
        ([KUADRANTS, STRANGERS], "one entry of openshift.io.* of HTTPRoute a/bridge, found none"),
        ([GATEWAYS, KUADRANTS, GATEWAYS], "one entry of openshift.io/.*, found 2: "),
    ],
)
def test_a_routes_status_is_its_gateways_controllers(
    parents: list[dict[str, Any]], said: str
) -> None:
    """Policy controllers write beside it, and controllers of other Gateways."""
    route = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "metadata": {"name": "bridge", "namespace": "a"},
        "spec": {"parentRefs": [{"name": "maas", "namespace": "b"}]},
        "status": {"parents": parents},
    }
    kube: Any = FakeKube(route)
    if said:
        with pytest.raises(AssertionError, match=said):
            parent_of(kube, route)
    else:
        assert parent_of(kube, route) is GATEWAYS


def test_conditions_of_others_are_left_out_and_missing_ones_are_said() -> None:
    accepted = {"type": "Accepted", "status": "True"}
    holder = {"conditions": [accepted, *KUADRANTS["conditions"]]}
    assert conditions(holder) == {"Accepted": "True"}
    assert conditions(holder, "Programmed") == {"Programmed": "missing"}


@pytest.mark.parametrize(
    ("generation", "status", "left"),
    [
        (2, {"observedGeneration": 2, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1},
         ""),
        (2, {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1},
         "not seen yet"),
        (2, {"observedGeneration": 2, "replicas": 2, "updatedReplicas": 1, "availableReplicas": 2},
         "1 of 1 replicas updated"),
        (2, {"observedGeneration": 2, "replicas": 1, "updatedReplicas": 1}, "0 available"),
        (1, {}, "not seen yet"),
    ],
)  # fmt: skip
def test_a_rollout_is_waited_for(generation: int, status: dict[str, Any], left: str) -> None:
    """As `kubectl rollout status`: Available is said of the old Pods too."""
    deployment = {"metadata": {"generation": generation}, "spec": {}, "status": status}
    found = unrolled(deployment)
    assert left in found
    assert bool(left) == bool(found)
