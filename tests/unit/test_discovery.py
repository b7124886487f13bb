"""What is told of a cluster on which something is missing, or there twice."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from kubernetes.client.exceptions import ApiException
from kubernetes.dynamic.exceptions import ResourceNotFoundError

from fixtures.clusters import ClusterError, Wanted
from fixtures.clusters.existing.discovery import Discovery, discover, proxy_of, refusal
from fixtures.clusters.existing.shared import mirrored
from fixtures.clusters.openshift import OpenShiftCluster
from fixtures.kube import Kube
from tests.unit.test_kubeconfig import config

Object = dict[str, Any]
SERVER = "https://api.example:6443"


def obj(kind: str, name: str, namespace: str = "", **more: Any) -> tuple[str, Object]:
    return kind, {"metadata": {"name": name, "namespace": namespace}, **more}


def done(kind: str) -> Object:
    return {"conditions": [{"type": kind, "status": "True"}]}


def gateway(namespace: str = "openshift-ingress", *names: str, **status: Any) -> tuple[str, Object]:
    listeners = [{"name": n, "hostname": "maas.example"} for n in names or ("http", "https")]
    told = {**done("Programmed"), "addresses": [{"value": "192.0.2.1"}], **status}
    return obj("Gateway", "maas-default-gateway", namespace,
               spec={"listeners": listeners}, status=told)  # fmt: skip


def maas_api(namespace: str = "opendatahub") -> tuple[str, Object]:
    return obj("Service", "maas-api", namespace, spec={"ports": [{"port": 8080}]})


def version(text: str) -> tuple[str, Object]:
    return obj("ClusterVersion", "version", status={"desired": {"version": text}})


WHOLE = {
    "class": obj("GatewayClass", "openshift-default", spec={"controllerName": "x"},
                 status=done("Accepted")),
    "gateway": gateway(),
    "maas-api": maas_api(),
    "kuadrant": obj("Kuadrant", "kuadrant", "kuadrant-system", status=done("Ready")),
    "kserve": obj("LLMInferenceService", "some", "llm"),
    "egress": obj("XBackendDestination", "some", "default"),
}  # fmt: skip


class FakeKube:
    """A cluster that serves the kinds of its objects, and these; `forbidden` kinds are refused."""

    def __init__(self, *objects: tuple[str, Object], forbidden: str = "") -> None:
        self._objects, self._forbidden = objects, forbidden

    def version(self) -> str:
        return "v1.34.0"

    def serves(self, _: str, kind: str) -> bool:
        return kind in {"Service", "ConfigMap", "Deployment"} | {k for k, _ in self._objects}

    def all(self, api: str, kind: str, _: str = "", __: Mapping[str, str] | None = None) -> Any:
        if kind == self._forbidden:
            error = ApiException(403, "Forbidden")
            error.body = json.dumps({"message": f"{kind}: not for you"})
            raise error
        if not self.serves(api, kind):
            raise ResourceNotFoundError(kind)
        return [found for k, found in self._objects if k == kind]

    def get(self, api: str, kind: str, namespace: str, name: str) -> Object | None:
        for one in self.all(api, kind):
            if (one["metadata"]["namespace"], one["metadata"]["name"]) == (namespace, name):
                return cast(Object, one)
        return None


def look(*more: tuple[str, Object], without: str = "", forbidden: str = "") -> Discovery:
    objects = [found for name, found in WHOLE.items() if name != without]
    return discover(cast(Kube, FakeKube(*objects, *more, forbidden=forbidden)), SERVER)


def problems(found: Discovery) -> dict[str, str]:
    return {one.what: one.problem for one in found.fatal}


def told(found: Discovery, what: str) -> tuple[str, str]:
    return next((one.found, one.problem) for one in found.findings if one.what == what)


def test_a_cluster_that_has_everything() -> None:
    found = look()
    assert problems(found) == {}
    place = "openshift-ingress/maas-default-gateway: maas.example at 192.0.2.1"
    assert told(found, "MaaS gateway") == (place, "")
    assert told(found, "maas-api") == ("opendatahub/maas-api:8080", "")


def test_a_later_generation_is_told() -> None:
    """Its API serves subscriptions, and no `/v1/tokens`: nothing that the documents say of tokens
    and tiers can be asked there."""
    found = look(obj("MaaSSubscription", "some", "models-as-a-service"))
    assert told(found, "maas-api")[0] == "opendatahub/maas-api:8080, with MaaSSubscription"
    assert "tokens (/v1/tokens) and tiers" in problems(found)["maas-api"]


@pytest.mark.parametrize(
    ("without", "what", "said"),
    [
        ("class", "Gateway API", "CRDs are not installed"),
        ("gateway", "MaaS gateway", "is MaaS installed?"),
        ("maas-api", "maas-api", "is MaaS installed?"),
        ("kuadrant", "Kuadrant", "install RHCL or Kuadrant"),
        ("kserve", "KServe", "is not installed"),
        ("egress", "wg-ai-gateway", "install its CRDs"),
    ],
)
def test_what_is_missing_is_named(without: str, what: str, said: str) -> None:
    found = problems(look(without=without))
    assert list(found) == [what]
    assert said in found[what]


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (gateway("elsewhere"), "one Gateway maas-default-gateway is wanted"),
        (gateway(conditions=[]), "one Gateway"),
    ],
)
def test_two_gateways(broken: tuple[str, Object], said: str) -> None:
    found = look(broken)
    assert said in problems(found)["MaaS gateway"]
    assert told(found, "MaaS gateway")[0].count("maas-default-gateway") == 2


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (gateway(conditions=[]), "not Programmed"),
        (gateway(addresses=[]), "has no address"),
        (gateway("openshift-ingress", "web"), "it has web"),
    ],
)
def test_a_gateway_that_does_not_serve(broken: tuple[str, Object], said: str) -> None:
    assert said in problems(look(broken, without="gateway"))["MaaS gateway"]


def test_two_maas() -> None:
    found = look(maas_api("redhat-ods-applications"))
    assert "one Service maas-api is wanted" in problems(found)["maas-api"]
    shown = "opendatahub/maas-api:8080, redhat-ods-applications/maas-api:8080"
    assert told(found, "maas-api")[0] == shown


def test_namespaces_that_are_called_otherwise() -> None:
    found = look(maas_api("redhat-ods-applications"), without="maas-api")
    assert problems(found) == {}
    assert found.places == {
        "opendatahub": "redhat-ods-applications",
        "openshift-ingress": "openshift-ingress",
        "kuadrant-system": "kuadrant-system",
    }


@pytest.mark.parametrize(("address", "aws"), [("x.elb.amazonaws.com", True), ("192.0.2.1", False)])
def test_whose_load_balancer_it_is(address: str, aws: bool) -> None:
    found = look(gateway(addresses=[{"value": address}]), without="gateway")
    assert found.aws is aws


def test_what_may_not_be_looked_at_is_told() -> None:
    found = look(forbidden="GatewayClass")
    assert told(found, "GatewayClass")[1] == "the login may not look: GatewayClass: not for you"
    assert list(problems(look(forbidden="Kuadrant"))) == ["Kuadrant"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("4.20.1", ""),
        ("4.18.5", "the documents want 4.19.9 or later"),
        ("4.17.0-rc.1", "the documents want 4.18 and 4.19.9 or later"),
    ],
)
def test_openshifts_age(text: str, said: str) -> None:
    assert told(look(version(text)), "OpenShift") == (text, said)


@pytest.mark.parametrize(
    ("env", "proxy"),
    [
        ({}, ""),
        ({"HTTPS_PROXY": "http://me:secret@proxy:3128"}, "http://proxy:3128"),
        ({"https_proxy": "http://proxy"}, "http://proxy"),
        ({"HTTPS_PROXY": "http://proxy", "NO_PROXY": "localhost,.example"}, ""),
        ({"HTTPS_PROXY": "http://proxy", "no_proxy": "*"}, ""),
        ({"HTTPS_PROXY": "http://proxy", "NO_PROXY": "ample"}, "http://proxy"),
    ],
)
def test_the_proxy_is_told_without_its_password(env: dict[str, str], proxy: str) -> None:
    assert proxy_of(env, SERVER) == proxy


def test_an_expired_login() -> None:
    said = str(refusal(ApiException(401, "Unauthorized"), "dev", SERVER))
    assert said == (
        f"context dev: the login at {SERVER} has expired or is unknown there: log in again "
        f"(`oc login {SERVER}`)"
    )


def openshift(folder: Path, monkeypatch: pytest.MonkeyPatch, made: Object) -> OpenShiftCluster:
    path = folder / "config"
    path.write_text(yaml.safe_dump(made))
    monkeypatch.setenv("KUBECONFIG", str(path))
    return OpenShiftCluster(Wanted())


def test_a_build_is_deployed_in_upstreams_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--image=NAME=REFERENCE`: what is deployed is pulled from there, and nothing else is."""
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(config("a", current="a")))
    monkeypatch.setenv("KUBECONFIG", str(path))
    pods = ({"image": "quay.io/a/b:v1"}, {"image": "quay.io/a/c:v1"})
    mirrors = {"quay.io": "m.test/quay"}
    with contextlib.closing(OpenShiftCluster(
        Wanted(images=("quay.io/a/b=m.test/mine:dev",), deploys=pods, mirrors=mirrors)
    )) as cluster:  # fmt: skip
        chosen = cluster._wanted.mirrors
    assert [mirrored(one, chosen)["image"] for one in pods] == [
        "m.test/mine:dev", "m.test/quay/a/c:v1",
    ]  # fmt: skip


def test_an_api_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:  # bound, and not listening
        taken.bind(("127.0.0.1", 0))
        server = f"https://127.0.0.1:{taken.getsockname()[1]}"
        made = config("a", current="a")
        made["clusters"][0]["cluster"]["server"] = server
        cluster = openshift(tmp_path, monkeypatch, made)
        with pytest.raises(ClusterError, match=f"{server} does not answer: .*refused") as raised:
            cluster.__enter__()
    assert "\n" not in str(raised.value)
