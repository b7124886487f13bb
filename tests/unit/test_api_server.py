"""What the embedded API server remembers, and how it reads a token."""

from typing import Any

import pytest

from embedded.apiserver import admission
from embedded.apiserver.api import Api
from embedded.apiserver.authn import bearer
from embedded.apiserver.decoding import Options

Object = dict[str, Any]
APPLY = "application/apply-patch+yaml"


@pytest.fixture
def api() -> Api:
    """With one namespace."""
    made = Api([admission.defaults])
    namespaces = made.resource("", "namespaces")
    made.create(namespaces, "v1", "", {"metadata": {"name": "ns"}}, Options())
    return made


def applied(api: Api, body: Object, who: str, **options: Any) -> Object:
    """A ConfigMap, server-side."""
    resource = api.resource("", "configmaps")
    given = Options(field_manager=who, **options)
    return api.patch(resource, "v1", "ns", "one", APPLY, body, given)


def revision(obj: Object) -> str:
    return str(obj["metadata"]["resourceVersion"])


def test_the_same_applied_again_is_no_write(api: Api) -> None:
    first = applied(api, {"data": {"a": "1"}}, "me")
    assert applied(api, {"data": {"a": "1"}}, "me") is api.find("", "configmaps", "ns", "one")
    assert revision(applied(api, {"data": {"a": "1"}}, "me")) == revision(first)


def test_what_another_wrote_meanwhile_is_taken_back(api: Api) -> None:
    applied(api, {"data": {"a": "1"}}, "me")
    applied(api, {"data": {"a": "2"}}, "another", force=True)
    assert applied(api, {"data": {"a": "1"}}, "me", force=True)["data"] == {"a": "1"}


def test_less_applied_is_a_write(api: Api) -> None:
    applied(api, {"data": {"a": "1", "b": "2"}}, "me")
    assert applied(api, {"data": {"a": "1"}}, "me")["data"] == {"a": "1"}
    assert applied(api, {"data": {"a": "1", "b": "2"}}, "me")["data"] == {"a": "1", "b": "2"}


def test_an_object_that_was_deleted_is_made_again(api: Api) -> None:
    applied(api, {"data": {"a": "1"}}, "me")
    api.delete(api.resource("", "configmaps"), "ns", "one")
    assert applied(api, {"data": {"a": "1"}}, "me")["data"] == {"a": "1"}
    assert api.find("", "configmaps", "ns", "one")


def test_what_only_might_be_is_not_remembered(api: Api) -> None:
    applied(api, {"data": {"a": "1"}}, "me")
    applied(api, {"data": {"a": "2"}}, "me", dry_run=True)
    assert applied(api, {"data": {"a": "2"}}, "me")["data"] == {"a": "2"}
    assert (api.find("", "configmaps", "ns", "one") or {})["data"] == {"a": "2"}


def test_unknown_fields_are_warned_of_each_time(api: Api) -> None:
    for _ in range(2):
        options = Options(field_manager="me")
        body: Object = {"data": {"a": "1"}, "odd": 1}
        api.patch(api.resource("", "configmaps"), "v1", "ns", "one", APPLY, body, options)
        assert options.warnings == ['unknown field "odd"']


def test_garbage_may_be_where_something_came_went_or_changed_owners(api: Api) -> None:
    store, before = api.store, api.store.revision
    applied(api, {"data": {"a": "1"}}, "me")
    came = store.owned_revision
    assert came > before
    applied(api, {"data": {"a": "2"}}, "me")
    assert store.owned_revision == came < store.revision
    owner = {"apiVersion": "v1", "kind": "Pod", "name": "gone", "uid": "none"}
    applied(api, {"metadata": {"ownerReferences": [owner]}, "data": {"a": "2"}}, "me")
    assert came < store.owned_revision == store.revision
    api.delete(api.resource("", "configmaps"), "ns", "one")
    assert store.owned_revision == store.revision


@pytest.mark.parametrize(
    ("header", "token"),
    [("Bearer a.b.c", "a.b.c"), ("bearer a.b.c nothing", "a.b.c"), ("Bearer a.b.c ", "a.b.c"),
     ("Bearer  a.b.c", ""), ("Bearer   ", ""), ("Bearer", ""), ("", ""), ("Basic a.b.c", ""),
     ("Bearer a.b.c Bearer d.e.f", "a.b.c"), ("Bearer a.b.c, Bearer d", "a.b.c,")],
)  # fmt: skip
def test_a_token_ends_at_its_space(header: str, token: str) -> None:
    """As bearertoken.go's SplitN has it; seen on Kubernetes 1.34, where Authorino asks."""
    assert bearer(header) == token
