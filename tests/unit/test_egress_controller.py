"""The stand-in of wg-ai-gateway's controller follows the real one: what it says and configures.

Each case was observed on the real one, built from its sources and run beside the stand-in with the
same objects, if it does not say otherwise.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from embedded.images.wg_ai_gateway import envoy_controller
from embedded.images.wg_ai_gateway.envoy_controller import (
    DEMO,
    MANAGED,
    MENDED,
    UPSTREAM,
    Controller,
    NilListenerStatusError,
)
from embedded.shared.xds import LISTENER, ROUTES
from tests.unit.egress import CLASSES, Seen, ref, rule
from tests.unit.reconciling import HOST, Object, Writes, gateway, reconciled, route


@pytest.fixture(autouse=True)
def pod(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POD_NAMESPACE", "ai-gateway-system")


# -- routes -----------------------------------------------------------------------------

SLASH = {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}}
V1 = {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/v1"}}
FULL = {"path": {"type": "ReplaceFullPath", "replaceFullPath": "/v1/models"}, "hostname": "h.test"}
ALONE = {"hostname": "h.test"}


@pytest.mark.parametrize(
    ("rewrite", "match", "action"),
    [
        (None, {"path_separated_prefix": "/a"}, {}),
        (SLASH, {"prefix": "/a/"}, {"prefix_rewrite": "/"}),
        (V1, {"prefix": "/a/"}, {"prefix_rewrite": "/v1"}),
        (ALONE, {"path_separated_prefix": "/a"}, {}),
        (FULL, {"path_separated_prefix": "/a"},
         {"regex_rewrite": {"pattern": {"regex": ".*"}, "substitution": "/v1/models"},
          "host_rewrite_literal": "h.test"}),
    ],
    ids=["none", "to a slash", "to another prefix", "of the host alone", "of the whole path"],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/a", "/a/"])
def test_rewrites(path: str, rewrite: Object | None, match: Object, action: Object) -> None:
    """A prefix that is rewritten wants a slash behind it: bare, it is 404; a host name alone is
    not rewritten."""
    (made_,) = Seen(rule(ref(), path=path, rewrite=rewrite)).routes
    assert made_["match"] == match
    clusters = made_["route"].pop("weighted_clusters")["clusters"]
    assert clusters == [{"name": "default-good-8000", "weight": 1, "host_rewrite_literal": HOST}]
    assert made_["route"] == action  # no timeout: Envoy's own 15 s


def test_methods_and_expressions_are_not_looked_at() -> None:
    queries = [{"type": "RegularExpression", "name": "q", "value": "b.*"}]
    (made_,) = Seen(rule(ref(), method="POST", queryParams=queries)).routes
    exact = {"name": "q", "string_match": {"exact": "b.*"}}
    assert made_["match"] == {"path_separated_prefix": "/a", "query_parameters": [exact]}


def test_which_route_goes_first() -> None:
    """The whole path, then the longer; of the same length, the one with more conditions."""
    header = {"headers": [{"name": "h", "value": "v"}]}
    exact = {"matches": [{"path": {"type": "Exact", "value": "/e"}}], "backendRefs": [ref()]}
    rules = [rule(ref(), path="/"), rule(ref()), rule(ref(), **header), rule(ref(), path="/a/b"),
             exact]  # fmt: skip
    found = Seen(*rules).routes
    assert [one["name"][len("default-r-rule")] for one in found] == ["4", "3", "2", "1", "0"]


def test_a_host_name_is_matched_without_a_port() -> None:
    routes = [route("r", "gw", rule(ref()))]
    routes[0]["spec"]["hostnames"] = ["a.example"]
    (config,) = Seen(httproutes=routes).resource(ROUTES)
    (host,) = config["virtual_hosts"]
    assert (host["name"], host["domains"]) == ("gw-vh-80-a.example", ["a.example"])


def test_a_redirect_is_one_that_envoy_refuses() -> None:
    """Its code by number, where Envoy counts them from 0; so nothing of that listener changes."""
    redirect = {"type": "RequestRedirect", "requestRedirect": {"scheme": "https"}}
    seen = Seen({"filters": [redirect]})
    assert seen.routes[0]["redirect"]["response_code"] == 302
    assert seen.resolved == ("True", "ResolvedRefs")


# -- the Gateway ------------------------------------------------------------------------


@pytest.mark.parametrize("acked", [(True, ""), (False, "refused"), (False, "")])
def test_what_a_gateway_says(acked: tuple[bool, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Accepted and Programmed, of no generation, no addresses and no listeners; also when Envoy
    refused its configuration, and nothing before that runs."""
    monkeypatch.setattr(Controller, "__init__", with_state(acked))
    controller = Controller(Writes(), "envoy")  # type: ignore[arg-type]
    status = {"conditions": [{"type": "example.com/Liked", "status": "True"}]}
    mine = gateway("gw", "wg-ai-gateway", status=status)
    written = reconciled(controller, gatewayclasses=CLASSES, gateways=[mine]).statuses
    assert acked == (False, "") or ("gateways", "gw") in written
    if ("gateways", "gw") not in written:
        return
    said = written["gateways", "gw"]
    assert said.keys() == {"conditions", "listeners"}
    assert said["listeners"] is None
    states = [(c["type"], c["status"]) for c in said["conditions"]]
    assert states == [("Accepted", "True"), ("Programmed", "True"), ("example.com/Liked", "True")]
    assert not any("observedGeneration" in c for c in said["conditions"])


def with_state(acked: tuple[bool, str]) -> Any:
    right = Controller.__init__

    def init(self: Any, *arguments: Any) -> None:
        right(self, *arguments)
        self.ads.state = lambda _: acked

    return init


def named(name: str, namespace: str) -> Object:
    listeners = [{"name": "a.b", "port": 80, "protocol": "HTTP", "hostname": "a.test"},
                 {"name": "c", "port": 80, "protocol": "HTTP", "hostname": "b.test"},
                 {"name": "d", "port": 8443, "protocol": "HTTPS"}]  # fmt: skip
    found = gateway(name, "wg-ai-gateway", *listeners)
    found["metadata"]["namespace"] = namespace
    return found


@pytest.mark.parametrize(
    ("namespace", "expected"), [("default", "envoy-gw"), ("egress", "envoy-egress-gw")]
)
def test_what_a_gateway_owns(namespace: str, expected: str) -> None:
    """Names, the managed label, an owner that is no controller, ports called as the listeners."""
    written = Seen(httproutes=[], gateways=[named("gw", namespace)]).writes
    kinds = ("configmaps", "serviceaccounts", "services", "deployments")
    assert {(k, namespace, expected) for k in kinds} == written.applied.keys()
    for body in written.applied.values():
        metadata = body["metadata"]
        assert metadata["labels"] == {MANAGED: Controller.name.replace("/", "-")}
        (owner,) = metadata["ownerReferences"]
        assert (owner["uid"], "controller" in owner) == ("uid-default-gw", False)
    service = written.applied["services", namespace, expected]["spec"]
    assert service["type"] == "LoadBalancer"
    assert service["selector"] == {"app": expected}
    ports = [(p["name"], p["port"], p["targetPort"], p["appProtocol"]) for p in service["ports"]]
    assert ports == [("a-b", 80, 10080, "http"), ("d", 8443, 8443, "https")]
    template = written.applied["deployments", namespace, expected]["spec"]["template"]
    assert template["metadata"]["labels"] == {"app": expected}


def test_what_envoy_does_with_connections() -> None:
    """Its own text log, no request id in answers, and upstream's times."""
    (listener,) = Seen(rule(ref())).resource(LISTENER)
    assert (listener["name"], listener["address"]["socket_address"]["port_value"]) == (
        "listener-80", 10080
    )  # fmt: skip
    assert [one["name"] for one in listener["listener_filters"]] == [
        "envoy.filters.listener.tls_inspector"
    ]
    (manager,) = [chain["filters"][0]["typed_config"] for chain in listener["filter_chains"]]
    (log,) = manager.pop("access_log")
    assert "log_format" not in log["typed_config"]
    assert manager.pop("http_filters")
    assert manager.pop("rds")["route_config_name"] == "listener_http_routes"
    del manager["@type"]
    assert manager == {
        "stat_prefix": "gateway_gw_listener_http",
        "request_timeout": "60s",
        "stream_idle_timeout": "15s",
        "drain_timeout": "15s",
    }


def test_https_has_no_certificate_and_http_listeners_of_a_port_no_difference() -> None:
    """Envoy refuses both; the Gateway is Programmed all the same."""
    found = Seen(rule(ref()), gateways=[named("gw", "default")]).resource(LISTENER)
    plain, secure = (one["filter_chains"] for one in found)
    assert [chain.get("filter_chain_match") for chain in plain] == [None, None]
    context = secure[0]["transport_socket"]["typed_config"]
    assert context.keys() == {"@type"}


# -- generations ------------------------------------------------------------------------

OTHERS = {"parentRef": {"name": "theirs"}, "controllerName": "openshift.io/gateway-controller/v1"}


def beside(generation: str) -> Seen:
    """A Gateway of another class, which a route names; its controller has had its say."""
    status = {"parents": [OTHERS]}
    routes = [route("r", "gw", rule(ref())), route("t", "theirs", rule(ref()), status=status)]
    gateways = [gateway("gw", "wg-ai-gateway"), gateway("theirs", "openshift-default"),
                gateway("unnamed", "openshift-default")]  # fmt: skip
    return Seen(generation=generation, httproutes=routes, gateways=gateways)


@pytest.mark.parametrize("generation", [DEMO, MENDED])
def test_gateways_of_its_class_alone(generation: str) -> None:
    seen = beside(generation)
    assert {name for _, _, name in seen.writes.applied} == {"envoy-gw"}
    assert seen.writes.statuses.keys() == {
        ("gatewayclasses", "wg-ai-gateway"), ("gateways", "gw"), ("httproutes", "r")
    }  # fmt: skip


def test_upstream_takes_every_gateway_that_a_route_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """With an Envoy beside its own, its status, and the routes' whole `parents`; one at a time."""
    now = [100.0]
    monkeypatch.setattr(envoy_controller.time, "monotonic", lambda: now[0])
    seen = beside(UPSTREAM)
    assert {name for _, _, name in seen.writes.applied} == {"envoy-gw", "envoy-theirs"}
    service = seen.writes.applied["services", "default", "envoy-theirs"]
    assert service["spec"]["type"] == "LoadBalancer"
    contested = {("gateways", "theirs"), ("httproutes", "t")}
    struck = contested & seen.writes.statuses.keys()
    assert len(struck) == 1
    reconciled(seen.controller)  # at once: nothing more
    assert contested & seen.writes.statuses.keys() == struck
    now[0] += 0.6
    reconciled(seen.controller)
    assert contested <= seen.writes.statuses.keys()
    (entry,) = seen.status("httproutes", "t")["parents"]
    assert entry["controllerName"] == Controller.name
    assert seen.status("gateways", "theirs").keys() == {"conditions"}


def test_upstream_has_its_routes_in_the_listener() -> None:
    """No routes by themselves, and Envoy drains connections as it does by default."""
    seen = Seen(rule(ref()), generation=UPSTREAM)
    assert seen.resource(ROUTES) == []
    (listener,) = seen.resource(LISTENER)
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    (host,) = manager["route_config"]["virtual_hosts"]
    assert [one["name"] for one in host["routes"]] == ["default-r-rule0-match0"]
    deployment = seen.writes.applied["deployments", "default", "envoy-gw"]
    words = json.dumps(deployment)
    assert "--drain" not in words
    assert "--drain-strategy" in json.dumps(Seen(rule(ref())).writes.applied[
        "deployments", "default", "envoy-gw"])  # fmt: skip


def kinds(*names: str) -> Object:
    allowed = {"kinds": [{"kind": name} for name in names], "namespaces": {"from": "All"}}
    return {"name": "odd", "port": 81, "protocol": "HTTP", "allowedRoutes": allowed}


PLAIN = {"name": "http", "port": 80, "protocol": "HTTP"}
CLASHING = {**PLAIN, "name": "clash"}


@pytest.mark.parametrize("odd", [kinds("GRPCRoute"), kinds("HTTPRoute", "GRPCRoute"), CLASHING],
                         ids=["of another kind", "of two kinds", "for the same host"])  # fmt: skip
def test_upstream_ends_of_an_invalid_listener(odd: Object) -> None:
    """Before it has done anything for anybody (of the same host and two kinds: read)."""
    controller = Controller(Writes(), "envoy", UPSTREAM)  # type: ignore[arg-type]
    objects = {"gatewayclasses": CLASSES, "gateways": [gateway("gw", "wg-ai-gateway", PLAIN, odd)]}
    with pytest.raises(NilListenerStatusError, match=f"default/gw: listener {odd['name']}|http"):
        reconciled(controller, **objects)
    assert controller._kube.applied == {}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("odd", "ports", "states"),
    [
        (kinds("GRPCRoute"), [80], ("ResolvedRefs", "InvalidRouteKinds", "False")),
        (kinds("HTTPRoute", "GRPCRoute"), [80, 81], ("ResolvedRefs", "InvalidRouteKinds", "True")),
        (CLASHING, [], ("Accepted", "HostnameConflict", "False")),
        ({**PLAIN, "name": "tcp", "port": 82, "protocol": "TCP"}, [80],
         ("Accepted", "UnsupportedProtocol", "False")),
    ],
    ids=["of another kind", "of two kinds", "for the same host", "of another protocol"],
)  # fmt: skip
@pytest.mark.parametrize("generation", [DEMO, MENDED])
def test_an_invalid_listener_is_told_and_the_others_are_served(
    generation: str, odd: Object, ports: list[int], states: tuple[str, str, str]
) -> None:
    """As Gateway API has it; upstream's translator works it out, and drops it."""
    seen = Seen(generation=generation, gateways=[gateway("gw", "wg-ai-gateway", PLAIN, odd)])
    assert [one["name"] for one in seen.resource(LISTENER)] == [f"listener-{p}" for p in ports]
    told = {one["name"]: one for one in seen.status("gateways", "gw")["listeners"]}
    assert set(told) == {"http", odd["name"]}
    conditions = {c["type"]: c for c in told[odd["name"]]["conditions"]}
    broken, reason, programmed = states
    assert (conditions[broken]["status"], conditions[broken]["reason"]) == ("False", reason)
    assert conditions["Programmed"]["status"] == programmed
    supported = [one["kind"] for one in told[odd["name"]]["supportedKinds"]]
    assert supported == ([] if ports == [80] and reason == "InvalidRouteKinds" else ["HTTPRoute"])
    if ports:
        assert {c["type"]: c["status"] for c in told["http"]["conditions"]} == {
            "Accepted": "True", "Conflicted": "False", "ResolvedRefs": "True", "Programmed": "True"
        }  # fmt: skip


def test_what_was_said_of_a_route_stays() -> None:
    """When it no longer names a Gateway of this class; others' words are not touched."""
    left = route("r", "theirs", status={"parents": [{"controllerName": Controller.name}]})
    assert ("httproutes", "r") not in Seen(httproutes=[left]).writes.statuses
    both = route("r", "gw", status={"parents": [OTHERS]})
    parents = Seen(httproutes=[both]).status("httproutes", "r")["parents"]
    assert [one["controllerName"] for one in parents] == [OTHERS["controllerName"], Controller.name]
