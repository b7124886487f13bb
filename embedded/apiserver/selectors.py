"""Label selectors and field selectors, as query strings and as `metav1.LabelSelector`.

Upstream: `k8s.io/apimachinery/pkg/labels/selector.go`, `pkg/fields/selector.go`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from embedded.apiserver.status import bad_request

Object = dict[str, Any]
_SET = re.compile(r"^(?P<key>[^\s!=,]+)\s+(?P<op>in|notin)\s*\((?P<values>[^)]*)\)$")
_EQUAL = re.compile(r"^(?P<key>[^\s!=,]+)\s*(?P<op>!=|==|=)\s*(?P<value>[^\s=,]*)$")
_EXISTS = re.compile(r"^(?P<not>!?)(?P<key>[^\s!=,()]+)$")


def matcher(labels: str = "", fields: str = "") -> Callable[[Object], bool]:
    """A predicate over objects; 400 if a selector cannot be parsed."""
    label_terms = [_label_term(term) for term in _split(labels)]
    field_terms = [_field_term(term) for term in _split(fields)]

    def matches(obj: Object) -> bool:
        own = obj["metadata"].get("labels") or {}
        return all(term(own) for term in label_terms) and all(term(obj) for term in field_terms)

    return matches


def matches_labels(selector: Object | None, labels: dict[str, str]) -> bool:
    """`metav1.LabelSelector`; an empty one matches everything, None nothing."""
    if selector is None:
        return False
    for key, value in (selector.get("matchLabels") or {}).items():
        if labels.get(key) != value:
            return False
    for term in selector.get("matchExpressions") or []:
        found, values = labels.get(term["key"]), term.get("values", [])
        holds = {
            "In": found in values,
            "NotIn": found not in values,
            "Exists": found is not None,
            "DoesNotExist": found is None,
        }[term["operator"]]
        if not holds:
            return False
    return True


def _split(text: str) -> list[str]:
    terms = [term.strip() for term in re.split(r",(?![^(]*\))", text)]
    return [term for term in terms if term]


def _label_term(term: str) -> Callable[[dict[str, str]], bool]:
    if found := _SET.match(term):
        key, wanted = found["key"], found["op"] == "in"
        values = {value.strip() for value in found["values"].split(",")}
        return lambda labels: (labels.get(key) in values) == wanted
    if found := _EQUAL.match(term):
        key, value, wanted = found["key"], found["value"], found["op"] != "!="
        return lambda labels: (labels.get(key) == value) == wanted
    if found := _EXISTS.match(term):
        key, wanted = found["key"], not found["not"]
        return lambda labels: (key in labels) == wanted
    raise bad_request(f'unable to parse requirement: found "{term}"')


def _field_term(term: str) -> Callable[[Object], bool]:
    found = _EQUAL.match(term)
    if not found:
        raise bad_request(f'invalid field selector: "{term}"')
    wanted = found["op"] != "!="

    def matches(obj: Object) -> bool:
        value: Any = obj
        for part in found["key"].split("."):
            value = value.get(part) if isinstance(value, dict) else None
        shown = {None: "", True: "true", False: "false"}.get(value, value)
        return (str(shown) == found["value"]) == wanted

    return matches
