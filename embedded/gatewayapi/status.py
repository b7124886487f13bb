"""Conditions, as `metav1.Condition`, and reading them where others write too.

Nobody is the only one to write a status: other controllers add entries and conditions, and replace
whole lists. So nothing that Gateway API leaves optional (`observedGeneration` of a condition,
conditions of an entry of `parents`) is taken for given here, nor anything that is null.
"""

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


def status_of(obj: Object | None) -> Object:
    """An object's status, {} while it has none."""
    found: Object = (obj or {}).get("status") or {}
    return found


def conditions_of(holder: Object) -> list[Object]:
    """The conditions of a status, or of one of its parents or listeners."""
    return [c for c in holder.get("conditions") or [] if c.get("type")]


def is_true(obj: Object | None, kind: str) -> bool:
    """Whether an object's condition holds."""
    found = conditions_of(status_of(obj))
    return any(c["type"] == kind and c.get("status") == "True" for c in found)


def is_true_now(obj: Object, kind: str) -> bool:
    """Whether a condition holds of the object as it is now: it has seen its generation."""
    return any(
        c["type"] == kind
        and c.get("status") == "True"
        and c.get("observedGeneration") == obj["metadata"].get("generation", 0)
        for c in conditions_of(status_of(obj))
    )


def beside(own: list[Object], current: list[Object]) -> list[Object]:
    """Conditions of our own, then others' (`example.com/…`) that an object has already."""
    return own + [dict(c) for c in current if "/" in (c.get("type") or "")]


def in_place(current: list[Object], controller: str, own: list[Object]) -> list[Object]:
    """A route's `status.parents` with a controller's entries where it has some already, or last."""
    names = [p.get("controllerName") for p in current]
    first = names.index(controller) if controller in names else len(current)
    after = [p for p in current[first:] if p.get("controllerName") != controller]
    return current[:first] + own + after
