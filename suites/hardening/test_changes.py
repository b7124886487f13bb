"""What is changed while the gateways run is what holds: grants, routes, addresses, readiness,
certificates."""

from __future__ import annotations

import base64
import ssl
from collections.abc import Iterator

import httpx
import pytest

from fixtures.clusters import Access
from fixtures.clusters.certificates import DAYS, issue
from fixtures.evidence import BACKEND, Exchange, expect
from fixtures.evidence.requirements import requirement
from fixtures.found import only
from fixtures.kube import Kube
from fixtures.objects import existing
from fixtures.stack import Provider, Stack
from fixtures.stack.gateways import client, endpoint
from fixtures.stack.pods import Inside, ask_from_inside
from fixtures.waiting import ENFORCED_SECONDS, IN_A_ROW, until
from suites.external_models.backends import Backends
from suites.hardening.own import AUTH, GRANT, NAME, PORT, ROUTE, OwnRoute, open_to_all

GATEWAY_API = "gateway.networking.k8s.io"
GATEWAY, SECRET = (f"{GATEWAY_API}/v1", "Gateway"), ("v1", "Secret")
SERVICE, DEPLOYMENT = ("v1", "Service"), ("apps/v1", "Deployment")
SHARES = 20  # requests to two Pods: all at one of them is as likely as 1 in 500,000
LONG = 600  # seconds: longer than this test takes


def until_served(own: OwnRoute, below: str, by: Provider, others: list[Provider]) -> None:
    """Until a path leads to one recorder and to no other, several times in a row."""

    def seen() -> tuple[int, int, int]:
        exchange = own.models(below)
        return (exchange.status, own.at(by, exchange), sum(own.at(o, exchange) for o in others))

    until(f"{own.path}{below} to lead to {by}", seen, lambda found: found == (200, 1, 0),
          ENFORCED_SECONDS, IN_A_ROW)  # fmt: skip


def until_refused(own: OwnRoute, below: str, status: int, nowhere: list[Provider]) -> None:
    """Until a path is answered so, and then it is by nobody behind the gateway."""
    own.until_answered(status, below)
    exchange = own.models(below).expect_status(status)
    found = [str(one) for one in nowhere if own.at(one, exchange)]
    expect(not found, BACKEND, f"nothing of {own.path}{below} at a recorder", f"at {found}")


@requirement("HD-70")
def test_grants(own: OwnRoute) -> None:
    """To a neighbour's Service: none, given, taken away, given again. What needs none is served."""
    near, far = own.recorder("near"), own.recorder("far", own.neighbour)
    own.policy(AUTH, open_to_all())
    own.route(own.rule("near", "/near"), own.rule("far", "/far", own.neighbour))
    origin = {"group": GATEWAY_API, "kind": "HTTPRoute", "namespace": own.namespace}
    grant = {"from": [origin], "to": [{"group": "", "kind": "Service"}]}
    for _ in range(2):
        until_refused(own, "/far", 500, [near, far])
        until("the route to be unresolved", own.resolved, "False".__eq__, ENFORCED_SECONDS)
        until_served(own, "/near", near, [far])
        own.apply(GRANT, grant, "own", own.neighbour)
        until_served(own, "/far", far, [near])
        until("the route to be resolved", own.resolved, "True".__eq__, ENFORCED_SECONDS)
        own.remove(GRANT, "own", own.neighbour)
    until_refused(own, "/far", 500, [near, far])


@requirement("HD-70")
def test_grants_for_others(own: OwnRoute) -> None:
    """To a neighbour's Service, by grants that are nearly it: for another Service of its namespace,
    whose path is served meanwhile, and of another kind or namespace."""
    far = own.recorder("far", own.neighbour)
    own.service("another", {"app": NAME, "recorder": "far"}, own.neighbour)
    own.policy(AUTH, open_to_all())
    own.route(
        own.rule("far", "/far", own.neighbour), own.rule("another", "/another", own.neighbour)
    )
    routes = {"group": GATEWAY_API, "kind": "HTTPRoute", "namespace": own.namespace}
    services = {"group": "", "kind": "Service"}
    nearly = {
        "other-kind": (routes, {"group": "", "kind": "Secret"}),
        "other-group": (routes, {"group": "apps", "kind": "Service"}),
        "other-routes": ({**routes, "kind": "GRPCRoute"}, services),
        "other-namespace": ({**routes, "namespace": own.neighbour}, services),
        "other-service": (routes, {**services, "name": "another"}),
    }
    for name, (origin, target) in nearly.items():
        own.apply(GRANT, {"from": [origin], "to": [target]}, name, own.neighbour)
    until_served(own, "/another", far, [])
    until_refused(own, "/far", 500, [far])
    own.apply(GRANT, {"from": [routes], "to": [{**services, "name": "far"}]}, "own", own.neighbour)
    until_served(own, "/far", far, [])


@requirement("HD-70")
def test_rules_and_routes(own: OwnRoute) -> None:
    """A rule to another path, a rule to another backend; the route taken away, and made anew."""
    one, other = own.recorder("one"), own.recorder("other")
    own.policy(AUTH, open_to_all())
    own.route(own.rule("one", "/a"), own.rule("one", "/b"))
    until_served(own, "/a", one, [other])
    until_served(own, "/b", one, [other])
    own.route(own.rule("one", "/c"), own.rule("other", "/b"))
    until_served(own, "/c", one, [other])
    until_served(own, "/b", other, [one])
    until_refused(own, "/a", 404, [one, other])
    own.remove(ROUTE)
    until_refused(own, "/b", 404, [one, other])
    until_refused(own, "/c", 404, [one, other])
    own.route(own.rule("other", "/c"))
    until_served(own, "/c", other, [one])
    until_refused(own, "/b", 404, [one, other])


@requirement("HD-70")
def test_services_that_are_taken_away(own: OwnRoute) -> None:
    """While their Pods go on, and the Service beside theirs: 500, and served when one is made anew,
    for another Pod."""
    one, other = own.recorder("one"), own.recorder("other")
    own.service("going", {"app": NAME, "recorder": "one"})
    own.policy(AUTH, open_to_all())
    own.route(own.rule("going", "/going"), own.rule("one", "/one"))
    until_served(own, "/going", one, [other])
    own.remove(SERVICE, "going")
    until_refused(own, "/going", 500, [one, other])
    until("the route to be unresolved", own.resolved, "False".__eq__, ENFORCED_SECONDS)
    until_served(own, "/one", one, [other])
    own.service("going", {"app": NAME, "recorder": "other"})
    until_served(own, "/going", other, [one])
    until("the route to be resolved", own.resolved, "True".__eq__, ENFORCED_SECONDS)


def keep(own: OwnRoute, name: str, host: str, days: int = DAYS) -> bytes:
    """Put a new certificate into a Secret; as DER."""
    _, certificate, key = issue([host], days)
    data = {"tls.crt": certificate, "tls.key": key}
    own.kube.apply(
        {
            "apiVersion": SECRET[0],
            "kind": SECRET[1],
            "metadata": {"name": name, "namespace": own.namespace},
            "type": "kubernetes.io/tls",
            "data": {name: base64.b64encode(text).decode() for name, text in data.items()},
        }
    )
    return ssl.PEM_cert_to_DER_cert(certificate.decode())


def shown(own: OwnRoute, access: Access, listener: str) -> bytes:
    """The certificate of a new connection to a listener of the test's own Gateway; empty where it
    ends, as while Envoy changes its listener."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    target = endpoint(own.kube, access, own.namespace, "own", listener)
    try:
        with client(target, access, context=context) as new, new.stream("GET", "/") as answer:
            found = answer.extensions["network_stream"].get_extra_info("ssl_object")
            return bytes(found.getpeercert(True))
    except httpx.TransportError:
        return b""


@requirement("HD-74")
def test_certificates(access: Access, own: OwnRoute) -> None:
    """Of two listeners one's is renewed, then for another name, then expired."""
    hosts = {name: f"{name}.{own.namespace}.test" for name in ("changing", "staying")}
    given = {name: keep(own, name, host) for name, host in hosts.items()}
    listeners = [
        {"name": name, "hostname": host, "port": 443, "protocol": "HTTPS",
         "tls": {"mode": "Terminate", "certificateRefs": [{"name": name}]}}
        for name, host in hosts.items()
    ]  # fmt: skip
    spec = {"gatewayClassName": "openshift-default", "listeners": listeners}
    own.kube.wait_done([own.apply(GATEWAY, spec)])
    for host, days in ((None, DAYS), (hosts["changing"], DAYS), ("elsewhere.test", DAYS),
                       (hosts["changing"], -1)):  # fmt: skip
        if host:
            given["changing"] = keep(own, "changing", host, days)
        until(f"the certificates for {host or 'both'}, good for {days} days",
              lambda: {name: shown(own, access, name) for name in hosts} == given, bool,
              ENFORCED_SECONDS, IN_A_ROW)  # fmt: skip


@pytest.fixture
def backends(kube: Kube) -> Iterator[Backends]:
    made = Backends(kube)
    yield made
    made.close()


@requirement("HD-75")
def test_addresses(kube: Kube, stack: Stack, own: OwnRoute, backends: Backends) -> None:
    """The Service behind both gateways is deleted with its Pod, and both are made anew: to the old
    one connections are kept, and would go on."""
    one = own.recorder("one")
    own.policy(AUTH, open_to_all())
    own.route(own.rule("one"))
    name = f"one.{own.namespace}.svc.cluster.local"
    path = backends.egress_route(backends.destination(name))

    def by_name() -> Exchange:
        return stack.at_egress("GET", f"{path}/v1/models", kept=False)

    def address() -> str:
        return str(existing(kube, *SERVICE, own.namespace, "one")["spec"]["clusterIP"])

    def until_reached() -> None:
        until_served(own, "", one, [])
        until(f"{name} to be reached", by_name,
              lambda seen: (seen.status, own.at(one, seen)) == (200, 1), ENFORCED_SECONDS,
              IN_A_ROW)  # fmt: skip

    until_reached()
    before = address()
    own.remove(SERVICE, "one")
    own.remove(DEPLOYMENT, "one")
    until("nobody behind either gateway", lambda: (own.models().status, by_name().status),
          lambda seen: seen == (500, 503), ENFORCED_SECONDS, IN_A_ROW)  # fmt: skip
    own.recorder("one")
    assert address() != before, "the Service has its old address again"
    until_reached()


def asked(own: OwnRoute, recorders: list[Provider]) -> tuple[int, ...]:
    """Of some requests, how many are served, and how many each of these receives."""
    exchanges = [own.models() for _ in range(SHARES)]
    served = sum(one.status == 200 for one in exchanges)
    return served, *(sum(own.at(r, one) for one in exchanges) for r in recorders)


@requirement("HD-76")
def test_readiness(kube: Kube, own: OwnRoute) -> None:
    """One of two Pods says for a while that it is not ready, and goes on listening. While it does,
    no Service leads to its memory, so the other's is looked at."""
    one, other = own.recorder("one"), own.recorder("other")
    own.service("both", {"app": "own"})
    own.policy(AUTH, open_to_all())
    own.route(own.rule("both"))
    until("both Pods to be asked", lambda: asked(own, [one, other]),
          lambda seen: seen[0] == SHARES and min(seen) > 0, ENFORCED_SECONDS)  # fmt: skip
    unready = "/_recorder/unready?seconds="
    answer = kube.through_service(own.namespace, one.service, f"{unready}{LONG}")
    assert answer[0] == 200, f"the recorder says {answer}"
    until("the other Pod alone to be asked", lambda: asked(own, [other]),
          (SHARES, SHARES).__eq__, ENFORCED_SECONDS, in_a_row=2)  # fmt: skip
    pod = only(kube.all("v1", "Pod", own.namespace, {"recorder": "one"}), "Pod of the recorder")
    again = f"http://{pod['status']['podIP']}:{PORT}{unready}0"
    answer = only(ask_from_inside(kube, own.namespace, [Inside("GET", again)]), "answer")
    assert answer[0] == 200, f"the recorder says {answer}"
    memory = f"/_recorder/requests?id={own.namespace}"
    until("a Service to lead to it again",
          lambda: kube.through_service(own.namespace, one.service, memory)[0],
          (200).__eq__, ENFORCED_SECONDS)  # fmt: skip
    until("both Pods to be asked again", lambda: asked(own, [one, other]),
          lambda seen: seen[0] == SHARES and min(seen) > 0, ENFORCED_SECONDS)  # fmt: skip
