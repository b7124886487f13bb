"""Authorino's selectors: dotted paths with modifiers, over the authorization JSON.

Source: Kuadrant/authorino `docs/features.md` ("Common feature: JSON paths") and
tidwall/gjson `SYNTAX.md` for escapes, indices and `#`. Left out: gjson queries and
multipaths.
"""

from __future__ import annotations

import base64
import json
import re
from typing import Any

_STEP = re.compile(r"((?:\\.|[^.\\])+)")


def select(path: str, data: Any) -> Any:
    """The selected value, or None if there is none."""
    value = data
    for step in _steps(path):
        if step.startswith("@"):
            value = _modified(step[1:], value)
        elif isinstance(value, list):
            value = _from_list(step, value)
        elif isinstance(value, dict):
            value = value.get(step)
        else:
            return None
    return value


def _steps(path: str) -> list[str]:
    head, at, tail = path.partition(".@")
    names = [re.sub(r"\\(.)", r"\1", step) for step in _STEP.findall(head)]
    return names + [f"@{modifier}" for modifier in tail.split(".@")] if at else names


def _from_list(step: str, value: list[Any]) -> Any:
    if step == "#":
        return len(value)
    if step.isdigit():
        return value[int(step)] if int(step) < len(value) else None
    return None


def _modified(modifier: str, value: Any) -> Any:
    name, _, argument = modifier.partition(":")
    text = value if isinstance(value, str) else "" if value is None else json.dumps(value)
    match name:
        case "case":
            return text.upper() if argument == "upper" else text.lower()
        case "tostr":
            return text
        case "strip":
            return "".join(c for c in text if c.isprintable())
        case "base64":
            if argument == "decode":
                return base64.b64decode(text + "=" * (-len(text) % 4)).decode()
            return base64.b64encode(text.encode()).decode()
        case "extract":
            options = json.loads(argument or "{}")
            parts = text.split(options.get("sep", " "))
            position = options.get("pos", 0)
            return parts[position] if position < len(parts) else None
        case "replace":
            options = json.loads(argument or "{}")
            return text.replace(options.get("old", ""), options.get("new", ""))
    raise ValueError(f"unknown selector modifier @{name}")
