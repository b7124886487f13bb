"""Which policy is effective where.

Upstream: Kuadrant/kuadrant-operator `doc/overviews`, RFC 0009 (defaults and overrides).
A path is a route on a Gateway. On a path, in this order: the Gateway's `overrides`, the
route's own policy, the Gateway's defaults. Rules are atomic: the winner replaces the
others whole. AuthPolicy, RateLimitPolicy and TokenRateLimitPolicy go by themselves.
A policy whose expressions are none is accepted all the same, and takes its place; it is not
enforced, and neither is what it replaces (`internal/cel/validator.go`,
`internal/controller/ratelimit_policy_status_updater.go`).
"""

from __future__ import annotations

from typing import Any

from embedded.gatewayapi.attach import GROUP
from embedded.gatewayapi.status import is_true, status_of
from embedded.images.kuadrant.kuadrant_policies import Kind, Path, expressions, named
from embedded.shared import cel

Object = dict[str, Any]
Problem = tuple[str, str]  # (reason, message)
# Kuadrant works with Istio and Envoy Gateway; other controllers' Gateways are not its own.
CONTROLLERS = {"openshift.io/gateway-controller/v1", "istio.io/gateway-controller"}


class Topology:
    """Gateways that Kuadrant serves, the paths through them, and their policies."""

    def __init__(
        self,
        classes: list[Object],
        gateways: list[Object],
        routes: list[Object],
        policies: dict[Kind, list[Object]],
    ) -> None:
        own = {c["metadata"]["name"] for c in classes if c["spec"]["controllerName"] in CONTROLLERS}
        self.gateways = [g for g in gateways if g["spec"]["gatewayClassName"] in own]
        self.policies, self.routes = policies, routes
        self._problems: dict[tuple[str, str], Problem] = {}
        self._invalid: dict[tuple[str, str], str] = {}
        for kind, found in policies.items():
            self._check(kind, found)
        self.paths = [
            self._path(gateway, route)
            for gateway in self.gateways
            for route in routes
            if _attached(route, gateway)
        ]

    def problem(self, kind: Kind, policy: Object) -> Problem | None:
        """Why a policy is not Accepted."""
        return self._problems.get((kind.name, named(policy)))

    def invalid(self, kind: Kind, policy: Object) -> str:
        """Why a policy that is accepted cannot be enforced; "" if it can."""
        return self._invalid.get((kind.name, named(policy)), "")

    def attached(self, kind: Kind, gateway: Object) -> list[Object]:
        """The accepted policies that target a Gateway."""
        found = self.policies[kind]
        return [p for p in found if not self.problem(kind, p) and _targets(p, "Gateway", gateway)]

    def _check(self, kind: Kind, policies: list[Object]) -> None:
        taken: dict[tuple[str, str, str], Object] = {}
        for policy in policies:
            ref, namespace = policy["spec"]["targetRef"], policy["metadata"]["namespace"]
            target = (ref["kind"], namespace, ref["name"])
            problem: Problem | None = None
            if not self._exists(*target):
                text = f"{kind.name} target {ref['name']} was not found"
                problem = ("TargetNotFound", text)
            elif ref.get("sectionName"):
                text = f"{kind.name} with sectionName is not known to the embedded operator"
                problem = ("Invalid", text)
            elif target in taken:
                text = f"{kind.name} is conflicted by {named(taken[target])}"
                problem = ("Conflicted", text)
            if text := _invalid(kind, policy):
                self._invalid[kind.name, named(policy)] = text
            if problem:
                self._problems[kind.name, named(policy)] = problem
            else:
                taken[target] = policy

    def _exists(self, kind: str, namespace: str, name: str) -> bool:
        pool = {"Gateway": self.gateways, "HTTPRoute": self.routes}.get(kind, [])
        return any(named(o) == f"{namespace}/{name}" for o in pool)

    def _path(self, gateway: Object, route: Object) -> Path:
        path = Path(gateway, route)
        for kind, policies in self.policies.items():
            above = self.attached(kind, gateway)
            own = [
                p for p in policies if not self.problem(kind, p) and _targets(p, "HTTPRoute", route)
            ]
            overriding = [p for p in above if "overrides" in p["spec"]]
            path.candidates[kind] = above + own
            for winner in (overriding + own + above)[:1]:
                path.effective[kind] = winner
                if not self.invalid(kind, winner):
                    path.enforced[kind] = winner
        return path


def _invalid(kind: Kind, policy: Object) -> str:
    for expression in expressions(kind, policy):
        try:
            cel.check(expression)
        except cel.CelError as error:
            return str(error)
    return ""


def _targets(policy: Object, kind: str, target: Object) -> bool:
    ref, namespace = policy["spec"]["targetRef"], policy["metadata"]["namespace"]
    return bool(ref["kind"] == kind and f"{namespace}/{ref['name']}" == named(target))


def _attached(route: Object, gateway: Object) -> bool:
    metadata = gateway["metadata"]
    for parent in status_of(route).get("parents") or []:
        ref = parent.get("parentRef") or {}
        namespace = ref.get("namespace", route["metadata"]["namespace"])
        same = (ref.get("group", GROUP), ref.get("name"), namespace) == (
            GROUP,
            metadata["name"],
            metadata["namespace"],
        )
        if same and is_true({"status": parent}, "Accepted"):
            return True
    return False
