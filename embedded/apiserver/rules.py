"""What a schema says beyond the shape of values: `x-kubernetes-validations`, and lists whose items
are told apart by keys.

Upstream: `k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel/validation.go` and
`…/schema/listtype/validation.go`. As there, rules that cannot be evaluated count as broken, those
that name `oldSelf` hold for changes alone, and what has not changed is not looked at again.
Left out: `messageExpression`, `reason`, `fieldPath`, and Kubernetes' own CEL libraries but for
what the strings extension has.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

from cel_expr_python import cel
from cel_expr_python.ext import ext_strings

from embedded.apiserver.status import Cause

Schema = dict[str, Any]
_KINDS: dict[type, str] = {dict: "object", list: "array"}


@cache
def _environment() -> Any:
    variables = {"self": cel.Type.DYN, "oldSelf": cel.Type.DYN}
    return cel.NewEnv(variables=variables, extensions=[ext_strings.ExtStrings()])


@cache
def _compiled(rule: str) -> Any:
    return _environment().compile(rule)


def broken_rules(schema: Schema, value: Any, old: Any, path: str = "") -> Iterator[Cause]:
    """One cause for each rule that does not hold, anywhere in a value; `old` is None at creation.

    Built-in models (`$ref`) have no rules, and checks of their own.
    """
    if value == old or "$ref" in schema:
        return
    for rule in schema.get("x-kubernetes-validations", []):
        if not _holds(rule["rule"], value, old):
            kind = (
                "object" if isinstance(value, dict) else "array" if isinstance(value, list) else ""
            )
            shown = json.dumps(kind or value)
            message = rule.get("message") or f"failed rule: {rule['rule']}"
            yield {
                "reason": "FieldValueInvalid",
                "message": f"Invalid value: {shown}: {message}",
                "field": path,
            }
    if isinstance(value, dict):
        properties, extra = schema.get("properties", {}), schema.get("additionalProperties")
        for name, inner in value.items():
            known = properties.get(name, extra if isinstance(extra, dict) else None)
            if known is not None:
                before = old.get(name) if isinstance(old, dict) else None
                where = f"{path}.{name}" if path else name
                yield from broken_rules(known, inner, before, where)
    elif isinstance(value, list):
        yield from _twice(schema, value, path)
        for index, inner in enumerate(value):
            yield from broken_rules(schema.get("items", {}), inner, None, f"{path}[{index}]")


def _holds(rule: str, value: Any, old: Any) -> bool:
    if "oldSelf" in rule and old is None:
        return True
    found = _compiled(rule).eval(data={"self": value, "oldSelf": old})
    return found.type() != cel.Type.ERROR and found.plain_value() is True


def _twice(schema: Schema, value: list[Any], path: str) -> Iterator[Cause]:
    keys = schema.get("x-kubernetes-list-map-keys", [])
    kind = schema.get("x-kubernetes-list-type")
    if kind not in ("set", "map"):
        return
    seen: list[Any] = []
    for index, item in enumerate(value):
        mine = {k: item[k] for k in keys if k in item} if kind == "map" else item
        if mine in seen:
            yield {
                "reason": "FieldValueDuplicate",
                "message": f"Duplicate value: {json.dumps(mine, separators=(',', ':'))}",
                "field": f"{path}[{index}]",
            }
        seen.append(mine)
