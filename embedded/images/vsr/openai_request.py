"""What is left of a chat completion request when the router has written it anew.

Upstream: vllm-project/semantic-router at f2883b0 reads bodies into the parameter types of
openai-go 1.12.0 (`ChatCompletionNewParams`, `internal/apijson`) and writes those out. So of two
equal keys the first counts; fields that the types do not know, or that hold a value of another
type, are gone; a null stays where the type is optional (`max_tokens`) and is gone elsewhere
(`stop`); one message of no known role loses all messages; and a `response_format` of type
`json_schema` loses its schema, since the first of its three variants, text, takes any object. A
body that the router then changes (a stream, a decision) goes through 64-bit floating point.
Left out: how values of another type are spelt as texts (1e2, objects), biases beyond 64 bits.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

Object = dict[str, Any]
Decode = Callable[[Any], Any]
_LONGEST_NUMBER = 300  # letters; what is longer is no finite number anyway
_WITH_EXPONENT = 1e21
_HALF = re.compile(r"\\u[dD][89a-fA-F]")


class Refused(Exception):
    """A value that the type cannot hold: the field stays empty."""


def parsed(raw: bytes) -> Object:
    """The request, each object with the first of equal keys; {} for JSON that is no object. But of
    several `stream` the last counts: upstream looks for it by other means. Raises ValueError."""
    pairs: list[tuple[str, Any]] = []

    def first(found: list[tuple[str, Any]]) -> Object:
        nonlocal pairs
        pairs = found
        body: Object = {}
        for name, value in found:
            body.setdefault(name, value)
        return body

    text = raw.decode("utf-8", "replace")
    try:
        body = json.loads(
            text, object_pairs_hook=first, parse_int=_integer, parse_constant=_no_number
        )
    except RecursionError:
        raise ValueError("exceeded max depth") from None
    if not isinstance(body, dict):
        return {}
    body |= {name: value for name, value in pairs if name == "stream"}
    return _without_halves(body) if _HALF.search(text) else body


def kept(body: Object) -> Object:
    """What the types keep, in their order."""
    return _REQUEST(body)


def model(body: Object) -> str:
    """The model that is asked for; "" without one."""
    with suppress(Refused):
        return _word(body.get("model"))
    return ""


def remapped(value: Any) -> Any:
    """A value that went through Go's `map[string]any`: sorted keys, floating-point numbers."""
    if isinstance(value, dict):
        return {name: remapped(one) for name, one in sorted(value.items())}
    if isinstance(value, list):
        return [remapped(one) for one in value]
    return _number(value) if _is_number(value) else value


def dumped(body: Object) -> bytes:
    """As Go writes it: without spaces, signs of HTML escaped. Raises ValueError for an infinite
    number."""
    text = json.dumps(body, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text.encode()


def _without_halves(body: Any) -> Any:
    """Half of a pair of surrogates is a replacement character."""
    text = json.dumps(body, ensure_ascii=False)
    return json.loads(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))


def _integer(text: str) -> int | float:
    return int(text) if len(text) < _LONGEST_NUMBER else float(text)


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no JSON")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(value: float) -> int | float:
    """The nearest floating-point number, without a fraction of zero."""
    found = float(value)
    is_short = found.is_integer() and abs(found) < _WITH_EXPONENT
    return int(Decimal(repr(found))) if is_short else found


# -- types of values --------------------------------------------------------------------------


@dataclass(frozen=True)
class _Optional:
    """A value of one type, or null."""

    kind: type

    def __call__(self, value: Any) -> Any:
        if self.kind is float and _is_number(value) and math.isfinite(value):
            return _number(value)
        if type(value) is int and not -(1 << 63) <= value < 1 << 63:
            raise Refused
        if value is not None and (type(value) is not self.kind or self.kind is float):
            raise Refused
        return value


@dataclass(frozen=True)
class _Struct:
    """An object of these fields, and what stands in those that are always there."""

    fields: Mapping[str, Decode]
    always: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, value: Any) -> Object:
        found = self.given(value)
        known = (name for name in self.fields if name in found or name in self.always)
        return {name: found.get(name, self.always.get(name)) for name in known}

    def given(self, value: Any) -> Object:
        """What the value says of the fields."""
        found: Object = {}
        for name, decode in self.fields.items() if isinstance(value, dict) else ():
            is_null = value.get(name) is None
            if not is_null or (name in value and isinstance(decode, _Optional)):
                with suppress(Refused):
                    found[name] = decode(value[name])
        return found


def _unless_empty(struct: _Struct) -> Decode:
    def decode(value: Any) -> Object:
        if not struct.given(value):
            raise Refused
        return struct(value)

    return decode


def _word(value: Any) -> str:
    """A text; other values are taken as they are spelt."""
    if isinstance(value, str):
        found = value
    elif isinstance(value, float) and math.isfinite(value):
        found = format(Decimal(repr(_number(value))), "f")
    else:
        found = "" if value is None else json.dumps(value)
    if not found:
        raise Refused
    return found


def _item(value: Any) -> str:
    """A text in a list or table."""
    if isinstance(value, dict | list):
        raise Refused
    return _word(value) if value is not None and value != "" else ""


def _whole(value: Any) -> int:
    """A whole number in a table."""
    try:
        return 0 if value is None else int(float(value) if isinstance(value, str) else value)
    except (TypeError, ValueError, OverflowError):
        raise Refused from None


def _many(decode: Decode) -> Decode:
    def found(value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise Refused
        return [decode(one) for one in value]

    return found


def _table(decode: Decode) -> Decode:
    def found(value: Any) -> Object:
        if value == []:
            return {}
        if not isinstance(value, dict):
            raise Refused
        return {name: decode(one) for name, one in sorted(value.items())}

    return found


def _text_or(other: Decode) -> Decode:
    return lambda value: value if isinstance(value, str) else other(value)


def _object(struct: _Struct) -> Decode:
    """The object of a union: what is no object at all is none of its variants."""

    def found(value: Any) -> Object:
        if not isinstance(value, dict | list):
            raise Refused
        return struct(value)

    return found


def _one_of(key: str, **variants: _Struct) -> Decode:
    def found(value: Any) -> Object:
        name = value.get(key) if isinstance(value, dict) else None
        if not isinstance(name, str) or name not in variants:
            raise Refused
        return variants[name](value)

    return found


# -- the request ------------------------------------------------------------------------------

_STRING, _NUMBER, _INTEGER, _BOOL = map(_Optional, (str, float, int, bool))


def _typed(kind: str, **fields: Decode) -> _Struct:
    """An object with its `type` at its end."""
    texts: dict[str, str] = {name: "" for name in ("text", "refusal") if name in fields}
    return _Struct({**fields, "type": _word}, {**texts, "type": kind})


_TEXT = _typed("text", text=_word)
_PLAIN = _text_or(_many(_TEXT))
_PARTS = _one_of(
    "type",
    text=_TEXT,
    image_url=_typed(
        "image_url",
        image_url=_unless_empty(_Struct({"url": _word, "detail": _word}, {"url": ""})),
    ),
    input_audio=_typed(
        "input_audio",
        input_audio=_unless_empty(_Struct({"data": _word, "format": _word}, {"data": ""})),
    ),
    file=_typed(
        "file",
        file=_unless_empty(_Struct(dict.fromkeys(("file_data", "file_id", "filename"), _STRING))),
    ),
)
_CALL = _Struct({"arguments": _word, "name": _word}, {"arguments": "", "name": ""})
_NAME = _Struct({"name": _word}, {"name": ""})
_TOOL_CALL = _Struct(
    {"id": _word, "function": _unless_empty(_CALL), "type": _word}, {"id": "", "type": "function"}
)
_FUNCTION: dict[str, Decode] = {"description": _STRING, "parameters": _table(remapped)}
_ANSWER_PARTS = _one_of("type", text=_TEXT, refusal=_typed("refusal", refusal=_word))


def _message(role: str, content: Decode, **more: Decode) -> _Struct:
    return _Struct({"content": content, **more, "role": _word}, {"role": role})


_MESSAGE = _one_of(
    "role",
    developer=_message("developer", _PLAIN, name=_STRING),
    system=_message("system", _PLAIN, name=_STRING),
    user=_message("user", _text_or(_many(_PARTS)), name=_STRING),
    assistant=_Struct(
        {
            "refusal": _STRING,
            "name": _STRING,
            "audio": _unless_empty(_Struct({"id": _word}, {"id": ""})),
            "content": _text_or(_many(_ANSWER_PARTS)),
            "function_call": _unless_empty(_CALL),
            "tool_calls": _many(_TOOL_CALL),
            "role": _word,
        },
    ),
    tool=_Struct({"content": _PLAIN, "tool_call_id": _word, "role": _word}, {"tool_call_id": ""}),
    function=_Struct({"content": _STRING, "name": _word, "role": _word}, {"name": ""}),
)
_PLACE = _Struct(dict.fromkeys(("city", "country", "region", "timezone"), _STRING))
_REQUEST = _Struct(
    {
        "messages": _many(_MESSAGE),
        "model": _word,
        "frequency_penalty": _NUMBER,
        "logprobs": _BOOL,
        "max_completion_tokens": _INTEGER,
        "max_tokens": _INTEGER,
        "n": _INTEGER,
        "presence_penalty": _NUMBER,
        "seed": _INTEGER,
        "store": _BOOL,
        "temperature": _NUMBER,
        "top_logprobs": _INTEGER,
        "top_p": _NUMBER,
        "parallel_tool_calls": _BOOL,
        "prompt_cache_key": _STRING,
        "safety_identifier": _STRING,
        "user": _STRING,
        "audio": _unless_empty(_Struct({"format": _word, "voice": _word})),
        "logit_bias": _table(_whole),
        "metadata": _table(_item),
        "modalities": _many(_item),
        "reasoning_effort": _word,
        "service_tier": _word,
        "stop": _text_or(_many(_item)),
        "stream_options": _unless_empty(_Struct({"include_usage": _BOOL})),
        "function_call": _text_or(_object(_NAME)),
        "functions": _many(_Struct({"name": _word, **_FUNCTION}, {"name": ""})),
        "prediction": _unless_empty(_typed("content", content=_PLAIN)),
        "response_format": _object(_typed("text")),
        "tool_choice": _text_or(_object(_typed("function", function=_unless_empty(_NAME)))),
        "tools": _many(
            _typed(
                "function",
                function=_unless_empty(
                    _Struct({"name": _word, "strict": _BOOL, **_FUNCTION}, {"name": ""})
                ),
            )
        ),
        "web_search_options": _unless_empty(
            _Struct(
                {
                    "user_location": _unless_empty(
                        _typed("approximate", approximate=_unless_empty(_PLACE))
                    ),
                    "search_context_size": _word,
                }
            )
        ),
    }
)
