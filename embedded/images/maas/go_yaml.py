"""Lists of structs as Go's `gopkg.in/yaml.v3` reads them, and the words that it refuses in.

v3.0.1, decode.go and resolve.go: any scalar is a string, as it was written; a float is an int
without its fraction; null leaves a field or an item out; fields that nobody knows do not matter; a
key may stand there once; and every wrong type is told, each with its line. Left out: tags that
somebody writes, the name of an alias that is not there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

_TAG = "tag:yaml.org,2002:"
_SHOWN = 10  # letters of a value in an error
_LIMIT = 1 << 63
_INT = re.compile(r"[-+]?[0-9_]+|0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


class YAMLError(ValueError):
    """Text that is no YAML, or not of the type that was wanted."""


class _Rows:
    """One reading: the fields by name with their Go types, and what was wrong."""

    def __init__(self, type_: str, fields: Mapping[str, str]) -> None:
        self._type, self._fields, self.wrong = type_, fields, list[str]()

    def read(self, node: yaml.Node) -> list[dict[str, Any]]:
        if _is_null(node):
            return []
        if not isinstance(node, yaml.SequenceNode):
            self._refuse(node, f"[]{self._type}")
            return []
        return [self._row(item) for item in node.value if not _is_null(item)]

    def _row(self, node: yaml.Node) -> dict[str, Any]:
        if not isinstance(node, yaml.MappingNode):
            self._refuse(node, self._type)
            return {}
        if not self._keys_are_unique(node):
            return {}
        row: dict[str, Any] = {}
        for key, value in _merged(node):
            known = isinstance(key, yaml.ScalarNode) and key.value in self._fields
            if not known or _is_null(value):
                continue
            row[key.value] = getattr(self, f"_{self._fields[key.value]}")(value)
        return row

    def _keys_are_unique(self, node: yaml.MappingNode) -> bool:
        before = len(self.wrong)
        for n, (key, _) in enumerate(node.value):
            for again, _ in node.value[n + 1 :]:
                if type(key) is type(again) is yaml.ScalarNode and key.value == again.value:
                    first, second = key.start_mark.line + 1, again.start_mark.line + 1
                    quoted = f'"{key.value}"'
                    text = f"mapping key {quoted} already defined at line {first}"
                    self.wrong.append(f"line {second}: {text}")
        return len(self.wrong) == before

    def _string(self, node: yaml.Node) -> Any:
        if isinstance(node, yaml.ScalarNode):
            return node.value
        return self._refuse(node, "string")

    def _strings(self, node: yaml.Node) -> Any:
        if not isinstance(node, yaml.SequenceNode):
            return self._refuse(node, "[]string")
        return [self._string(item) for item in node.value if not _is_null(item)]

    def _int(self, node: yaml.Node) -> Any:
        tag = _tag(node)
        if tag == "!!int":
            return _whole(node.value)
        finite = tag == "!!float" and _FLOAT.fullmatch(node.value)
        if finite and abs(float(node.value)) < _LIMIT:
            return int(float(node.value))
        return self._refuse(node, "int")

    def _refuse(self, node: yaml.Node, wanted: str) -> None:
        shown = ""
        if isinstance(node, yaml.ScalarNode):
            cut = f"{node.value[: _SHOWN - 3]}..." if len(node.value) > _SHOWN else node.value
            shown = f" `{cut}`"
        line = node.start_mark.line + 1
        self.wrong.append(f"line {line}: cannot unmarshal {_tag(node)}{shown} into {wanted}")


def rows(text: str, type_: str, fields: Mapping[str, str]) -> list[dict[str, Any]]:
    """The list of structs of a Go type that the first document is; fields are of `string`, `int`
    or `strings`. Raises YAMLError; what has no value is not there."""
    loader = yaml.CSafeLoader(text)
    try:
        node = loader.get_node() if loader.check_node() else None
    except yaml.MarkedYAMLError as error:
        raise YAMLError(f"yaml: {_place(error)}{error.problem}") from error
    except yaml.YAMLError as error:
        raise YAMLError(f"yaml: {error}") from error
    finally:
        loader.dispose()
    reading = _Rows(type_, fields)
    found = reading.read(node) if node else []
    if reading.wrong:
        raise YAMLError("yaml: unmarshal errors:\n  " + "\n  ".join(reading.wrong))
    return found


def _place(error: yaml.MarkedYAMLError) -> str:
    """The line that yaml.v3 names: a scanner's is one on."""
    more = isinstance(error, yaml.scanner.ScannerError)
    for mark in (error.context_mark, error.problem_mark):
        if mark is not None and mark.line:
            return f"line {mark.line + more}: "
    return ""


def _is_null(node: yaml.Node) -> bool:
    return bool(node.tag == f"{_TAG}null")


def _tag(node: yaml.Node) -> str:
    """A value's type as yaml.v3 tells it by its letters, where YAML 1.1 differs."""
    tag = str(node.tag).replace(_TAG, "!!")
    if not isinstance(node, yaml.ScalarNode) or node.style:
        return tag
    if _INT.fullmatch(node.value):
        return "!!int" if abs(_whole(node.value)) < _LIMIT else "!!float"
    if _FLOAT.fullmatch(node.value):
        return "!!float"
    of_1_1 = ("!!int", "!!float", "!!bool")
    literal = node.value.lower() in ("true", "false", ".inf", "-.inf", "+.inf", ".nan")
    return "!!str" if tag in of_1_1 and not literal else tag


def _whole(text: str) -> int:
    plain = text.replace("_", "")
    sign, digits = (-1, plain[1:]) if plain[:1] == "-" else (1, plain.removeprefix("+"))
    octal = digits[:1] == "0" and digits.isdigit()
    return sign * int(digits, 8 if octal else 0)


def _merged(node: yaml.MappingNode) -> list[tuple[yaml.Node, yaml.Node]]:
    """Its own keys, behind those that it takes over by `<<`."""
    own, taken = [], []
    for key, value in node.value:
        if key.tag != f"{_TAG}merge":
            own.append((key, value))
            continue
        sources = value.value if isinstance(value, yaml.SequenceNode) else [value]
        for source in reversed(sources):
            taken += _merged(source) if isinstance(source, yaml.MappingNode) else []
    return taken + own
