"""JSON as Go's `encoding/json` reads and writes it, which users see in what maas-api and the
simulators take.

Go 1.25 (`encoding/json` decode.go, scanner.go, stream.go). What differs from Python's: a decoder
takes the first value and looks at nothing behind it; 10,000 levels are allowed; the keys of a
struct are found whatever their case; null leaves a field as it is; NaN, Infinity and a byte order
mark are errors; text that is no UTF-8 is none; and the words of the errors, which they hand
on. Left out: offsets, numbers that overflow inside a value that nobody reads.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from embedded.shared import duration

MAX_DEPTH = 10_000
_SPACE = re.compile(rb"[ \t\r\n]*")
_TEXT = re.compile(
    rb'"[^"\\\x00-\x1f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*)*'  # and a quote
)
# A number's parts in turn, and where one must go on.
_WHOLE = re.compile(rb"-?(0|[1-9][0-9]*)?"), "in numeric literal"
_POINT = re.compile(rb"(?:\.([0-9]+)?)?"), "after decimal point in numeric literal"
_EXPONENT = re.compile(rb"(?:[eE][+-]?([0-9]+)?)?"), "in exponent of numeric literal"
_HEX = re.compile(rb"[0-9a-fA-F]{0,3}")
_SURROGATES = re.compile("[\ud800-\udfff]")
_KINDS = {b"{": "object", b"[": "array", b'"': "string", b"t": "bool", b"f": "bool", b"n": "null"}


class JSONError(ValueError):
    """What a body is not, in Go's words."""


class Empty(JSONError):
    """No value at all: io.EOF."""

    def __init__(self) -> None:
        super().__init__("EOF")


class Mismatch(Exception):
    """A value of another type than the field's: what came, and the type that was wanted."""

    def __init__(self, found: str, wanted: str) -> None:
        super().__init__(found, wanted)
        self.found, self.wanted = found, wanted


@dataclass(frozen=True)
class Value:
    """A whole value as it was written."""

    raw: bytes

    @property
    def kind(self) -> str:
        """object, array, string, number, bool or null."""
        return _KINDS.get(self.raw[:1], "number")

    def text(self) -> str:
        """A string's letters."""
        decoded: str = json.loads(self.raw.decode("utf-8", "surrogateescape"))
        return _SURROGATES.sub("\N{REPLACEMENT CHARACTER}", decoded)

    def members(self) -> Iterator[tuple[str, Value]]:
        """An object's keys and values, as often as they stand there."""
        at = _after_space(self.raw, 1)
        while self.raw[at : at + 1] == b'"':
            end = _end_of_text(self.raw, at)
            key = Value(self.raw[at:end]).text()
            at = _after_space(self.raw, _after_space(self.raw, end) + 1)
            end = _end(self.raw, at)
            yield key, Value(self.raw[at:end])
            at = _after_space(self.raw, _after_space(self.raw, end) + 1)

    def elements(self) -> Iterator[Value]:
        """An array's values."""
        at = _after_space(self.raw, 1)
        while at < len(self.raw) and self.raw[at : at + 1] != b"]":
            end = _end(self.raw, at)
            yield Value(self.raw[at:end])
            at = _after_space(self.raw, _after_space(self.raw, end) + 1)


Read = Callable[[Value], Any]


@dataclass(frozen=True)
class Struct:
    """A Go type with its package, and how its fields are read, by their JSON names."""

    name: str
    fields: Mapping[str, Read]

    def decode(self, raw: bytes) -> dict[str, Any]:
        """The fields that have a value; raises JSONError. What stands behind the value is free."""
        at = _after_space(raw, 0)
        if at == len(raw):
            raise Empty
        value = Value(raw[at : _end(raw, at)])
        if value.kind == "null":
            return {}
        if value.kind != "object":
            raise JSONError(
                f"json: cannot unmarshal {value.kind} into Go value of type {self.name}"
            )
        return self._fields(value)

    def _fields(self, value: Value) -> dict[str, Any]:
        found: dict[str, Any] = {}
        folded = {name.casefold(): name for name in self.fields}
        error: JSONError | None = None  # the first; the rest is read all the same
        for key, member in value.members():
            name = key if key in self.fields else folded.get(key.casefold())
            if name is None:
                continue
            read = self.fields[name]
            if member.kind == "null":
                if read is not string:  # what is not a pointer or a slice stays as it is
                    found.pop(name, None)
                continue
            try:
                found[name] = read(member)
            except Mismatch as wrong:
                place = f"Go struct field {self.name.rpartition('.')[2]}.{name}"
                text = f"json: cannot unmarshal {wrong.found} into {place} of type {wrong.wanted}"
                if read is nanoseconds:  # what reads itself ends it
                    raise JSONError(text) from None
                error = error or JSONError(text)
        if error:
            raise error
        return found


def string(value: Value) -> str:
    """A field of type string."""
    if value.kind != "string":
        raise Mismatch(value.kind, "string")
    return value.text()


def strings(value: Value) -> list[str]:
    """A field of type []string."""
    if value.kind != "array":
        raise Mismatch(value.kind, "[]string")
    return ["" if one.kind == "null" else string(one) for one in value.elements()]


def nanoseconds(value: Value) -> int:
    """maas-api's `Duration`: a number of seconds, or a duration's text; no text is zero."""
    if value.kind == "number":
        seconds = float(value.raw)
        if seconds in (float("inf"), float("-inf")):
            raise Mismatch(f"number {value.raw.decode()}", "float64")
        return duration.wrapped(seconds * 1e9)
    if value.kind != "string":
        raise JSONError("invalid duration")
    try:
        return duration.parse(value.text()) if value.text() else 0
    except ValueError as error:
        raise JSONError(str(error)) from None


def whole(raw: bytes) -> Value:
    """The one value that `raw` is, as `json.Unmarshal` has it; raises JSONError."""
    at = _after_space(raw, 0)
    end = _end(raw, at)
    if (rest := _after_space(raw, end)) < len(raw):
        raise _unexpected(raw, rest, "after top-level value")
    return Value(raw[at:end])


def encode(value: Any) -> bytes:
    """As Go writes it: without blanks, and with what HTML gives a meaning to in escapes."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text.encode("utf-8", "replace")


# -- the scanner --------------------------------------------------------------------------------


def _after_space(raw: bytes, at: int) -> int:
    match = _SPACE.match(raw, at)
    return match.end() if match else at


def _unexpected(raw: bytes, at: int, where: str) -> JSONError:
    """An error at a byte; at the end, something is missing."""
    if at >= len(raw):
        return JSONError("unexpected EOF")
    letter = chr(raw[at])
    quoted = {"'": "\\'", '"': '"', "\\": "\\\\"}.get(letter)
    if quoted is None:
        named = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t",
                 "\v": "\\v"}  # fmt: skip
        plain = letter.isprintable() and letter != "\xad"
        quoted = named.get(letter) or (letter if plain else _escaped(letter))
    return JSONError(f"invalid character '{quoted}' {where}")


def _escaped(letter: str) -> str:
    code = ord(letter)
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}"


def _end(raw: bytes, at: int) -> int:
    """Where the value that begins here ends. Without recursion: levels are only counted."""
    levels: list[bytes] = []
    while True:
        letter = raw[at : at + 1]
        if letter in (b"{", b"["):
            levels.append(letter)
            if len(levels) > MAX_DEPTH:
                raise _unexpected(raw, at, "exceeded max depth")
            at = _after_space(raw, at + 1)
            if raw[at : at + 1] != (b"}" if letter == b"{" else b"]"):
                at = _key(raw, at) if letter == b"{" else at
                continue
            levels.pop()
            at += 1
        else:
            at = _end_of_plain(raw, at)
        while levels:  # behind a value
            at = _after_space(raw, at)
            letter = raw[at : at + 1]
            in_object = levels[-1] == b"{"
            if letter == b",":
                at = _after_space(raw, at + 1)
                at = _key(raw, at) if in_object else at
                break
            if letter != (b"}" if in_object else b"]"):
                where = "after object key:value pair" if in_object else "after array element"
                raise _unexpected(raw, at, where)
            levels.pop()
            at += 1
        else:
            return at


def _key(raw: bytes, at: int) -> int:
    """Where the value of the key that begins here begins."""
    if raw[at : at + 1] != b'"':
        raise _unexpected(raw, at, "looking for beginning of object key string")
    at = _after_space(raw, _end_of_text(raw, at))
    if raw[at : at + 1] != b":":
        raise _unexpected(raw, at, "after object key")
    return _after_space(raw, at + 1)


def _end_of_plain(raw: bytes, at: int) -> int:
    """The end of a string, a number or a word."""
    letter = raw[at : at + 1]
    if letter == b'"':
        return _end_of_text(raw, at)
    for word in (b"true", b"false", b"null"):
        if letter == word[:1]:
            for n, wanted in enumerate(word):
                if raw[at + n : at + n + 1] != bytes([wanted]):
                    where = f"in literal {word.decode()} (expecting '{chr(wanted)}')"
                    raise _unexpected(raw, at + n, where)
            return at + len(word)
    if not letter or letter not in b"-0123456789":
        raise _unexpected(raw, at, "looking for beginning of value")
    return _end_of_number(raw, at)


def _end_of_number(raw: bytes, at: int) -> int:
    for part, where in (_WHOLE, _POINT, _EXPONENT):
        match = part.match(raw, at)
        assert match
        if match.end() > at and not match[1]:
            raise _unexpected(raw, match.end(), where)
        at = match.end()
    return at


def _end_of_text(raw: bytes, at: int) -> int:
    match = _TEXT.match(raw, at)
    assert match
    at = match.end()
    letter = raw[at : at + 1]
    if letter == b'"':
        return at + 1
    if letter != b"\\":
        raise _unexpected(raw, at, "in string literal")
    if raw[at + 1 : at + 2] != b"u":
        raise _unexpected(raw, at + 1, "in string escape code")
    digits = _HEX.match(raw, at + 2)
    assert digits
    raise _unexpected(raw, digits.end(), "in \\u hexadecimal character escape")
