"""Server-side apply: what a manager lets go of."""

from __future__ import annotations

from typing import Any

import pytest

from embedded.apiserver.apply import apply, write_owners

Object = dict[str, Any]
LOOSE: Object = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def applied_in_turn(*steps: tuple[str, Object]) -> Object:
    """The spec after each manager's apply, the first on nothing."""
    live: Object = {"apiVersion": "v1", "kind": "X", "metadata": {"name": "x"}}
    for manager, spec in steps:
        wanted = {**live, "spec": spec}
        wanted["metadata"] = {"name": "x"}
        live, owned = apply(LOOSE, live, wanted, manager, True, "")
        write_owners(live, owned, "", "v1", "now")
    found: Object = live.get("spec", {})
    return found


DEEP: Object = {"metadata": {"tier": {"http": {"url": "u", "body": {"expression": "e"}}}}, "a": 1}


@pytest.mark.parametrize(
    ("steps", "left"),
    [
        ([("me", DEEP), ("me", {"a": 1})], {"a": 1}),
        ([("me", DEEP), ("me", {"a": 2, "metadata": {"tier": {}}})],
         {"a": 2, "metadata": {"tier": {}}}),
        ([("me", DEEP), ("you", {"metadata": {"tier": {"http": {"url": "u"}}}}), ("me", {"a": 1})],
         {"a": 1, "metadata": {"tier": {"http": {"url": "u"}}}}),
        ([("me", {"a": {"b": {"c": 1}}}), ("you", {"a": {}}), ("me", {"d": 1})], {"a": {}, "d": 1}),
        ([("me", {"list": [1], "a": 1}), ("me", {"a": 1})], {"a": 1}),
    ],
    ids=["whole-branch", "own-empty", "shared-leaf", "shared-empty", "atomic-list"],
)  # fmt: skip
def test_nothing_empty_is_left_behind(steps: list[tuple[str, Object]], left: Object) -> None:
    """A branch goes with its last leaf, unless somebody holds on to it."""
    assert applied_in_turn(*steps) == left


KEYED: Object = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "properties": {
                "ports": {
                    "type": "array",
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["port"],
                    "items": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                }
            },
        }
    },
}


def test_list_item_goes_whole() -> None:
    """With the fields that defaulting put into it, and that nobody owns."""
    live: Object = {"metadata": {"name": "x"}}
    for ports in ([80, 443], [80, 8443]):
        wanted = {"metadata": {"name": "x"}, "spec": {"ports": [{"port": p} for p in ports]}}
        live, owned = apply(KEYED, live, wanted, "me", True, "")
        for item in live["spec"]["ports"]:
            item.setdefault("protocol", "TCP")
        write_owners(live, owned, "", "v1", "now")
    assert live["spec"]["ports"] == [
        {"port": 80, "protocol": "TCP"},
        {"port": 8443, "protocol": "TCP"},
    ]
