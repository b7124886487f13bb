"""maas-api's API keys of February 2026: minted tokens with a name.

Upstream: opendatahub-io/models-as-a-service `maas-api/internal/api_keys`. What is known of them
lives as long as the process, as with upstream's default storage. Left out: its databases.
"""

from __future__ import annotations

import time
from typing import Any

from embedded.images.maas.tiers import trimmed

Object = dict[str, Any]


class ApiKeys:
    """What is known of the keys of all users."""

    def __init__(self) -> None:
        self._keys: dict[str, list[Object]] = {}  # of each user, in the order of their making

    def add(self, username: str, minted: Object, name: str, description: str) -> None:
        """Remember a key; raises ValueError if its name is blank."""
        if not trimmed(name):
            raise ValueError("token name is required and cannot be empty")
        about = trimmed(description)
        key = {
            "id": minted["jti"],
            "name": trimmed(name),
            **({"description": about} if about else {}),
            "creationDate": _rfc3339(minted["issuedAt"]),
            "expirationDate": _rfc3339(minted["expiresAt"]),
        }
        self._keys.setdefault(username, []).append(key)

    def of(self, username: str) -> list[Object]:
        """A user's, the latest first; those of one second in the order of their making."""
        keys = self._keys.get(username, [])
        by_date = sorted(keys, key=lambda key: str(key["creationDate"]), reverse=True)
        return [_with_status(key) for key in by_date]

    def get(self, key_id: str) -> Object | None:
        """Anybody's."""
        found = (key for keys in self._keys.values() for key in keys if key["id"] == key_id)
        return next((_with_status(key) for key in found), None)

    def expire(self, username: str) -> None:
        """All of a user's that are still good."""
        now = _rfc3339(time.time())
        for key in self._keys.get(username, []):
            key["expirationDate"] = min(key["expirationDate"], now)


def _rfc3339(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _with_status(key: Object) -> Object:
    expired = key["expirationDate"] <= _rfc3339(time.time())
    return {**key, "status": "expired" if expired else "active"}
