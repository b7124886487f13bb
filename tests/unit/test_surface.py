"""Which entrances of the cluster are protected, as its objects say it."""

from typing import Any, cast

import pytest

from fixtures.kube import Kube
from fixtures.stack.surface import protected
from suites.hardening.hosts import operations

Object = dict[str, Any]
GATEWAY = {"name": "gateway", "namespace": "front"}


class Objects:
    """A cluster that has these."""

    def __init__(self, *objects: Object) -> None:
        self._objects = objects

    def all(self, _: str, kind: str) -> list[Object]:
        return [obj for obj in self._objects if obj["kind"] == kind]


def gateway(**listeners: str) -> Object:
    """Listeners by their names and hosts, at ports 1, 2, …"""
    spec = [
        {"name": name, "port": port, "hostname": host} if host else {"name": name, "port": port}
        for port, (name, host) in enumerate(listeners.items(), 1)
    ]
    return {"kind": "Gateway", "metadata": dict(GATEWAY), "spec": {"listeners": spec}}


def route(name: str, *hosts: str, parent: Object | None = None, path: Any = "/a/") -> Object:
    """A route of `back` with one rule that leads to `server`."""
    match = {"path": path if isinstance(path, dict) else {"type": "PathPrefix", "value": path}}
    spec: Object = {
        "parentRefs": [parent or GATEWAY],
        "rules": [{"matches": [match], "backendRefs": [{"name": "server"}]}],
    }
    if hosts:
        spec["hostnames"] = list(hosts)
    return {"kind": "HTTPRoute", "metadata": {"name": name, "namespace": "back"}, "spec": spec}


def policy(namespace: str, kind: str, name: str) -> Object:
    target = {"kind": kind, "name": name}
    metadata = {"name": "policy", "namespace": namespace}
    return {"kind": "AuthPolicy", "metadata": metadata, "spec": {"targetRef": target}}


ON_ALL = policy("front", "Gateway", "gateway")


def seen(*objects: Object) -> set[tuple[str, str, str, str]]:
    """(route, listener, host, path) of what is protected."""
    found = protected(cast(Kube, Objects(*objects)))
    return {(one.route, one.listener, one.host, one.path) for one in found}


def test_a_policy_on_the_gateway_is_all_routes() -> None:
    """On every listener, and not a route of another Gateway."""
    elsewhere = route("c", parent={"name": "other", "namespace": "front"})
    found = seen(gateway(http="a.test", https="b.test"), ON_ALL, route("x"), route("y"), elsewhere)
    at = {("http", "a.test"), ("https", "b.test")}
    assert found == {(f"back/{name}", *one, "/a/") for name in "xy" for one in at}


def test_a_policy_on_a_route_is_that_route_alone() -> None:
    own = policy("back", "HTTPRoute", "x")
    assert seen(gateway(http="a.test"), own, route("x"), route("y")) == {
        ("back/x", "http", "a.test", "/a/")
    }
    assert seen(gateway(http="a.test"), policy("other", "HTTPRoute", "x"), route("x")) == set()


@pytest.mark.parametrize("named", [{"sectionName": "https"}, {"port": 2}], ids=str)
def test_a_route_of_one_listener(named: Object) -> None:
    both = gateway(http="a.test", https="b.test")
    assert seen(both, ON_ALL, route("x", parent=GATEWAY | named)) == {
        ("back/x", "https", "b.test", "/a/")
    }


@pytest.mark.parametrize(
    ("listener", "hosts", "names"),
    [
        ("a.test", ["a.test", "b.test"], {"a.test"}),
        ("*.test", ["a.test", "a.example"], {"a.test"}),
        ("*.test", ["*.a.test"], {"conformance.a.test"}),
        ("a.test", ["*.test"], {"a.test"}),
        ("*.test", [], {"conformance.test"}),
        ("", ["a.test"], {"a.test"}),
        ("", [], set()),
    ],
)
def test_hosts_are_what_listener_and_route_share(
    listener: str, hosts: list[str], names: set[str]
) -> None:
    found = seen(gateway(http=listener), ON_ALL, route("x", *hosts))
    assert {host for _, _, host, _ in found} == names


def test_an_expression_is_left_out() -> None:
    odd = route("x", path={"type": "RegularExpression", "value": "/a.*"})
    assert seen(gateway(http="a.test"), ON_ALL, odd) == set()


@pytest.mark.parametrize("name", ["local-0123abcd-kserve-route", "variant-0123abcd"])
def test_what_a_test_makes_beside_is_left_out(name: str) -> None:
    """And nobody else's who is called nearly so."""
    all_of_it = (gateway(http="a.test"), ON_ALL)
    assert seen(*all_of_it, route(name)) == set()
    in_its_namespace = route("x")
    in_its_namespace["metadata"]["namespace"] = "conformance-0123abcd"
    assert seen(*all_of_it, in_its_namespace) == set()
    assert seen(*all_of_it, route("local-model"), route("my-" + name)) != set()


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/llm/model", {"/llm/model/v1/models", "/llm/model/v1/chat/completions",
                        "/llm/model/v1/completions"}),
        ("/llm/model/v1/completions", {"/llm/model/v1/completions"}),
        ("/v1/chat", {"/v1/chat/completions"}),
        ("/bridge/", {"/bridge/v1/models", "/bridge/v1/chat/completions",
                      "/bridge/v1/completions"}),
        ("/v1/other", {"/v1/other"}),
    ],
)  # fmt: skip
def test_what_there_is_to_ask_for(path: str, asked: set[str]) -> None:
    """Below a prefix everything; below a path of the API what begins so."""
    (entrance,) = protected(
        cast(Kube, Objects(gateway(http="a.test"), ON_ALL, route("x", path=path)))
    )
    assert {whole for _, whole in operations(entrance)} == asked
