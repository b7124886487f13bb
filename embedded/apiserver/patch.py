"""JSON Patch, JSON Merge Patch and strategic merge patch.

Sources: RFC 6902, RFC 7386; `k8s.io/apimachinery/pkg/util/strategicpatch` for the
strategic directives (`$patch`, `$retainKeys`, `$deleteFromPrimitiveList/…`,
`$setElementOrder/…`). Lists merge by the keys that the schema names.
"""

from __future__ import annotations

from typing import Any

import jsonpatch

from embedded.apiserver.schema import Schema, child, deref, items
from embedded.apiserver.status import ApiError, bad_request


def merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merge_patch(result.get(name), value)
    return result


def json_patch(target: Any, operations: Any) -> Any:
    """RFC 6902; a failed `test` or a missing path is 422, as in the API server."""
    try:
        return jsonpatch.apply_patch(target, operations)
    except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException) as error:
        text = f"the server rejected our request due to an error in our request: {error}"
        raise ApiError(422, "Invalid", text) from error
    except (TypeError, AttributeError) as error:
        raise bad_request(f"error decoding patch: {error}") from error


def list_keys(schema: Schema) -> list[str] | None:
    """The merge keys of a list schema, None for an atomic list, [] for a set."""
    schema = deref(schema)
    match schema.get("x-kubernetes-list-type"):
        case "map":
            keys: list[str] = schema["x-kubernetes-list-map-keys"]
            return keys
        case "set":
            return []
    return None


def strategic_merge(schema: Schema, target: Any, patch: Any) -> Any:
    """Merge `patch` into `target` by the schema's list types."""
    if not isinstance(patch, dict) or patch.get("$patch") == "replace":
        return _plain(patch)
    result = dict(target) if isinstance(target, dict) else {}
    if "$retainKeys" in patch:
        result = {k: v for k, v in result.items() if k in patch["$retainKeys"]}
    for name, value in patch.items():
        if name.startswith("$deleteFromPrimitiveList/"):
            field = name.split("/", 1)[1]
            result[field] = [v for v in result.get(field, []) if v not in value]
        elif name.startswith("$"):
            continue
        elif value is None:
            result.pop(name, None)
        else:
            inner = child(schema, name) or {}
            result[name] = _merge_value(inner, result.get(name), value)
            if order := patch.get(f"$setElementOrder/{name}"):
                result[name] = _ordered(list_keys(inner), result[name], order)
    return result


def _merge_value(schema: Schema, target: Any, patch: Any) -> Any:
    if isinstance(patch, dict):
        return strategic_merge(schema, target, patch)
    keys = list_keys(schema)
    if not isinstance(patch, list) or not isinstance(target, list) or keys is None:
        return _plain(patch)
    if not keys:
        return target + [value for value in patch if value not in target]
    result = list(target)
    if any(item.get("$patch") == "replace" for item in patch):
        return [_plain(item) for item in patch if "$patch" not in item]
    for item in patch:
        index = next((i for i, old in enumerate(result) if _same(keys, old, item)), None)
        if item.get("$patch") == "delete":
            if index is not None:
                del result[index]
        elif index is None:
            result.append(_plain(item))
        else:
            result[index] = strategic_merge(items(schema), result[index], item)
    return result


def _same(keys: list[str], old: dict[str, Any], new: dict[str, Any]) -> bool:
    return all(old.get(key) == new.get(key) for key in keys)


def _ordered(keys: list[str] | None, value: list[Any], order: list[Any]) -> list[Any]:
    def position(item: Any) -> int:
        for index, wanted in enumerate(order):
            if item == wanted or (keys and isinstance(item, dict) and _same(keys, item, wanted)):
                return index
        return len(order)

    return sorted(value, key=position)


def _plain(value: Any) -> Any:
    """A patch value without directives."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items() if not k.startswith("$") and v is not None}
    if isinstance(value, list):
        return [
            _plain(v) for v in value if not (isinstance(v, dict) and v.get("$patch") == "delete")
        ]
    return value
