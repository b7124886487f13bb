"""From what a client sent to an object that can be stored: types, unknown fields, defaults.

Upstream: `k8s.io/apiserver/pkg/endpoints/handlers/create.go` and field validation
(KEP-2885).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from embedded.apiserver import status
from embedded.apiserver.resources import Resource
from embedded.shared.trees import copied

Object = dict[str, Any]


@dataclass
class Options:
    """Query parameters of a write, and the warnings that it gives rise to."""

    field_manager: str = "unknown"
    field_validation: str = "Warn"
    dry_run: bool = False
    force: bool = False
    warnings: list[str] = field(default_factory=list)


def decode(resource: Resource, version: str, obj: Any, options: Options) -> Object:
    """A private, pruned, defaulted copy of `obj`, or 400."""
    what = f'{resource.kind} in version "{version}"'
    if not isinstance(obj, dict):
        raise status.bad_request(f"{what} cannot be handled as a {resource.kind}: not an object")
    wanted = {"apiVersion": resource.api_version(version), "kind": resource.kind}
    for name, expected in wanted.items():
        found = obj.get(name, expected)
        allowed = {resource.api_version(v) for v in resource.versions} | {expected}
        if found != expected and not (name == "apiVersion" and found in allowed):
            label = "API version" if name == "apiVersion" else "kind"
            raise status.bad_request(
                f"the {label} in the data ({found}) does not match the expected {label} "
                f"({expected})"
            )
    schema = resource.versions[version]
    unknown = [f'unknown field "{path}"' for path in schema.unknown_fields(obj)]
    if unknown and options.field_validation == "Strict":
        raise status.bad_request(
            f"{what} cannot be handled as a {resource.kind}: strict decoding error: "
            + ", ".join(unknown)
        )
    if options.field_validation == "Warn":
        options.warnings.extend(unknown)
    known = without_nulls(obj)
    pruned: Object = schema.default(schema.prune(known) if unknown else known)
    pruned |= {"apiVersion": resource.api_version(version), "kind": resource.kind}
    if not isinstance(pruned.setdefault("metadata", {}), dict):
        raise status.bad_request(f"{what} cannot be handled as a {resource.kind}: bad metadata")
    return copied(pruned)


def without_nulls(value: Any) -> Any:
    """A copy without null fields: an empty optional field may travel as null."""
    if isinstance(value, dict):
        return {
            k: without_nulls(v) if isinstance(v, dict | list) else v
            for k, v in value.items()
            if v is not None
        }
    if isinstance(value, list):
        return [without_nulls(v) for v in value]
    return value
