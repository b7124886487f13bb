"""Rules of schemas beyond the shape of values, and the routes' expressions."""

from __future__ import annotations

from typing import Any

from embedded.apiserver.rules import broken_rules
from embedded.gatewayapi.routes import envoy_routes

PORTS: dict[str, Any] = {
    "type": "array",
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["name"],
    "items": {
        "type": "object",
        "x-kubernetes-validations": [
            {"rule": "self.port > 0 && self.port < 65536", "message": "is no port"}
        ],
        "properties": {"name": {"type": "string"}, "port": {"type": "integer"}},
    },
}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "metadata": {"$ref": "V1ObjectMeta"},
        "ports": PORTS,
        "class": {"type": "string", "x-kubernetes-validations": [{"rule": "self == oldSelf"}]},
    },
}


def told(value: Any, old: Any = None) -> list[tuple[str, str]]:
    return [(cause["field"], cause["message"]) for cause in broken_rules(SCHEMA, value, old)]


def test_a_broken_rule_is_told_at_its_place() -> None:
    assert told({"ports": [{"name": "a", "port": 1}, {"name": "b", "port": 0}]}) == [
        ("ports[1]", 'Invalid value: "object": is no port')
    ]


def test_a_rule_that_cannot_be_evaluated_is_broken() -> None:
    assert told({"ports": [{"name": "a"}]}) == [("ports[0]", 'Invalid value: "object": is no port')]


def test_what_may_not_change_may_be_created() -> None:
    assert told({"class": "a"}) == []
    assert told({"class": "a"}, {"class": "a"}) == []
    assert told({"class": "b"}, {"class": "a"}) == [
        ("class", 'Invalid value: "b": failed rule: self == oldSelf')
    ]


def test_what_stays_as_it_is_is_not_looked_at_again() -> None:
    broken = {"ports": [{"name": "a", "port": 0}]}
    assert told(broken, broken) == []


def test_items_that_share_a_key_are_told() -> None:
    same = [{"name": "a", "port": 1}, {"name": "a", "port": 2}]
    assert told({"ports": same}) == [("ports[1]", 'Duplicate value: {"name":"a"}')]


def test_headers_and_queries_match_by_expression_too() -> None:
    route = {
        "metadata": {"namespace": "n", "name": "r", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"rules": [{"matches": [{
            "headers": [{"type": "RegularExpression", "name": "a", "value": "b.*"}],
            "queryParams": [{"type": "Exact", "name": "c", "value": "d"}],
        }]}]},
    }  # fmt: skip
    ((_, made),) = envoy_routes(route, 0, "r", [], False)
    assert made["match"]["headers"] == [
        {"name": "a", "string_match": {"safe_regex": {"regex": "b.*"}}}
    ]
    assert made["match"]["query_parameters"] == [{"name": "c", "string_match": {"exact": "d"}}]
