"""Structural schemas: unknown fields, pruning, defaults and validation.

Upstream: `k8s.io/apiextensions-apiserver/pkg/apiserver/schema` (pruning, defaulting) and
`k8s.io/kube-openapi/pkg/validation` for the wording of field errors. Validation itself is
the `jsonschema-rs` library, which takes a thousandth of the time of `jsonschema`'s, a third of
what the API server had to do; this module only translates in and out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cached_property
from importlib import resources
from typing import Any

from jsonschema_rs import Draft202012Validator, ValidationError

from embedded.apiserver.rules import broken_rules
from embedded.apiserver.status import Cause

Schema = dict[str, Any]
METADATA: Schema = {"$ref": "V1ObjectMeta"}


def _load_builtin() -> dict[str, Schema]:
    text = resources.files("embedded.apiserver").joinpath("builtin_schemas.json").read_text()
    loaded: dict[str, Schema] = json.loads(text)
    return loaded


BUILTIN = _load_builtin()


def deref(schema: Schema) -> Schema:
    """Follow a reference to a built-in model."""
    return BUILTIN[schema["$ref"]] if "$ref" in schema else schema


def whole(schema: Any) -> Any:
    """A CRD's schema with the built-in models that it names written out, and changed by what stands
    beside the name: their keyed lists are looked at as its own are."""
    if isinstance(schema, list):
        return [whole(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    written = {**deref(schema), **schema}
    return {name: whole(item) for name, item in written.items() if name != "$ref"}


def child(schema: Schema, name: str) -> Schema | None:
    """Schema of a field: `{}` if anything goes, None if the field is unknown."""
    schema = deref(schema)
    properties = schema.get("properties", {})
    if name in properties:
        found: Schema = properties[name]
        return found
    extra = schema.get("additionalProperties")
    if isinstance(extra, dict):
        return extra
    if extra or schema.get("x-kubernetes-preserve-unknown-fields") or not schema:
        return {}
    return None


def items(schema: Schema) -> Schema:
    found: Schema = deref(schema).get("items", {})
    return found


class ObjectSchema:
    """The schema of one kind in one version; `root` has apiVersion, kind and metadata implied."""

    def __init__(self, root: Schema) -> None:
        root = deref(root)
        implied = {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": METADATA,
        }
        properties = {**root.get("properties", {}), **implied}
        self.root: Schema = {**root, "type": "object", "properties": properties}

    def unknown_fields(self, value: Any) -> list[str]:
        """Paths such as `spec.rules[0].foo` that the schema does not have."""
        return list(_unknown(self.root, value, ""))

    def prune(self, value: Any) -> Any:
        """A copy without unknown fields."""
        return _prune(self.root, value)

    def default(self, value: Any) -> Any:
        """A copy with the schema's defaults filled in."""
        return _default(self.root, value)

    def validate(self, value: Any, old: Any = None) -> list[Cause]:
        """Field errors in Kubernetes' wording, in the order of their paths; rules are looked at
        when everything has its shape. `old` is what the value replaces."""
        found = self._validator.iter_errors(value)
        errors = sorted(found, key=lambda error: _path(error.instance_path))
        return [_cause(error) for error in errors] or list(broken_rules(self.root, value, old))

    @cached_property
    def _validator(self) -> Draft202012Validator:
        definitions: dict[str, Any] = {}
        root = _to_json_schema(self.root, definitions)
        return Draft202012Validator({**root, "$defs": definitions})


def _unknown(schema: Schema, value: Any, path: str) -> Iterator[str]:
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _unknown(items(schema), item, f"{path}[{index}]")
    elif isinstance(value, dict):
        for name, inner in value.items():
            known = child(schema, name)
            where = f"{path}.{name}" if path else name
            if known is None:
                yield where
            elif known and isinstance(inner, dict | list):
                yield from _unknown(known, inner, where)


def _prune(schema: Schema, value: Any) -> Any:
    if isinstance(value, list):
        return [_prune(items(schema), item) for item in value]
    if isinstance(value, dict):
        known = ((name, child(schema, name), inner) for name, inner in value.items())
        return {name: _prune(found, inner) for name, found, inner in known if found is not None}
    return value


def _default(schema: Schema, value: Any) -> Any:
    schema = deref(schema)
    if isinstance(value, list):
        return [_default(items(schema), item) for item in value]
    if not isinstance(value, dict):
        return value
    filled = {
        k: _default(child(schema, k) or {}, v) if isinstance(v, dict | list) else v
        for k, v in value.items()
    }
    for name, found in schema.get("properties", {}).items():
        if name not in filled and "default" in found:
            filled[name] = _default(found, found["default"])
    return filled


def _to_json_schema(schema: Schema, definitions: dict[str, Any]) -> Schema:
    """Kubernetes' dialect as plain JSON Schema."""
    if "$ref" in schema:
        name = schema["$ref"]
        if name not in definitions:
            definitions[name] = {}
            definitions[name] = _to_json_schema(BUILTIN[name], definitions)
        return {"$ref": f"#/$defs/{name}"}
    out: Schema = {}
    for keyword, found in schema.items():
        if keyword == "properties":
            out[keyword] = {k: _to_json_schema(v, definitions) for k, v in found.items()}
        elif keyword in ("items", "not") or (
            keyword == "additionalProperties" and isinstance(found, dict)
        ):
            out[keyword] = _to_json_schema(found, definitions)
        elif keyword in ("anyOf", "oneOf", "allOf"):
            out[keyword] = [_to_json_schema(v, definitions) for v in found]
        elif not keyword.startswith("x-") and keyword not in ("default", "description", "format"):
            out[keyword] = found
    if schema.get("x-kubernetes-int-or-string"):
        out["type"] = ["integer", "string"]
    if "type" in out:
        types = out["type"] if isinstance(out["type"], list) else [out["type"]]
        # An empty optional field travels as null; the API server drops it.
        out["type"] = [*types, "null"]
    return out


def _path(parts: Any) -> str:
    text = ""
    for part in parts:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def _shown(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text[:120] if isinstance(value, dict | list) else text


def _cause(error: ValidationError) -> Cause:
    path = _path(error.instance_path)
    value: Any = error.instance
    limit = error.kind.value
    wrong = f"Invalid value: {_shown(value)}: {path} in body should"

    def cause(reason: str, message: str, field: str = path) -> Cause:
        return {"reason": reason, "message": message, "field": field}

    match error.kind.name:
        case "required":
            return cause("FieldValueRequired", "Required value", f"{path}.{limit}".strip("."))
        case "type":
            found = {dict: "object", list: "array", str: "string", bool: "boolean", int: "integer"}
            name = found.get(type(value), "number")
            wanted = next(t for t in limit if t != "null")
            text = f'Invalid value: "{name}": {path} in body must be of type {wanted}: "{name}"'
            return cause("FieldValueTypeInvalid", text)
        case "enum":
            known = ", ".join(json.dumps(v) for v in limit)
            text = f"Unsupported value: {_shown(value)}: supported values: {known}"
            return cause("FieldValueNotSupported", text)
        case "pattern":
            return cause("FieldValueInvalid", f"{wrong} match '{limit}'")
        case "minLength":
            return cause("FieldValueInvalid", f"{wrong} be at least {limit} chars long")
        case "maxLength":
            text = f"Too long: may not be more than {limit} bytes"
            return cause("FieldValueTooLong", text)
        case "minimum":
            return cause("FieldValueInvalid", f"{wrong} be greater than or equal to {limit}")
        case "maximum":
            return cause("FieldValueInvalid", f"{wrong} be less than or equal to {limit}")
        case "minItems":
            text = f"Invalid value: {len(value)}: {path} in body should have at least {limit} items"
            return cause("FieldValueInvalid", text)
        case "maxItems":
            text = f"Too many: {len(value)}: must have at most {limit} items"
            return cause("FieldValueTooMany", text)
        case _:
            return cause("FieldValueInvalid", f"Invalid value: {_shown(value)}: {error.message}")
