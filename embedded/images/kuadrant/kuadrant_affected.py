"""What Kuadrant adds to the status of Gateways and HTTPRoutes: which policies affect them.

Upstream: Kuadrant/kuadrant-operator `internal/controller/`, of routes
`httproute_policy_discoverability_reconciler.go` (an entry of its own in `status.parents`, which has
no Accepted), of gateways `gateway_policy_discoverability_reconciler.go` (conditions beside the
gateway controller's, of the Gateway and of each listener).
"""

from __future__ import annotations

from typing import Any

from embedded.gatewayapi.attach import GROUP
from embedded.gatewayapi.status import (
    POLICY_CONTROLLER,
    condition,
    conditions_of,
    in_place,
    status_of,
)
from embedded.images.kuadrant.kuadrant_policies import Kind, named
from embedded.images.kuadrant.kuadrant_topology import Topology

Object = dict[str, Any]


def route_parents(route: Object, topology: Topology) -> list[Object]:
    """The route's `status.parents`: others' as they are, and one for each Gateway."""
    mine = []
    for path in topology.paths:
        if path.route is not route:
            continue
        above = {kind: path.candidates.get(kind, []) for kind in topology.policies}
        if conditions := _affected(above, route):
            metadata = path.gateway["metadata"]
            ref = {"group": GROUP, "kind": "Gateway",
                   "namespace": metadata["namespace"], "name": metadata["name"]}  # fmt: skip
            entry = {
                "controllerName": POLICY_CONTROLLER,
                "parentRef": ref,
                "conditions": conditions,
            }
            mine.append(entry)
    return in_place(status_of(route).get("parents") or [], POLICY_CONTROLLER, mine)


def gateway_status(gateway: Object, topology: Topology) -> Object:
    """The Gateway's conditions, and its listeners with theirs."""
    status = status_of(gateway)
    above = {kind: topology.attached(kind, gateway) for kind in topology.policies}
    affected = _affected(above, gateway)
    listeners = [
        {**one, "conditions": _beside(conditions_of(one), affected)}
        for one in status.get("listeners") or []
    ]
    return {"conditions": _beside(conditions_of(status), affected), "listeners": listeners}


def _beside(conditions: list[Object], affected: list[Object]) -> list[Object]:
    others = [c for c in conditions if not c["type"].startswith("kuadrant.io/")]
    return others + [dict(c) for c in affected]


def _affected(policies: dict[Kind, list[Object]], target: Object) -> list[Object]:
    return [
        condition(
            f"kuadrant.io/{kind.name}Affected",
            True,
            "Accepted",
            f"Object affected by {kind.name} [{' '.join(named(one) for one in found)}]",
            target,
        )
        for kind, found in policies.items()
        if found
    ]
