"""Bodies as the simulators, which are Go programs, read and write them.

Upstream: Go's `encoding/json`. Names of fields are found whatever their case, of several equal ones
the last counts, null is as good as nothing, and a value of another type is an error. NaN and a byte
order mark are no JSON. `<`, `>` and `&` are written in escapes.
Left out: Go's words for errors.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.responses import JSONResponse

# How deep Go goes; Python goes as deep as it is let, and not much less than this is left to it.
_DEEPEST = 10_000
_HALF = re.compile("[\ud800-\udfff]")


class GoResponse(JSONResponse):
    """JSON in the order given."""

    def __init__(self, body: Any, status: int = 200, headers: Mapping[str, str] | None = None):
        super().__init__(body, status, headers)

    def render(self, content: Any) -> bytes:
        """The body."""
        text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
        for sign in "<>&\u2028\u2029":
            text = text.replace(sign, f"\\u{ord(sign):04x}")
        return _HALF.sub("\ufffd", text).encode()


@dataclass(frozen=True)
class Members:
    """An object's names and values, as they stand there."""

    pairs: tuple[tuple[str, Any], ...] = ()

    def get(self, name: str, kind: type[Any], default: Any) -> Any:
        """The value; raises ValueError if there is one of another type."""
        found = default
        for key, value in self.pairs:
            if key.casefold() != name or value is None:
                continue
            if type(value) is not kind:
                raise ValueError(f"{name}: a {_NAMES[type(value)]} where {_NAMES[kind]} is wanted")
            found = value
        return found


_NAMES = {Members: "object", list: "array", str: "string", bool: "bool", int: "integer",
          float: "number"}  # fmt: skip


def deep() -> None:
    """Let bodies be as deep as Go lets them; for a program, once."""
    sys.setrecursionlimit(_DEEPEST)


def read(raw: bytes, alone: bool = True) -> Members:
    """An object, or null as an empty one; unless `alone`, whatever may stand behind it. Raises
    ValueError."""
    text = raw.decode("utf-8", "replace").lstrip(" \t\r\n")
    decoder = json.JSONDecoder(
        object_pairs_hook=lambda pairs: Members(tuple(pairs)),
        parse_int=lambda digits: int(digits) if len(digits) < 20 else float(digits),
        parse_constant=_no_number,
    )
    try:
        value, end = decoder.raw_decode(text)
    except RecursionError:
        raise ValueError("exceeded max depth") from None
    if alone and text[end:].strip(" \t\r\n"):
        raise ValueError("something stands behind the value")
    if value is None:
        return Members()
    if not isinstance(value, Members):
        raise ValueError("an object is wanted")
    return value


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no JSON")
