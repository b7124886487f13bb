"""Server-side apply: who owns which field, conflicts, and what a manager let go of.

Upstream: kubernetes-sigs/structured-merge-diff (`fieldsV1`). A field path is a tuple of
`f:<name>`, `k:<json of the merge keys>` and `v:<json value>` steps, as in `fieldsV1`.
"""

from __future__ import annotations

import json
from typing import Any

from embedded.apiserver.patch import list_keys
from embedded.apiserver.schema import Schema, child, items
from embedded.apiserver.status import apply_conflict
from embedded.shared.trees import copied

Path = tuple[str, ...]
Object = dict[str, Any]
# Identity and bookkeeping have no owner.
UNOWNED = {"apiVersion", "kind"}
UNOWNED_METADATA = {
    "name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp",
    "managedFields", "selfLink", "deletionTimestamp", "deletionGracePeriodSeconds", "generateName",
}  # fmt: skip


def leaves(schema: Schema, value: Any, path: Path = ()) -> dict[Path, Any]:
    """Every owned field of `value` with its value; atomic lists are one field."""
    found: dict[Path, Any] = {}
    if isinstance(value, dict) and (value or not path):
        for name, inner in value.items():
            if (path == () and name in UNOWNED) or (
                path == ("f:metadata",) and name in UNOWNED_METADATA
            ):
                continue
            found |= leaves(child(schema, name) or {}, inner, (*path, f"f:{name}"))
        return found
    keys = list_keys(schema) if isinstance(value, list) else None
    if keys:
        for item in value:
            step = "k:" + json.dumps({k: item.get(k) for k in keys}, sort_keys=True)
            found[(*path, step)] = None
            found |= leaves(items(schema), item, (*path, step))
        return found
    if keys == []:
        return {(*path, "v:" + json.dumps(item)): item for item in value}
    return {path: value}


def to_fields(paths: set[Path]) -> Object:
    """The `fieldsV1` tree of a set of paths."""
    tree: Object = {}
    for path in sorted(paths):
        node = tree
        for step in path:
            node = node.setdefault(step, {})
        if path[-1].startswith("k:"):
            node["."] = {}
    return tree


def from_fields(tree: Object, path: Path = ()) -> set[Path]:
    """The paths of a `fieldsV1` tree."""
    if not tree:
        return {path}
    found: set[Path] = set()
    for step, inner in tree.items():
        found |= {path} if step == "." else from_fields(inner, (*path, step))
    return found


def owners(obj: Object, subresource: str) -> dict[tuple[str, str], set[Path]]:
    """(manager, operation) → paths, for one subresource ("" is the object itself)."""
    out: dict[tuple[str, str], set[Path]] = {}
    for entry in obj["metadata"].get("managedFields", []):
        if entry.get("subresource", "") == subresource:
            paths = from_fields(entry.get("fieldsV1", {}))
            out.setdefault((entry["manager"], entry["operation"]), set()).update(paths)
    return out


def write_owners(
    obj: Object,
    owned: dict[tuple[str, str], set[Path]],
    subresource: str,
    api_version: str,
    now: str,
) -> None:
    """Replace the managedFields of one subresource in `obj`."""
    kept = [
        entry
        for entry in obj["metadata"].get("managedFields", [])
        if entry.get("subresource", "") != subresource
    ]
    for (manager, operation), paths in owned.items():
        if paths:
            entry = {
                "manager": manager,
                "operation": operation,
                "apiVersion": api_version,
                "time": now,
                "fieldsType": "FieldsV1",
                "fieldsV1": to_fields(paths),
            }
            kept.append(entry | ({"subresource": subresource} if subresource else {}))
    if kept:
        obj["metadata"]["managedFields"] = kept


def apply(
    schema: Schema, live: Object, applied: Object, manager: str, force: bool, subresource: str
) -> tuple[Object, dict[tuple[str, str], set[Path]]]:
    """Merge `applied` into `live`; returns the new object and its owners.

    Raises 409 when another manager owns a field with another value and `force` is off.
    """
    wanted = leaves(schema, applied)
    current = leaves(schema, live)
    owned = owners(live, subresource)
    me = (manager, "Apply")
    conflicts = sorted(
        (other, _shown(path))
        for (other, operation), paths in owned.items()
        if (other, operation) != me
        for path in paths & wanted.keys()
        if path in current and current[path] != wanted[path]
    )
    if conflicts and not force:
        raise apply_conflict(conflicts)
    others = set().union(*(paths for who, paths in owned.items() if who != me), set())
    result = copied(live)
    kept = others | wanted.keys()
    let_go = owned.get(me, set()) - kept
    for path in let_go:  # an item of a list goes whole, with what was defaulted in it
        if path[-1].startswith("k:") and not any(p[: len(path)] == path for p in kept):
            _delete(result, path)
    for path in sorted(let_go, reverse=True):
        _delete(result, path)
        while len(path) > 1 and (path := path[:-1]) not in kept and _find(result, path) in ({}, []):
            _delete(result, path)  # what has nothing left in it goes too
    result = _merge(schema, result, applied)
    changed = {path for path, value in wanted.items() if current.get(path) != value}
    owned = {who: paths - changed if who != me else paths for who, paths in owned.items()}
    owned[me] = set(wanted)
    return result, owned


def _merge(schema: Schema, live: Any, applied: Any) -> Any:
    if isinstance(applied, dict) and isinstance(live, dict):
        merged = dict(live)
        for name, value in applied.items():
            inner = child(schema, name) or {}
            merged[name] = _merge(inner, live[name], value) if name in live else value
        return merged
    keys = list_keys(schema) if isinstance(applied, list) and isinstance(live, list) else None
    if keys is None:
        return copied(applied)
    if not keys:
        return live + [value for value in applied if value not in live]
    out = list(live)
    for item in applied:
        same = (i for i, old in enumerate(out) if all(old.get(k) == item.get(k) for k in keys))
        index = next(same, None)
        if index is None:
            out.append(item)
        else:
            out[index] = _merge(items(schema), out[index], item)
    return out


def _delete(value: Any, path: Path) -> None:
    *parents, last = path
    holder = _find(value, tuple(parents))
    if isinstance(holder, dict):
        holder.pop(last[2:], None)
    elif isinstance(holder, list):
        holder[:] = [item for item in holder if not _matches(item, last)]


def _find(value: Any, path: Path) -> Any:
    """What is at a path; None if nothing is."""
    for step in path:
        value = _descend(value, step)
    return value


def _descend(value: Any, step: str) -> Any:
    if isinstance(value, dict):
        return value.get(step[2:])
    if isinstance(value, list):
        return next((item for item in value if _matches(item, step)), None)
    return None


def _matches(item: Any, step: str) -> bool:
    wanted = json.loads(step[2:])
    if step.startswith("v:"):
        return bool(item == wanted)
    return isinstance(item, dict) and all(item.get(k) == v for k, v in wanted.items())


def _shown(path: Path) -> str:
    text = ""
    for step in path:
        if step.startswith("f:"):
            text += "." + step[2:]
        elif step.startswith("k:"):
            keys = json.loads(step[2:])
            text += "[" + ",".join(f"{k}={json.dumps(v)}" for k, v in keys.items()) + "]"
        else:
            text += f"[{step[2:]}]"
    return text
