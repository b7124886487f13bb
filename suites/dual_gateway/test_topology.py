"""What the integration manifests become, and what the two disputed ones are good for."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from fixtures.grants import granted
from fixtures.kube import Kube
from fixtures.objects import conditions, existing
from fixtures.requirements import requirement
from fixtures.stack import AUDIENCE, CHAT, Identity, Stack
from fixtures.verdicts import Decision
from fixtures.waiting import ENFORCED_SECONDS, until
from suites.dual_gateway.variants import GATEWAY_API, KUADRANT, Variants, policy_of
from suites.dual_gateway.vsr import HELLO, NAMESPACE, PORT, ROUTE, SERVICE, Vsr

Object = dict[str, Any]
MAAS = {"name": "maas-default-gateway", "namespace": "openshift-ingress"}


@requirement("DG-26")
def test_route(kube: Kube, stack: Stack) -> None:
    """As printed, and accepted by the MaaS gateway."""
    route = existing(kube, GATEWAY_API, "HTTPRoute", NAMESPACE, ROUTE)
    (parent,) = route["spec"]["parentRefs"]
    assert MAAS.items() <= parent.items()
    assert route["spec"]["hostnames"] == [stack.https.base_url.host]
    (rule,) = route["spec"]["rules"]
    assert rule["matches"] == [{"path": {"type": "PathPrefix", "value": "/v1/chat"}}]
    (filter_,) = rule["filters"]
    removed = ["x-vsr-destination-endpoint", "x-selected-model"]
    assert filter_ == {
        "type": "RequestHeaderModifier",
        "requestHeaderModifier": {"remove": removed},
    }
    (backend,) = rule["backendRefs"]
    assert (backend["name"], backend["port"]) == (SERVICE, PORT)
    (status,) = route["status"]["parents"]
    assert conditions(status) == {"Accepted": "True", "ResolvedRefs": "True"}


@requirement("DG-27")
def test_auth_policy(kube: Kube) -> None:
    """On the route, in force, for the audience of the MaaS gateway."""
    policy = existing(kube, KUADRANT, "AuthPolicy", NAMESPACE, "vsr-interim-auth-policy")
    target = policy["spec"]["targetRef"]
    assert (target["kind"], target["name"]) == ("HTTPRoute", ROUTE)
    (rule,) = policy["spec"]["rules"]["authentication"].values()
    assert rule["kubernetesTokenReview"] == {"audiences": [AUDIENCE]}
    assert conditions(policy["status"]) == {"Accepted": "True", "Enforced": "True"}


@requirement("DG-25")
@pytest.mark.parametrize("name", ["model-a", "model-b"])
def test_model_is_ready(kube: Kube, name: str) -> None:
    """`oc get llminferenceservices`."""
    model = existing(kube, "serving.kserve.io/v1alpha1", "LLMInferenceService", NAMESPACE, name)
    assert conditions(model["status"])["Ready"] == "True"


@requirement("DG-25")
@pytest.mark.parametrize(
    ("labels", "containers"),
    [
        ({"app.kubernetes.io/name": "model-a"}, ["main"]),
        ({"app.kubernetes.io/name": "model-b"}, ["main"]),
        ({"app": "semantic-router"}, ["envoy-proxy", "semantic-router"]),
    ],
    ids=["model-a", "model-b", "router"],
)
def test_pods_are_running(kube: Kube, labels: dict[str, str], containers: list[str]) -> None:
    """`oc get pods`: at least one, Running, every container ready."""
    pods = [
        pod
        for pod in kube.all("v1", "Pod", NAMESPACE)
        if labels.items() <= pod["metadata"].get("labels", {}).items()
    ]
    assert pods
    for pod in pods:
        assert pod["status"]["phase"] == "Running"
        found = sorted(c["name"] for c in pod["status"]["containerStatuses"] if c["ready"])
        assert found == containers


# -- references across namespaces ---------------------------------------------------------------


@pytest.fixture
def namespace(kube: Kube) -> Iterator[str]:
    """A new namespace, which no grant names."""
    name = f"conformance-{uuid.uuid4().hex[:8]}"
    kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    yield name
    kube.delete("v1", "Namespace", "", name)


def route_to_vsr(namespace: str, name: str) -> Object:
    """A route of another namespace to vSR's Service, for /<namespace>/<name>."""
    match = {"path": {"type": "PathPrefix", "value": f"/{namespace}/{name}"}}
    backend = {"name": SERVICE, "namespace": NAMESPACE, "port": PORT}
    rules = [{"matches": [match], "backendRefs": [backend]}]
    return {
        "apiVersion": GATEWAY_API,
        "kind": "HTTPRoute",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"parentRefs": [MAAS], "rules": rules},
    }


def resolved(kube: Kube, namespace: str, name: str) -> tuple[str, str]:
    """(status, reason) of ResolvedRefs, once there is one."""

    def look() -> tuple[str, str]:
        route = existing(kube, GATEWAY_API, "HTTPRoute", namespace, name)
        for parent in route.get("status", {}).get("parents", []):
            for c in parent["conditions"]:
                if c["type"] == "ResolvedRefs":
                    return c["status"], c["reason"]
        return "", ""

    return until(f"a status of route {name}", look, lambda seen: seen != ("", ""), ENFORCED_SECONDS)


@requirement("DG-28")
def test_grant_admits_the_gateways_namespace(kube: Kube) -> None:
    """A route of openshift-ingress may refer to vSR's Service."""
    name = f"conformance-{uuid.uuid4().hex[:8]}"
    kube.apply(route_to_vsr(MAAS["namespace"], name))
    try:
        assert resolved(kube, MAAS["namespace"], name) == ("True", "ResolvedRefs")
    finally:
        kube.delete(GATEWAY_API, "HTTPRoute", MAAS["namespace"], name)


@requirement("DG-28")
def test_grant_admits_nobody_else(
    kube: Kube, stack: Stack, namespace: str, outsider: Identity
) -> None:
    """A route of another namespace does not resolve; who may use it gets 500."""
    kube.apply(route_to_vsr(namespace, "guest"))
    assert resolved(kube, namespace, "guest") == ("False", "RefNotPermitted")
    body = {"model": "auto", "messages": [{"role": "user", "content": HELLO}]}
    path = f"/{namespace}/guest{CHAT}"
    with granted(kube, outsider, namespace, ["guest"]):
        exchange = until(
            "the route to be programmed",
            lambda: stack.send("POST", path, outsider, body),
            lambda seen: seen.status != 404,
            ENFORCED_SECONDS,
        )
    exchange.expect_status(500).expect_no_backend().expect_no_inner()


@requirement("DG-41")
def test_whether_the_grant_is_needed(variants: Variants, alice: Identity, decide: Decision) -> None:
    """A second Service for the same router, in its namespace, that no grant names."""
    name = f"spare-{uuid.uuid4().hex[:8]}"
    variants.service(name, {"app": "semantic-router"})
    seen = variants.make(policy_of("document"), name).ask(alice).status
    decide({200: "not_needed", 500: "needed"}.get(seen, str(seen)))


@requirement("DG-42")
def test_which_listeners_have_the_route(vsr: Vsr, alice: Identity, decide: Decision) -> None:
    """On https it is; is it on http?"""
    body = {"model": "auto", "messages": [{"role": "user", "content": HELLO}]}
    vsr.send("POST", CHAT, alice, body).expect_status(200)
    plain = vsr.send("POST", CHAT, alice, body, tls=False).status
    decide({200: "every_listener", 404: "https_only"}.get(plain, str(plain)))
