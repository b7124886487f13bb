"""Other controllers write into the same statuses: nobody dies of that, and nobody waits for it."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from embedded.gatewayapi.backends import Backends
from embedded.images.kserve import llmisvc_controller
from embedded.images.kuadrant import kuadrant_operator
from embedded.images.openshift import envoy_gateway
from embedded.images.wg_ai_gateway import envoy_controller
from embedded.running import ready
from embedded.shared.kube import path_of, settle_times
from tests.unit.reconciling import Object, Writes, gateway, gateway_class, made, reconciled, route

OPENSHIFT, EGRESS = "openshift.io/gateway-controller/v1", envoy_controller.Controller.name
MODEL = "facebook-opt"
YES = {"status": "True", "reason": "Said", "message": "", "lastTransitionTime": "2026-01-01"}
PROGRAMMED = [{"type": "Accepted", **YES}, {"type": "Programmed", **YES}]
STRANGER = {"controllerName": "example.com/stranger", "parentRef": {"name": "gw"}}
# What the real wg-ai-gateway controller writes, and what else Gateway API lets one write.
GATEWAY_STATUSES: dict[str, Any] = {
    "none": {},
    "null": None,
    "null-fields": {"conditions": None, "listeners": None, "addresses": None},
    "no-observed-generation": {"conditions": PROGRAMMED},
    "listener-without-conditions": {"listeners": [{"name": "http"}], "conditions": PROGRAMMED},
    "foreign-types": {"conditions": [{"type": "example.com/Liked", "status": "Unknown"}]},
    "condition-without-a-type": {"conditions": [{"status": "True"}]},
}
ROUTE_STATUSES: dict[str, Any] = {
    "none": {},
    "null": None,
    "null-parents": {"parents": None},
    "entry-without-conditions": {"parents": [STRANGER]},
    "entry-with-null-conditions": {"parents": [{**STRANGER, "conditions": None}]},
    "entry-without-a-name": {"parents": [{"parentRef": {"name": "gw"}, "conditions": PROGRAMMED}]},
    "entry-without-a-parent": {"parents": [{**STRANGER, "parentRef": None}]},
    "foreign-types": {"parents": [{**STRANGER, "conditions": [{"type": "x.io/Y", **YES}]}]},
}
POLICY = {
    "targetRef": {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "gw"},
    "limits": {"few": {"rates": [{"limit": 1, "window": "1m"}]}},
}


def openshift(kube: Any) -> Any:
    return envoy_gateway.Controller(kube, "envoy", "shim")


def egress(kube: Any) -> Any:
    return envoy_controller.Controller(kube, "envoy")


def kuadrant(kube: Any) -> Any:
    return kuadrant_operator.Operator(kube, "kuadrant-system", {"auth": "1s", "limit": "1s"})


def kserve(kube: Any) -> Any:
    return llmisvc_controller.Controller(kube)


CONTROLLERS = {
    "openshift": (openshift, "openshift-default", OPENSHIFT),
    "egress": (egress, "wg-ai-gateway", EGRESS),
    "kuadrant": (kuadrant, "openshift-default", OPENSHIFT),
}


def looked_at(which: str, monkeypatch: pytest.MonkeyPatch, **statuses: Any) -> Writes:
    """A Gateway, a route and a policy with these statuses, as one of our controllers sees them."""
    monkeypatch.setenv("POD_NAMESPACE", "here")
    make, of_class, controller = CONTROLLERS[which]
    objects = {
        "gatewayclasses": [gateway_class(of_class, controller)],
        "gateways": [gateway("gw", of_class, status=statuses.get("gateway", {}))],
        "httproutes": [route("r", "gw", status=statuses.get("route", {}))],
    }
    if which == "kuadrant":
        policy = {"spec": POLICY, "status": statuses.get("policy", {})}
        objects["ratelimitpolicies"] = [made("RateLimitPolicy", "p", **policy)]
    return reconciled(make(Writes()), **objects)


@pytest.mark.parametrize("status", GATEWAY_STATUSES)
@pytest.mark.parametrize("which", CONTROLLERS)
def test_whatever_a_gateway_says(which: str, status: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Observed beside the real wg-ai-gateway controller: ours died of KeyError."""
    looked_at(which, monkeypatch, gateway=GATEWAY_STATUSES[status])


@pytest.mark.parametrize("status", ROUTE_STATUSES)
@pytest.mark.parametrize("which", CONTROLLERS)
def test_whatever_a_route_says(which: str, status: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What others wrote stays, beside our own word."""
    written = looked_at(which, monkeypatch, route=ROUTE_STATUSES[status])
    before = (ROUTE_STATUSES[status] or {}).get("parents") or []
    if ("httproutes", "r") in written.statuses:
        parents = written.statuses["httproutes", "r"]["parents"]
        assert parents[: len(before)] == before


@pytest.mark.parametrize("status", GATEWAY_STATUSES)
def test_whatever_a_policy_says(status: str, monkeypatch: pytest.MonkeyPatch) -> None:
    said = GATEWAY_STATUSES[status] and {
        **GATEWAY_STATUSES[status], "conditions": [{"type": "Enforced", **YES}]
    }  # fmt: skip
    accepted = {"parents": [{**STRANGER, "conditions": PROGRAMMED}]}
    written = looked_at("kuadrant", monkeypatch, policy=said, route=accepted)
    assert written.statuses["ratelimitpolicies", "p"]["conditions"]


def test_a_foreign_word_is_none_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programmed, by somebody who does not say of which generation: our Envoy has nothing yet."""
    written = looked_at("openshift", monkeypatch, gateway={"conditions": PROGRAMMED})
    conditions = written.statuses["gateways", "gw"]["conditions"]
    assert [c["status"] for c in conditions if c["type"] == "Programmed"] == ["False"]


@pytest.mark.parametrize(
    ("entries", "routed"),
    [
        ([{**STRANGER, "conditions": None}], "False"),
        ([{"parentRef": {"name": "gw", "namespace": "gws"}, "conditions": PROGRAMMED},
          {**STRANGER, "conditions": [{"type": "Accepted", **YES, "status": "False"}]}], "True"),
        ([], "False"),
    ],
    ids=["no conditions", "a stranger refuses", "nothing"],
)  # fmt: skip
def test_a_model_is_routed_where_its_gateway_accepts(entries: list[Object], routed: str) -> None:
    spec = {"model": {}, "router": {"route": {}, "gateway": {"refs": [
        {"name": "gw", "namespace": "gws"}]}}}  # fmt: skip
    owned = made("HTTPRoute", f"{MODEL}-kserve-route", status={"parents": entries},
                 spec={"parentRefs": [{"name": "gw", "namespace": "gws"}]})  # fmt: skip
    models = [made("LLMInferenceService", MODEL, spec=spec)]
    written = reconciled(kserve(Writes()), llminferenceservices=models, httproutes=[owned])
    conditions = written.statuses["llminferenceservices", MODEL]["conditions"]
    assert [c["status"] for c in conditions if c["type"] == "RouterReady"] == [routed]


@pytest.mark.parametrize("conditions", [{}, {"conditions": None}, {"conditions": {"ready": None}}])
def test_an_endpoint_that_says_nothing_is_ready(conditions: Object) -> None:
    """`conditions.ready` of discovery/v1: unknown is to be taken for ready."""
    found = made("EndpointSlice", "s", ports=[{"port": 80}],
                 endpoints=[{"addresses": ["10.0.0.1"], **conditions}])  # fmt: skip
    found["metadata"]["labels"] = {"kubernetes.io/service-name": "web"}
    backends = Backends([], [found], [], [])
    assert backends._endpoints("default", "web", "") == [("10.0.0.1", 10080)]


def test_times_of_conditions_that_say_less_than_ours() -> None:
    """They have no type, no time or no status; what is right of them is kept."""
    now = {"status": "True", "lastTransitionTime": "now"}
    new = {"conditions": [{"type": "A", **now}, {"type": "B", **now}]}
    settle_times(new, {"conditions": [{}, {"type": "A", "status": "True"},
                                      {"type": "B", **YES}]})  # fmt: skip
    assert [c["lastTransitionTime"] for c in new["conditions"]] == ["now", "2026-01-01"]


# -- readiness --------------------------------------------------------------------------


def client(**objects: list[Object]) -> httpx.Client:
    """An API that serves these; the keywords are plurals."""
    known = [*ready.CONDITIONS, ready._CLASSES, ready._ROUTES, ready._REPLICA_SETS]
    paths = {path_of(r): objects.get(r.rpartition("/")[2], []) for r in known}

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"items": paths[request.url.path]})

    return httpx.Client(base_url="http://api", transport=httpx.MockTransport(answer))


CLASSES = [gateway_class("openshift-default", OPENSHIFT), gateway_class("wg-ai-gateway", EGRESS)]
OWN = {"controllerName": OPENSHIFT, "parentRef": {"name": "gw"}}
GOOD = [{"type": "Accepted", **YES}, {"type": "ResolvedRefs", **YES}]
BAD = [GOOD[0], {**GOOD[1], "status": "False", "message": "no port 8080"}]


def lacking(entries: Any, said: dict[Any, Any] | None = None) -> list[str]:
    one = gateway("gw", "openshift-default", status={"conditions": PROGRAMMED})
    named = [route("r", "gw", status={"parents": entries})]
    api = client(gatewayclasses=CLASSES, gateways=[one], httproutes=named)
    return ready._missing(api, {} if said is None else said)


@pytest.mark.parametrize(
    ("entries", "lacks"),
    [
        ([{**OWN, "conditions": GOOD}], []),
        ([{**OWN, "conditions": GOOD}, {**STRANGER, "controllerName": EGRESS, "conditions": BAD}],
         []),
        ([{**OWN, "conditions": GOOD}, {**STRANGER, "conditions": None}, STRANGER], []),
        ([{**OWN, "conditions": BAD}, {**STRANGER, "conditions": GOOD}],
         ["ResolvedRefs=False no port 8080"]),
        ([{**STRANGER, "conditions": GOOD}],
         [f"no word of {OPENSHIFT} for Gateway gw yet"]),
        ([{**OWN, "parentRef": {"name": "gw", "sectionName": "s"}, "conditions": GOOD}],
         [f"no word of {OPENSHIFT} for Gateway gw yet"]),
        ([{**OWN}], ["no condition Accepted yet", "no condition ResolvedRefs yet"]),
        (None, [f"no word of {OPENSHIFT} for Gateway gw yet"]),
    ],
    ids=["good", "a stranger refuses", "strangers without conditions", "its own refuses",
         "a stranger alone", "another listener", "no conditions", "null"],
)  # fmt: skip
def test_a_route_is_ready_when_its_gateways_controller_says_so(
    entries: Any, lacks: list[str]
) -> None:
    assert lacking(entries) == [f"httproutes/r in default: {text}" for text in lacks]


def test_what_a_controller_said_holds_when_another_overwrites_it() -> None:
    """wg-ai-gateway replaces the whole list, and the other writes its entry again, for ever."""
    said: dict[Any, Any] = {}
    assert lacking([{**OWN, "conditions": GOOD}], said) == []
    assert lacking([{**STRANGER, "conditions": GOOD}], said) == []
    assert lacking([{**OWN, "conditions": BAD}], said) != []


def of(owner: Object) -> dict[str, Any]:
    return {"ownerReferences": [{"kind": owner["kind"], "uid": owner["metadata"]["uid"]}]}


def proxies(of_class: str, label: dict[str, str]) -> list[str]:
    """What is missing where a Gateway's Deployment and its Pod are not ready."""
    one = gateway("gw", of_class, status={"conditions": PROGRAMMED})
    deployment, replicas, pod = made("Deployment", "d"), made("ReplicaSet", "rs"), made("Pod", "p")
    deployment["metadata"] |= {**of(one), "labels": label}
    replicas["metadata"] |= of(deployment)
    pod["metadata"] |= of(replicas)
    api = client(gatewayclasses=CLASSES, gateways=[one], deployments=[deployment],
                 replicasets=[replicas], pods=[pod])  # fmt: skip
    return ready._missing(api, {})


@pytest.mark.parametrize(
    ("of_class", "label", "counts"),
    [
        (
            "openshift-default",
            {"aigateway.networking.k8s.io/managed": EGRESS.replace("/", "-")},
            False,
        ),
        ("wg-ai-gateway", {"aigateway.networking.k8s.io/managed": EGRESS.replace("/", "-")}, True),
        ("openshift-default", {}, True),
        ("openshift-default", {"gateway.istio.io/managed": "istio.io-mesh-controller"}, True),
    ],
    ids=["a stranger's", "its own", "without a word", "by nobody known"],
)
def test_what_a_foreign_controller_deploys_holds_nothing_up(
    of_class: str, label: dict[str, str], counts: bool
) -> None:
    """Observed: `envoy-<namespace>-<name>` for Gateways of another class, never ready."""
    lacks = ["deployments/d in default: no condition Available yet",
             "pods/p in default: no condition Ready yet"]  # fmt: skip
    assert proxies(of_class, label) == (lacks if counts else [])
