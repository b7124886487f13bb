"""maas-api's tiers: which one a user's groups give, by ConfigMap `tier-to-group-mapping`.

Upstream: opendatahub-io/models-as-a-service `maas-api/internal/tier` of February 2026. A mapping
in which anything is wrong is refused whole, with each request that needs it.
"""

from __future__ import annotations

from dataclasses import dataclass

from embedded.images.maas import go_yaml
from embedded.shared.kube import ConnectionProblem, Kube, KubeError

MAPPING = "tier-to-group-mapping"
_FIELDS = {"name": "string", "displayName": "string", "description": "string",
           "groups": "strings", "level": "int"}  # fmt: skip
_SPACE = " \t\n\v\f\r\x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    chr(code) for code in range(0x2000, 0x200B)
)


class TierError(Exception):
    """There is no tier to be had, and why, in upstream's words."""


class GroupNotFound(TierError):
    """The mapping is good, and has none of the groups."""


@dataclass(frozen=True)
class Tier:
    """One tier; `namespace` has the accounts of its users, whose group it has of itself."""

    name: str
    display_name: str
    level: int
    groups: tuple[str, ...]
    namespace: str


class Tiers:
    """The mapping as it is now; `tenant` is the instance's name."""

    def __init__(self, kube: Kube, namespace: str, tenant: str) -> None:
        self._kube, self._namespace, self._tenant = kube, namespace, tenant

    async def of(self, groups: list[str]) -> Tier:
        """The highest tier that has one of the groups; raises TierError."""
        for tier in await self.all():
            if set(tier.groups) & set(groups):
                return tier
        raise GroupNotFound(f"group groups [{', '.join(groups)}] not found in any tier")

    async def all(self) -> list[Tier]:
        """The highest level first; among equals, in the mapping's order."""
        try:
            found = await self._kube.get("v1/configmaps", self._namespace, MAPPING)
        except (KubeError, *ConnectionProblem) as error:
            raise TierError(f"failed to load tier configuration: {error}") from error
        if found is None:
            raise TierError(f"tier mapping not found, provide configuration in {MAPPING}")
        text = (found.get("data") or {}).get("tiers")
        if text is None:
            text = "tier to group mapping configuration not found"
            raise TierError(f"failed to load tier configuration: {text}")
        return sorted(self._parsed(text), key=lambda tier: -tier.level)

    def _parsed(self, text: str) -> list[Tier]:
        failed = "failed to load tier configuration: "
        try:
            rows = go_yaml.rows(text, "tier.Tier", _FIELDS)
        except go_yaml.YAMLError as error:
            raise TierError(f"{failed}failed to parse tier configuration: {error}") from error
        tiers: dict[str, Tier] = {}
        for n, row in enumerate(rows):
            name, display = row.get("name", ""), row.get("displayName", "")
            wrong = ""
            if not name:
                wrong = f"tier at index {n} has empty name"
            elif name in tiers:
                wrong = f'duplicate tier name "{name}" found'
            elif display and not trimmed(display):
                wrong = f'tier "{name}" has whitespace-only displayName'
            if wrong:
                raise TierError(f"{failed}invalid tier configuration: {wrong}")
            namespace = f"{self._tenant}-tier-{name}"
            groups = (*row.get("groups", ()), f"system:serviceaccounts:{namespace}")
            tiers[name] = Tier(name, display or name, row.get("level", 0), groups, namespace)
        return list(tiers.values())


def trimmed(text: str) -> str:
    """Without white space around it, of the kinds that Go's `strings.TrimSpace` knows."""
    return text.strip(_SPACE)
