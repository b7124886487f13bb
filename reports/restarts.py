"""Containers that ended by themselves during a run: a failure may be theirs, not the stack's."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

Object = dict[str, Any]


def restarts(pods: list[Object], since: float) -> list[str]:
    """One line for each container of these Pods that was restarted after `since` (Unix time)."""
    return [
        line
        for pod in pods
        for container in pod.get("status", {}).get("containerStatuses", [])
        for line in _restart(pod["metadata"], container, since)
    ]


def _restart(metadata: Object, container: Object, since: float) -> list[str]:
    ended = container.get("lastState", {}).get("terminated")
    if not ended or not ended.get("finishedAt") or _unix(ended["finishedAt"]) < since:
        return []
    at = ended["finishedAt"][11:19]
    why = f"{ended.get('reason', 'ended')}, exit code {ended.get('exitCode')}"
    named = f"{metadata['namespace']}/{metadata['name']}, container {container['name']}"
    return [f"{named}: ended at {at} UTC ({why}), {container['restartCount']} restarts in all"]


def _unix(moment: str) -> float:
    return datetime.strptime(moment, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
