"""Objects broken in every way that their schema knows of: one fault each, and where it is."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

Schema = dict[str, Any]
Object = dict[str, Any]
Place = tuple[str | int, ...]
WRONG = {"string": 7, "integer": "seven", "number": "seven", "boolean": "perhaps", "array": {},
         "object": "text"}  # fmt: skip
AT_MOST = 200  # items and letters: longer bounds are left alone


def broken(obj: Object, schema: Schema) -> Iterator[tuple[str, Object]]:
    """(what was done, the object): each field that `obj` has, against each bound that
    `schema` sets it. Status and metadata are left alone: the first is not written with an object,
    the second is the same for all kinds."""
    for name, inner in schema.get("properties", {}).items():
        if name not in ("apiVersion", "kind", "metadata", "status") and name in obj:
            for place, what, value in _faults(obj[name], inner, (name,)):
                yield f"{shown(place)} {what}", _with(obj, place, value)
    for name in schema.get("required", []):
        if name in obj and name != "metadata":
            yield f"{name} missing", _without(obj, (name,))


def _faults(value: Any, schema: Schema, place: Place) -> Iterator[tuple[Place, str, Any]]:
    kind = schema.get("type", "")
    if schema.get("x-kubernetes-int-or-string"):
        yield place, "of a wrong type", {}
    elif kind:
        yield place, "of a wrong type", WRONG[kind]
    if "enum" in schema:
        yield place, "beyond its enum", "Nonesuch" if kind == "string" else 999
    if "pattern" in schema and kind == "string":
        yield place, "against its pattern", " !?"
    if schema.get("minLength"):
        yield place, "too short", ""
    if schema.get("maxLength", AT_MOST * 10) <= AT_MOST * 10 and "maxLength" in schema:
        yield place, "too long", "a" * (schema["maxLength"] + 1)
    if "minimum" in schema:
        yield place, "too small", schema["minimum"] - 1
    if "maximum" in schema:
        yield place, "too large", schema["maximum"] + 1
    if isinstance(value, list) and kind == "array":
        yield from _in_list(value, schema, place)
    if isinstance(value, dict) and kind == "object":
        yield from _in_object(value, schema, place)


def _in_list(value: list[Any], schema: Schema, place: Place) -> Iterator[tuple[Place, str, Any]]:
    if schema.get("minItems"):
        yield place, "with too few items", []
    if value and schema.get("maxItems", AT_MOST + 1) <= AT_MOST:
        yield place, "with too many items", [value[0]] * (schema["maxItems"] + 1)
    if value and schema.get("x-kubernetes-list-type") in ("map", "set"):
        yield place, "with an item twice", [*value, value[0]]
    for index, item in enumerate(value):
        yield from _faults(item, schema.get("items", {}), (*place, index))


def _in_object(value: Object, schema: Schema, place: Place) -> Iterator[tuple[Place, str, Any]]:
    properties, extra = schema.get("properties", {}), schema.get("additionalProperties")
    if not schema.get("x-kubernetes-preserve-unknown-fields") and not extra:
        yield place, "with an unknown field", {**value, "nonesuch": "x"}
    for name in schema.get("required", []):
        if name in value:
            yield place, f"without {name}", {k: v for k, v in value.items() if k != name}
    for name, inner in value.items():
        known = properties.get(name, extra if isinstance(extra, dict) else None)
        if known is not None:
            yield from _faults(inner, known, (*place, name))


def shown(place: Place) -> str:
    """`spec.rules[0].matches`."""
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def _with(obj: Object, place: Place, value: Any) -> Object:
    made = copy.deepcopy(obj)
    holder: Any = made
    for part in place[:-1]:
        holder = holder[part]
    holder[place[-1]] = value
    return made


def _without(obj: Object, place: Place) -> Object:
    made = copy.deepcopy(obj)
    holder: Any = made
    for part in place[:-1]:
        holder = holder[part]
    del holder[place[-1]]
    return made
