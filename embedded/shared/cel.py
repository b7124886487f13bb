"""CEL (https://cel.dev) with the variables and functions of Kuadrant's policies.

A thin wrapper of Google's engine: it compiles once, and raises where the engine returns
errors as values.
"""

from __future__ import annotations

import contextvars
import json
import re
from functools import cache
from typing import Any

from cel_expr_python import cel
from cel_expr_python.ext import ext_optional, ext_strings

from embedded.shared.bodies import parsed

VARIABLES = (
    "auth", "connection", "context", "descriptors", "destination", "metadata", "request",
    "response", "source",
)  # fmt: skip
_MISSING = re.compile(r'Key not found in map : "(.*)"$', re.DOTALL)
_bodies: contextvars.ContextVar[dict[str, bytes]] = contextvars.ContextVar("bodies")


class CelError(Exception):
    """An expression that does not compile or cannot be evaluated."""


class UnknownName(CelError):
    """An expression that is CEL, with a variable that there is not."""


class NoSuchKey(CelError):
    """An expression that looks up `key` in a map that has it not."""

    def __init__(self, text: str, key: str) -> None:
        super().__init__(text)
        self.key = key


def _pointer(kind: str, pointer: str) -> Any:
    """RFC 6901 into the body of the request or response."""
    value = parsed(_bodies.get({}).get(kind) or b"null")
    for part in pointer.split("/")[1:]:
        part = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            value = value.get(part) if isinstance(value, dict) else None
    return value


def _body_function(name: str, kind: str) -> Any:
    overload = cel.Overload(
        f"{name}_string",
        return_type=cel.Type.DYN,
        parameters=[cel.Type.STRING],
        is_member=False,
        impl=lambda pointer: _pointer(kind, pointer),
    )
    return cel.FunctionDecl(name, [overload])


@cache
def _environment(names: tuple[str, ...]) -> Any:
    return cel.NewEnv(
        variables=dict.fromkeys(names, cel.Type.DYN),
        extensions=[ext_strings.ExtStrings(), ext_optional.ExtOptional()],
        functions=[
            _body_function("requestBodyJSON", "request"),
            _body_function("responseBodyJSON", "response"),
        ],
    )


@cache
def _compiled(expression: str, names: tuple[str, ...]) -> Any:
    try:
        return _environment(names).compile(expression)
    except Exception as error:
        kind = UnknownName if "undeclared reference" in str(error) else CelError
        raise kind(f"{expression.strip()!r} is not valid CEL: {error}") from error


def check(expression: str, names: tuple[str, ...] = VARIABLES) -> None:
    """Raises CelError if it does not compile; UnknownName, if for a variable not in `names`."""
    _compiled(expression, names)


def evaluate(
    expression: str,
    variables: dict[str, Any],
    bodies: dict[str, bytes] | None = None,
    names: tuple[str, ...] = VARIABLES,
) -> Any:
    """The value as plain Python; `bodies` has `request` and `response` for the body functions."""
    token = _bodies.set(bodies or {})
    try:
        value = _compiled(expression, names).eval(data=variables)
    except RuntimeError as error:  # a number of a body that is too large for CEL
        raise CelError(str(error)) from error
    finally:
        _bodies.reset(token)
    if value.type() == cel.Type.ERROR:
        text = str(value.plain_value())
        if missing := _MISSING.search(text):
            raise NoSuchKey(text, missing[1])
        raise CelError(text)
    return _plain(value.plain_value())


def holds(
    predicate: str, variables: dict[str, Any], bodies: dict[str, bytes] | None = None
) -> bool:
    """A predicate; something missing makes it false, as in Kuadrant's wasm-shim."""
    try:
        return evaluate(predicate, variables, bodies) is True
    except CelError:
        return False


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(_plain(k)): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if hasattr(value, "plain_value"):
        return _plain(value.plain_value())
    return value


def as_text(value: Any) -> str:
    """A value as it appears in a header or a descriptor."""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return json.dumps(value)
