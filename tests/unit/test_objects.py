"""Statuses as real clusters write them, which the embedded cluster does not in all of this."""

from typing import Any

import pytest

from fixtures.kube import _unrolled
from fixtures.objects import conditions, parent_of

GATEWAYS = {"controllerName": "openshift.io/gateway-controller/v1", "conditions": []}
KUADRANTS = {
    "controllerName": "kuadrant.io/policy-controller",
    "conditions": [{"type": "kuadrant.io/AuthPolicyAffected", "status": "True"}],
}


def test_policy_controllers_say_nothing_of_acceptance() -> None:
    assert parent_of({"status": {"parents": [KUADRANTS, GATEWAYS]}}) is GATEWAYS
    with pytest.raises(ValueError, match="not enough values"):
        parent_of({"status": {"parents": [KUADRANTS]}})
    with pytest.raises(ValueError, match="too many values"):
        parent_of({"status": {"parents": [GATEWAYS, KUADRANTS, GATEWAYS]}})


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
    found = _unrolled(deployment)
    assert left in found
    assert bool(left) == bool(found)
