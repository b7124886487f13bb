"""Reads the protobuf bodies that kubectl's typed commands send.

Since 1.32 `kubectl create serviceaccount|token|namespace|…` and `kubectl auth …` send
`application/vnd.kubernetes.protobuf` and take JSON back. The envelope is
`k8s.io/apimachinery/pkg/runtime/generated.proto` (`Unknown` after the magic bytes), the
field numbers below are those of the `generated.proto` of each API group. Only the kinds
that those commands create are known; others are refused as an unknown media type.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from embedded.apiserver.status import bad_request, unsupported_media_type

MEDIA_TYPE = "application/vnd.kubernetes.protobuf"
_MAGIC = b"k8s\x00"
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


@dataclass(frozen=True)
class Message:
    """Field number → (JSON name, how to read it); a list type marks a repeated field."""

    fields: dict[int, tuple[str, Any]] = field(default_factory=dict)


def _text(raw: bytes) -> str:
    return raw.decode()


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _time(raw: bytes) -> str | None:
    seconds = dict(_wire(raw)).get(1, 0)
    if not seconds:
        return None
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class _Map:
    def __init__(self, value: Any) -> None:
        self.value = value


_LABELS, _FLAG, _NUMBER = _Map(_text), bool, int
_OWNER = Message({1: ("kind", _text), 3: ("name", _text), 4: ("uid", _text),
                  5: ("apiVersion", _text), 6: ("controller", _FLAG)})  # fmt: skip
_META = Message({
    1: ("name", _text), 2: ("generateName", _text), 3: ("namespace", _text), 5: ("uid", _text),
    6: ("resourceVersion", _text), 7: ("generation", _NUMBER), 8: ("creationTimestamp", _time),
    11: ("labels", _LABELS), 12: ("annotations", _LABELS), 13: ("ownerReferences", [_OWNER]),
    14: ("finalizers", [_text]),
})  # fmt: skip
_RULE = Message({1: ("verbs", [_text]), 2: ("apiGroups", [_text]), 3: ("resources", [_text]),
                 4: ("resourceNames", [_text]), 5: ("nonResourceURLs", [_text])})  # fmt: skip
_SUBJECT = Message({1: ("kind", _text), 2: ("apiGroup", _text), 3: ("name", _text),
                    4: ("namespace", _text)})  # fmt: skip
_ROLE_REF = Message({1: ("apiGroup", _text), 2: ("kind", _text), 3: ("name", _text)})
_ATTRIBUTES = Message({
    1: ("namespace", _text), 2: ("verb", _text), 3: ("group", _text), 4: ("version", _text),
    5: ("resource", _text), 6: ("subresource", _text), 7: ("name", _text),
})  # fmt: skip
_PATH = Message({1: ("path", _text), 2: ("verb", _text)})
_ACCESS = {1: ("resourceAttributes", _ATTRIBUTES), 2: ("nonResourceAttributes", _PATH)}
_BOUND = Message({1: ("kind", _text), 2: ("apiVersion", _text), 3: ("name", _text),
                  4: ("uid", _text)})  # fmt: skip
_LOCAL = Message({1: ("name", _text)})


def _object(fields: dict[int, tuple[str, Any]]) -> Message:
    return Message({1: ("metadata", _META), **fields})


_ROLE = _object({2: ("rules", [_RULE])})
_BINDING = _object({2: ("subjects", [_SUBJECT]), 3: ("roleRef", _ROLE_REF)})
_KINDS = {
    "Namespace": _object({}),
    "ServiceAccount": _object({3: ("imagePullSecrets", [_LOCAL]),
                               4: ("automountServiceAccountToken", _FLAG)}),
    "ConfigMap": _object({2: ("data", _LABELS), 3: ("binaryData", _Map(_base64)),
                          4: ("immutable", _FLAG)}),
    "Secret": _object({2: ("data", _Map(_base64)), 3: ("type", _text), 4: ("stringData", _LABELS),
                       5: ("immutable", _FLAG)}),
    "Role": _ROLE,
    "ClusterRole": _ROLE,
    "RoleBinding": _BINDING,
    "ClusterRoleBinding": _BINDING,
    "TokenRequest": _object({2: ("spec", Message({1: ("audiences", [_text]),
                                                  3: ("boundObjectRef", _BOUND),
                                                  4: ("expirationSeconds", _NUMBER)}))}),
    "TokenReview": _object({2: ("spec", Message({1: ("token", _text),
                                                 2: ("audiences", [_text])}))}),
    "SelfSubjectReview": _object({}),
    "SelfSubjectAccessReview": _object({2: ("spec", Message(_ACCESS))}),
    "SubjectAccessReview": _object({2: ("spec", Message({**_ACCESS, 3: ("user", _text),
                                                         4: ("groups", [_text])}))}),
    "SelfSubjectRulesReview": _object({2: ("spec", Message({1: ("namespace", _text)}))}),
    "DeleteOptions": Message({1: ("gracePeriodSeconds", _NUMBER),
                              4: ("propagationPolicy", _text), 5: ("dryRun", [_text])}),
}  # fmt: skip
_TYPE = Message({1: ("apiVersion", _text), 2: ("kind", _text)})


def decode(body: bytes) -> dict[str, Any]:
    """The object in an envelope; 400 if it is none, 415 for a kind that is not known."""
    if not body.startswith(_MAGIC):
        raise bad_request("provided data does not appear to be a protobuf message")
    try:
        envelope = dict(_wire(body[len(_MAGIC) :]))
        type_meta = _message(_TYPE, envelope.get(1, b""))
        known = _KINDS.get(type_meta.get("kind", ""))
        if known is None:
            found = f"{MEDIA_TYPE} of kind {type_meta.get('kind', '')}"
            raise unsupported_media_type(found, ["application/json", "application/yaml"])
        return type_meta | _message(known, envelope.get(2, b""))
    except (IndexError, UnicodeDecodeError, TypeError) as error:
        raise bad_request(f"couldn't parse the protobuf body: {error}") from error


def _message(known: Message, raw: bytes) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for number, value in _wire(raw):
        if number not in known.fields:
            continue
        name, kind = known.fields[number]
        if isinstance(kind, list):
            out.setdefault(name, []).append(_value(kind[0], value))
        elif isinstance(kind, _Map):
            entry = dict(_wire(value))
            out.setdefault(name, {})[_text(entry.get(1, b""))] = kind.value(entry.get(2, b""))
        elif (read := _value(kind, value)) is not None and read != "":
            out[name] = read
    return out


def _value(kind: Any, raw: Any) -> Any:
    return _message(kind, raw) if isinstance(kind, Message) else kind(raw)


def _wire(raw: bytes) -> Iterator[tuple[int, Any]]:
    """(field number, int or bytes) of each field."""
    at = 0
    while at < len(raw):
        tag, at = _varint(raw, at)
        wire_type = tag & 7
        if wire_type == _VARINT:
            value, at = _varint(raw, at)
            yield tag >> 3, value
            continue
        if wire_type == _BYTES:
            size, at = _varint(raw, at)
        else:
            size = {_FIXED64: 8, _FIXED32: 4}[wire_type]
        yield tag >> 3, raw[at : at + size]
        at += size


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = raw[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not byte & 0x80:
            return value, at
