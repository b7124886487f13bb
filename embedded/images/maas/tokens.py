"""maas-api's tokens: of a ServiceAccount for each user, in a namespace for each tier.

Upstream: opendatahub-io/models-as-a-service `maas-api/internal/token` of February 2026. It looks
accounts up in an informer's cache, which lags a little: right after their end it takes them to be
there and fails to mint, right after their start it finds nothing to revoke. Seen of the real
program within 0.3 s, half of the times; `LaggingAccounts` do so always, `Accounts` never.
Left out: an id for a token of a cluster that gives it none.
"""

from __future__ import annotations

import base64
import hashlib
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from embedded.images.maas.tiers import Tier, TierError, Tiers
from embedded.shared import duration
from embedded.shared.bodies import parsed
from embedded.shared.kube import ConnectionProblem, Kube, KubeError, path_of

ACCOUNTS = "v1/serviceaccounts"
LAG_SECONDS = 0.3
_ALGORITHMS = {"none", "EdDSA"} | {
    f"{a}{n}" for a in ("HS", "RS", "ES", "PS") for n in (256, 384, 512)
}
Object = dict[str, Any]


class TokenError(Exception):
    """Why nothing was minted or revoked, for the log: users are not told."""


@dataclass(frozen=True)
class Caller:
    """Who the AuthPolicy says is asking."""

    username: str
    groups: list[str]


class Accounts:
    """The users' ServiceAccounts, as they are."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube

    async def exists(self, namespace: str, name: str) -> bool:
        return await self._kube.get(ACCOUNTS, namespace, name) is not None

    async def ensure(self, namespace: str, name: str, labels: dict[str, str]) -> None:
        """Make it, unless it is there."""
        await self._create(namespace, name, labels)

    async def delete(self, namespace: str, name: str) -> bool:
        """Whether there was one."""
        try:
            await self._kube.request("DELETE", path_of(ACCOUNTS, namespace, name))
        except KubeError as error:
            if error.code != 404:
                raise
            return False
        return True

    async def _create(self, namespace: str, name: str, labels: dict[str, str]) -> bool:
        metadata = {"name": name, "namespace": namespace, "labels": labels}
        return await created(self._kube, ACCOUNTS, {"metadata": metadata}, namespace)


class LaggingAccounts(Accounts):
    """As an informer's cache has them: what was made or deleted here shows `LAG_SECONDS` later."""

    def __init__(self, kube: Kube, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__(kube)
        self._now = now
        self._changes: list[tuple[float, str, str, bool]] = []  # when, which, was it there before

    async def exists(self, namespace: str, name: str) -> bool:
        before = self._now() - LAG_SECONDS
        self._changes = [change for change in self._changes if change[0] > before]
        for _, *which, was in self._changes:
            if which == [namespace, name]:
                return bool(was)
        return await super().exists(namespace, name)

    async def ensure(self, namespace: str, name: str, labels: dict[str, str]) -> None:
        if await self.exists(namespace, name):
            return
        if await self._create(namespace, name, labels):
            self._remember(namespace, name, False)

    async def delete(self, namespace: str, name: str) -> bool:
        was = await super().delete(namespace, name)
        if was:
            self._remember(namespace, name, True)
        return was

    def _remember(self, namespace: str, name: str, was_there: bool) -> None:
        self._changes.append((self._now(), namespace, name, was_there))


class Tokens:
    """Mints and revokes. `tenant` is the instance's name."""

    def __init__(self, kube: Kube, tiers: Tiers, accounts: Accounts, tenant: str) -> None:
        self._kube, self._tiers, self._accounts = kube, tiers, accounts
        self._tenant = tenant
        self.audience = f"{tenant}-sa"

    async def mint(self, caller: Caller, nanoseconds: int) -> Object:
        """A token of the caller's account in the caller's tier; raises TokenError."""
        try:
            tier = await self._tiers.of(caller.groups)
            labels = {**self._labels(tier), "maas.opendatahub.io/tier-namespace": "true"}
            metadata = {"name": tier.namespace, "labels": labels}
            await created(self._kube, "v1/namespaces", {"metadata": metadata})
            name = account_name(caller.username)
            await self._accounts.ensure(tier.namespace, name, self._labels(tier))
            seconds = nanoseconds // duration.SECOND
            spec = {"audiences": [self.audience], "expirationSeconds": seconds}
            path = path_of(ACCOUNTS, tier.namespace, name, "token")
            status = (await self._kube.request("POST", path, {"spec": spec}))["status"]
        except (TierError, ValueError, KubeError, *ConnectionProblem) as error:
            raise TokenError(f"no token for {caller.username}: {error}") from error
        said = claims(status["token"])
        ends = datetime.fromisoformat(status["expirationTimestamp"])
        return {
            "token": status["token"],
            "expiration": duration.show(nanoseconds),
            "expiresAt": int(ends.timestamp()),
            "issuedAt": said["iat"],
            "jti": said["jti"],
        }

    async def revoke(self, caller: Caller) -> None:
        """Make the caller's account anew: the tokens name the old one's uid. Raises TokenError."""
        try:
            tier = await self._tiers.of(caller.groups)
            name = account_name(caller.username)
            if await self._accounts.exists(tier.namespace, name):
                await self._accounts.delete(tier.namespace, name)
                await self._accounts.ensure(tier.namespace, name, self._labels(tier))
        except (TierError, ValueError, KubeError, *ConnectionProblem) as error:
            raise TokenError(f"nothing revoked for {caller.username}: {error}") from error

    def is_meant(self, token: str) -> bool:
        """Whether a token names this instance's audience; nobody looks at its signature."""
        try:
            audience = claims(token).get("aud", [])
        except ValueError:
            return False
        named = [audience] if isinstance(audience, str) else audience
        texts = isinstance(named, list) and all(isinstance(one, str) for one in named)
        return texts and self.audience in named

    def _labels(self, tier: Tier) -> dict[str, str]:
        return {
            "app.kubernetes.io/component": "token-issuer",
            "app.kubernetes.io/part-of": "maas-api",
            "maas.opendatahub.io/instance": self._tenant,
            "maas.opendatahub.io/tier": tier.name,
        }


async def created(kube: Kube, resource: str, obj: Object, namespace: str = "") -> bool:
    """Whether it was not there yet."""
    try:
        await kube.create(resource, obj, namespace)
    except KubeError as error:
        if error.code != 409:
            raise
        return False
    return True


def account_name(username: str) -> str:
    """A ServiceAccount name for a user: cleaned, cut, and made unique by a hash of the bytes that
    came in the header; raises ValueError for a name without a letter or digit."""
    lower = "".join(letter.lower()[0] for letter in username)
    clean = re.sub(r"-+", "-", re.sub(r"[^a-z0-9-]+", "-", lower)).strip("-")
    if not clean:
        raise ValueError(f"invalid username {username!r}")
    raw = username.encode("utf-8", "surrogateescape")
    digest = hashlib.sha1(raw, usedforsecurity=False).hexdigest()[:8]
    return f"{clean[: 63 - 9].strip('-')}-{digest}"


def claims(token: str) -> Object:
    """What a JWT says, unverified; raises ValueError for what is none."""
    head, body, _ = token.split(".")
    header, said = (parsed(_decoded(part)) for part in (head, body))
    known = isinstance(header, dict) and str(header.get("alg")) in _ALGORITHMS
    if not known or not isinstance(said, dict):
        raise ValueError("no JWT")
    return said


def _decoded(part: str) -> bytes:
    return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
