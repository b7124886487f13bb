"""Selectors, CEL, names, schemas, patches, routes."""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from embedded.apiserver import generate, patch
from embedded.apiserver.resources import Registry
from embedded.apiserver.schema import BUILTIN, ObjectSchema
from embedded.apiserver.selectors import matcher
from embedded.apiserver.table import jsonpath
from embedded.errors import EmbeddedError
from embedded.gatewayapi.attach import intersection
from embedded.gatewayapi.routes import envoy_routes, prefix_rewrite
from embedded.images import Catalogue, ImageError, envoy_binary
from embedded.images.kuadrant.authorino_paths import select
from embedded.shared import cel
from embedded.shared.net import Network, claim
from manifests import ManifestError, render
from manifests.images import canonical

DATA: dict[str, Any] = {
    "request": {"path": "/llm/a/v1", "headers": {"authorization": "Bearer X", "a.b": "dot"}},
    "auth": {"identity": {"user": {"username": "system:serviceaccount:g-tier-free:bob",
                                   "groups": ["a", "b"]}}},
}  # fmt: skip


@pytest.mark.parametrize(
    ("selector", "value"),
    [
        ("auth.identity.user.username", "system:serviceaccount:g-tier-free:bob"),
        ("request.headers.authorization.@case:lower", "bearer x"),
        ("auth.identity.user.groups.1", "b"),
        ("auth.identity.user.groups.#", 2),
        (r"request.headers.a\.b", "dot"),
        ('auth.identity.user.username.@extract:{"sep":":","pos":3}', "bob"),
        ("auth.nothing.at.all", None),
        ("request.headers.missing.@case:lower", ""),
    ],
)
def test_selectors(selector: str, value: Any) -> None:
    assert select(selector, DATA) == value


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ('auth.identity.user.username.split(":")[2].split("-tier-")[1]', "free"),
        ('request.path.split("/")[2]', "a"),
        ("""'["' + auth.identity.user.groups.join('","') + '"]'""", '["a","b"]'),
        ('{"groups": auth.identity.user.groups}', {"groups": ["a", "b"]}),
    ],
)
def test_cel(expression: str, value: Any) -> None:
    assert cel.evaluate(expression, DATA) == value


def test_cel_errors_are_raised_and_predicates_on_nothing_are_false() -> None:
    with pytest.raises(cel.CelError, match=r"no such key|not found|NOT_FOUND"):
        cel.evaluate("auth.identity.tier", DATA)
    with pytest.raises(cel.CelError, match="is not valid CEL"):
        cel.check("auth.identity.==")
    assert cel.holds('auth.identity.tier == "free"', DATA) is False
    body = b'{"usage": {"total_tokens": 25}}'
    found = cel.evaluate('responseBodyJSON("/usage/total_tokens")', {}, {"response": body})
    assert found == 25


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("envoyproxy/envoy:v1.37", "docker.io/envoyproxy/envoy"),
        ("python:3.12", "docker.io/library/python"),
        ("ghcr.io/a/b@sha256:00", "ghcr.io/a/b"),
        ("localhost:5000/a:1", "localhost:5000/a"),
    ],
)
def test_image_names(reference: str, name: str) -> None:
    assert canonical(reference) == name


def test_unknown_image_says_what_to_do() -> None:
    with pytest.raises(ImageError, match=r"no example.com/x; it has .* --image NAME=COMMAND"):
        Catalogue().find("example.com/x:1")


@pytest.mark.parametrize(
    ("image", "command", "words"),
    [
        ("docker.io/envoyproxy/envoy:v1", ["envoy", "-c", "/x"], [str(envoy_binary()), "-c", "/x"]),
        ("docker.io/envoyproxy/envoy:v1", [], [str(envoy_binary())]),
        ("python:3.12", ["python3", "-c", "pass"], [sys.executable, "-u", "-c", "pass"]),
        ("python:3.12", [], [sys.executable, "-u"]),
        ("ghcr.io/llm-d/llm-d-inference-sim:v0.7.1", ["/app/llm-d-inference-sim", "--port=1"],
         ["embedded.images.simulators.llmd_sim", "--generation", "0.7", "--port=1"]),
        ("example.com/x:2", ["/usr/bin/x", "--more"], ["/bin/x", "--flag", "--more"]),
        ("example.com/x:2", ["/usr/bin/x"], ["/bin/x", "--flag"]),
        ("example.com/x:2", [], ["/bin/x", "--flag"]),
    ],
)  # fmt: skip
def test_a_containers_command_is_honoured(image: str, command: list[str], words: list[str]) -> None:
    """As in Kubernetes; the first word is the program, whatever it is called there. A controller
    that deploys `command: [envoy, -c, …]` got an Envoy without its words."""
    catalogue = Catalogue().replaced(["example.com/x=/bin/x --flag"])
    assert catalogue.find(image).argv(command, ["arg"]) == [*words, "arg"]


@pytest.mark.parametrize(
    ("listener", "route", "hosts"),
    [
        ("", [], ["*"]),
        ("maas.test", [], ["maas.test"]),
        ("", ["a.test"], ["a.test"]),
        ("*.test", ["a.test", "a.other"], ["a.test"]),
        ("a.test", ["*.test"], ["a.test"]),
        ("a.test", ["b.test"], []),
    ],
)
def test_hostname_intersection(listener: str, route: list[str], hosts: list[str]) -> None:
    assert intersection(listener, route) == hosts


def test_prefix_rewrite_makes_no_double_slash() -> None:
    assert prefix_rewrite("/openai", "/x/") == {"prefix_rewrite": "/x"}
    rewrite = prefix_rewrite("/openai", "/")["regex_rewrite"]
    assert rewrite == {"pattern": {"regex": "^/openai(/?)(.*)"}, "substitution": r"/\2"}


def test_route_precedence() -> None:
    """Exact before longer prefix before shorter prefix; method breaks a tie."""
    route = {
        "metadata": {"creationTimestamp": "t", "namespace": "n", "name": "r"},
        "spec": {"rules": [{"matches": [
            {"path": {"type": "PathPrefix", "value": "/a"}},
            {"path": {"type": "PathPrefix", "value": "/a/b"}},
            {"path": {"type": "Exact", "value": "/a"}},
            {"path": {"type": "PathPrefix", "value": "/a/b"}, "method": "GET"},
        ]}]},
    }  # fmt: skip
    found = sorted(envoy_routes(route, 0, "{match}", [], False), key=lambda pair: pair[0])
    assert [entry["name"] for _, entry in found] == ["2", "3", "1", "0"]
    assert found[0][1]["direct_response"] == {"status": 500}


def test_strategic_merge_by_key_and_directives() -> None:
    schema = BUILTIN["V1PodSpec"]
    live = {"containers": [{"name": "a", "image": "1"}, {"name": "b", "image": "1"}]}
    delta = {"containers": [{"name": "a", "image": "2"}, {"name": "b", "$patch": "delete"},
                            {"name": "c", "image": "3"}]}  # fmt: skip
    merged = patch.strategic_merge(schema, live, delta)
    assert merged == {"containers": [{"name": "a", "image": "2"}, {"name": "c", "image": "3"}]}


def test_schema_prunes_defaults_and_names_unknown_fields() -> None:
    inner = {"type": "object", "properties": {"n": {"type": "integer", "default": 3}}}
    schema = ObjectSchema({"properties": {"spec": {"type": "object", "properties": {
        "items": {"type": "array", "items": inner}}}}})  # fmt: skip
    value = {"spec": {"items": [{"x": 1}], "y": 2}}
    assert sorted(schema.unknown_fields(value)) == ["spec.items[0].x", "spec.y"]
    assert schema.default(schema.prune(value)) == {"spec": {"items": [{"n": 3}]}}
    (cause,) = schema.validate({"spec": {"items": [{"n": "three"}]}})
    assert cause["message"] == (
        'Invalid value: "string": spec.items[0].n in body must be of type integer: "string"'
    )


def test_builtin_schemas_are_current() -> None:
    """The generated file is what the installed client gives, for the kinds that are served."""
    assert set(generate.schemas()) == set(BUILTIN), "run python -m embedded.apiserver.generate"
    assert Registry().get("", "pods") is not None


@pytest.mark.parametrize(
    ("labels", "fields", "found"),
    [("a=1", "", True), ("a!=1", "", False), ("a in (1,2)", "", True), ("!b", "", True),
     ("b", "", False), ("", "metadata.name=x", True), ("", "status.phase!=Running", True)],
)  # fmt: skip
def test_label_and_field_selectors(labels: str, fields: str, found: bool) -> None:
    obj = {"metadata": {"name": "x", "labels": {"a": "1"}}, "status": {}}
    assert matcher(labels, fields)(obj) is found


def test_printer_column_paths() -> None:
    obj = {
        "status": {"conditions": [{"type": "A", "status": "True"}, {"type": "B", "status": "X"}]}
    }
    assert jsonpath(obj, '.status.conditions[?(@.type=="B")].status') == ["X"]
    assert jsonpath(obj, ".status.conditions[*].type") == ["A", "B"]
    assert jsonpath(obj, ".status.none") == []


@pytest.mark.parametrize(
    ("busy", "kind"),
    [(("127.251.0.1", 6443), socket.SOCK_STREAM), (("127.251.0.10", 10053), socket.SOCK_DGRAM)],
    ids=["api", "dns"],
)
def test_networks_are_exclusive_and_pass_over_a_busy_port(
    busy: tuple[str, int], kind: socket.SocketKind
) -> None:
    """As those of a cluster that is ending, or somebody else's."""

    def give_back(network: Network) -> None:
        for sock in (network.lock, network.api_socket, network.dns_socket):
            sock.close()

    with socket.socket(type=kind) as blocker:
        blocker.bind(busy)
        first = claim(251, 253)
        try:
            assert first.api == "127.252.0.1"
            with pytest.raises(EmbeddedError, match="no free network"):
                claim(251, 253)
        finally:
            give_back(first)
    again = claim(251, 253)
    assert again.api == "127.251.0.1"
    give_back(again)


@pytest.mark.parametrize(
    ("kustomization", "says"),
    [
        ("namePrefix: x-\n", "namePrefix: not rendered here"),
        ("resources: [none.yaml]\n", "none.yaml: No such file"),
        ("resources: [odd.yaml]\n", "an object without apiVersion, kind or metadata.name"),
        ("resources: [a.yaml, a.yaml]\n", "is there twice"),
        ("resources: [a.yaml]\npatches: [{target: {kind: Pod}, patch: '[]'}]\n", "no object"),
        ("resources: [a.yaml]\npatches: [{target: {kind: ConfigMap}, patch: "
         "'[{op: remove, path: /x}]'}]\n", "patch on"),
    ],
)  # fmt: skip
def test_wrong_kustomizations(tmp_path: Path, kustomization: str, says: str) -> None:
    (tmp_path / "kustomization.yaml").write_text(kustomization)
    (tmp_path / "a.yaml").write_text("{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}")
    (tmp_path / "odd.yaml").write_text("{kind: Pod}")
    with pytest.raises(ManifestError) as refused:
        render(tmp_path)
    assert says in str(refused.value)
