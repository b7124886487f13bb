"""What the maas-api stand-in lists of models, beside what was seen of the real one (a90e3dbd)."""

from __future__ import annotations

import httpx
import pytest

from embedded.images.maas import models
from tests.unit.maas import GATEWAY, HERE, Api, FakeKube, Object, model


def test_an_empty_listing() -> None:
    answer = Api(FakeKube()).listing()
    assert answer.content == b'{"data":null,"object":"list"}'
    assert answer.headers["content-type"] == "application/json; charset=utf-8"


def test_an_entry_is_what_the_model_says() -> None:
    """The first of its names; the others are aliases; details are annotations."""
    said = {"data": [{"id": "a", "created": 7, "object": "model", "owned_by": "vllm", "x": 1},
                     {"id": "b"}]}  # fmt: skip
    kube = FakeKube()
    kube.models = [model("m")]
    annotations = {"openshift.io/display-name": "M", "opendatahub.io/genai-use-case": ""}
    kube.models[0]["metadata"]["annotations"] = annotations
    listing = Api(kube, lambda _: httpx.Response(200, json=said)).listing()
    details = '"modelDetails":{"displayName":"M"},"aliases":["b"]'
    entry = '{"id":"a","created":7,"object":"model","owned_by":"vllm","url":"http://m.test/a",'
    assert listing.text == f'{{"data":[{entry}"ready":true,{details}}}],"object":"list"}}'


@pytest.mark.parametrize(
    ("answer", "named"),
    [(httpx.Response(405), "org/m"), (httpx.Response(200, json={"data": [{"id": "x"}]}), "x"),
     (httpx.Response(200, json={"data": []}), None), (httpx.Response(200, json={}), None)],
    ids=["405", "bare", "empty", "nothing"],
)  # fmt: skip
def test_what_a_model_does_not_say(answer: httpx.Response, named: str | None) -> None:
    """Its namespace owns it, since it was made."""
    kube = FakeKube()
    kube.models = [model("m")]
    data = Api(kube, lambda _: answer).listing().json()["data"]
    entry = {"object": "model", "owned_by": "llm", "created": 100, "url": "http://m.test/a"}
    assert data == ([{"id": named, **entry, "ready": True}] if named else None)


@pytest.mark.parametrize(
    ("change", "ready"),
    [({}, True), ({"observedGeneration": 1}, False), ({"observedGeneration": None}, False),
     ({"conditions": []}, False),
     ({"conditions": [{"type": "Ready", "status": "True"}, {"type": "A", "status": "Unknown"}]},
      False)],
    ids=["seen", "stale", "unseen", "unknown", "another"],
)  # fmt: skip
def test_readiness(change: Object, ready: bool) -> None:
    """Every condition, of the object as it is."""
    one = model("m")
    one["status"].update(change)
    assert models.is_ready(one) is ready
    one["metadata"]["deletionTimestamp"] = "1970-01-01T00:01:40Z"
    assert models.is_ready(one) is False


ADDRESSES = {
    "url": "http://last",
    "address": {"url": "http://single"},
    "addresses": [{"name": "x", "url": "http://other"}, {"name": "gateway-internal", "url": "http://in"},
                  {"name": "no-url"}, {"name": "Gateway-External", "url": "http://out/"}],
}  # fmt: skip
LATEST = ["http://out/", "http://in", "http://other", "http://last"]


@pytest.mark.parametrize(
    ("status", "attempts", "urls"),
    [(429, 4, LATEST), (400, 4, LATEST), (500, 4, LATEST), (304, 4, LATEST),
     (401, 1, LATEST), (403, 1, LATEST), (404, 1, LATEST), (405, 1, LATEST[:1])],
)  # fmt: skip
def test_attempts_at_each_address(
    monkeypatch: pytest.MonkeyPatch, status: int, attempts: int, urls: list[str]
) -> None:
    monkeypatch.setattr(models, "PAUSE_SECONDS", 0.0)
    seen: list[str] = []

    def backend(request: httpx.Request) -> httpx.Response:
        seen.append(str(request.url))
        return httpx.Response(status)

    kube = FakeKube()
    kube.models = [model("m", status=ADDRESSES)]
    Api(kube, backend).listing()
    wanted = [f"{url.rstrip('/')}/v1/models" for url in urls for _ in range(attempts)]
    assert seen == wanted


@pytest.mark.parametrize(
    ("status", "url"),
    [(ADDRESSES, "http://last"), ({**ADDRESSES, "url": ""}, "http://single"),
     ({"addresses": ADDRESSES["addresses"]}, "http://other"), ({}, None)],
    ids=["url", "address", "addresses", "none"],
)  # fmt: skip
def test_the_fork_asks_one_address(
    monkeypatch: pytest.MonkeyPatch, status: Object, url: str | None
) -> None:
    monkeypatch.setattr(models, "PAUSE_SECONDS", 0.0)
    seen: list[str] = []

    def backend(request: httpx.Request) -> httpx.Response:
        seen.append(str(request.url))
        raise httpx.ConnectError("nobody there")

    kube = FakeKube()
    kube.models = [model("m", status=status)]
    Api(kube, backend, fork=True).listing()
    assert seen == ([f"{url}/v1/models"] * 4 if url else [])


def test_pauses() -> None:
    """A tenth, a fifth, two fifths of a second, and up to a tenth more."""
    for attempt, least in ((1, 0.1), (2, 0.2), (3, 0.4)):
        found = [models.pause(attempt) for _ in range(50)]
        assert least <= min(found) <= max(found) <= least * 1.1
        assert len(set(found)) > 1


@pytest.mark.parametrize(
    ("router", "mine"),
    [
        ({"gateway": {"refs": [HERE]}}, True),
        ({"gateway": {"refs": [{"name": "the-gateway"}]}}, False),
        ({"gateway": {}}, False),
        ({"route": {}}, False),
        (None, False),
        ({"route": {"http": {}}}, True),  # the one with its labels
        ({"route": {"http": {"refs": [{"name": "to-it"}]}}}, True),
        ({"route": {"http": {"refs": [{"name": "elsewhere"}]}}}, False),
        ({"route": {"http": {"spec": {"parentRefs": [{"name": "the-gateway"}]}}}}, False),
        ({"route": {"http": {"spec": {"parentRefs": [HERE]}}}}, True),
    ],
    ids=["ref", "same-name", "no-refs", "no-http", "no-router", "managed", "route", "other-route",
         "spec-elsewhere", "spec"],
)  # fmt: skip
def test_whose_models(router: Object | None, mine: bool) -> None:
    def route(name: str, parent: Object, labels: Object) -> Object:
        metadata = {"name": name, "namespace": "llm", "labels": labels}
        return {"metadata": metadata, "spec": {"parentRefs": [parent]}}

    own = {"app.kubernetes.io/component": "llminferenceservice-router",
           "app.kubernetes.io/name": "m",
           "app.kubernetes.io/part-of": "llminferenceservice"}  # fmt: skip
    kube = FakeKube()
    kube.routes = [route("to-it", HERE, {}), route("its-own", HERE, own),
                   route("elsewhere", {"name": "the-gateway"}, own)]  # fmt: skip
    kube.models = [model("m", spec={"model": {"name": "m"}, "router": router})]
    data = Api(kube, lambda _: httpx.Response(405)).listing().json()["data"]
    assert bool(data) is mine


def test_a_gateway_without_namespace_is_the_models_own() -> None:
    refs = [{"name": "the-gateway"}]
    assert GATEWAY.is_parent(refs, "ingress")
    assert not GATEWAY.is_parent(refs, "llm")


@pytest.mark.parametrize(
    ("text", "found"),
    [("- {id: a, provider: x}\n- id: 5", [("a", "x"), ("5", "")]), ("[", None), ("a: b", None)],
)  # fmt: skip
def test_external_models(text: str, found: list[tuple[str, str]] | None) -> None:
    kube = FakeKube()
    path = "/api/v1/namespaces/maas/configmaps/external-model-registry"
    kube.objects[path] = {"data": {"models": text}}
    assert Api(kube).listing().json()["data"] is None
    data = Api(kube, fork=True).listing().json()["data"]
    assert (data and [(one["id"], one["owned_by"]) for one in data]) == found
