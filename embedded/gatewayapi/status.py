"""Conditions, as `metav1.Condition`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

Object = dict[str, Any]
# Kuadrant's: its entries in a route's `status.parents` tell of policies, and have no Accepted.
POLICY_CONTROLLER = "kuadrant.io/policy-controller"


def condition(kind: str, holds: bool, reason: str, message: str, obj: Object) -> Object:
    """A condition that has seen `obj` at its generation."""
    return {
        "type": kind,
        "status": "True" if holds else "False",
        "reason": reason,
        "message": message,
        "observedGeneration": obj["metadata"].get("generation", 0),
        "lastTransitionTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def is_true(obj: Object | None, kind: str) -> bool:
    """Whether an object's condition holds."""
    conditions = (obj or {}).get("status", {}).get("conditions", [])
    return any(c["type"] == kind and c["status"] == "True" for c in conditions)


def beside(own: list[Object], current: list[Object]) -> list[Object]:
    """Conditions of our own, then others' (`example.com/…`) that an object has already."""
    return own + [dict(c) for c in current if "/" in c["type"]]


def in_place(current: list[Object], controller: str, own: list[Object]) -> list[Object]:
    """A route's `status.parents` with a controller's entries where it has some already, or last."""
    first = next(
        (i for i, p in enumerate(current) if p["controllerName"] == controller), len(current)
    )
    after = [p for p in current[first:] if p["controllerName"] != controller]
    return current[:first] + own + after
