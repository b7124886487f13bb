"""Conditions, as `metav1.Condition`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

Object = dict[str, Any]


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
