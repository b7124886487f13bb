"""Kuadrant's policies: their kinds, what they say, and the paths on which they take effect."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

Object = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """A policy kind."""

    name: str
    resource: str


AUTH = Kind("AuthPolicy", "kuadrant.io/v1/authpolicies")
RATE = Kind("RateLimitPolicy", "kuadrant.io/v1/ratelimitpolicies")
TOKEN = Kind("TokenRateLimitPolicy", "kuadrant.io/v1alpha1/tokenratelimitpolicies")


def rules(policy: Object) -> Object:
    """The rules of a policy, be they implicit defaults, `defaults` or `overrides`."""
    spec: Object = policy["spec"]
    found: Object = spec.get("overrides") or spec.get("defaults") or spec
    return found


def expressions(kind: Kind, policy: Object) -> list[str]:
    """Every CEL expression of a limit policy; those of an AuthPolicy are Authorino's to check."""
    if kind is AUTH:
        return []
    found = [w["predicate"] for w in rules(policy).get("when", [])]
    for limit in rules(policy).get("limits", {}).values():
        found += [w["predicate"] for w in limit.get("when", [])]
        found += [c["expression"] for c in limit.get("counters", [])]
    return found


@dataclass
class Path:
    """A route on a Gateway, the policies above it, the one in effect for each kind, and of these
    those that can be enforced."""

    gateway: Object
    route: Object
    candidates: dict[Kind, list[Object]] = field(default_factory=dict)
    effective: dict[Kind, Object] = field(default_factory=dict)
    enforced: dict[Kind, Object] = field(default_factory=dict)

    @property
    def route_key(self) -> str:
        """`<namespace>/<name>` of the route: the scope of its counters."""
        return named(self.route)

    @property
    def scope(self) -> str:
        """Name and host of the path's AuthConfig."""
        text = f"{named(self.gateway)}|{named(self.route)}"
        return hashlib.sha256(text.encode()).hexdigest()


def named(obj: Object) -> str:
    """`<namespace>/<name>`."""
    return f"{obj['metadata']['namespace']}/{obj['metadata']['name']}"
