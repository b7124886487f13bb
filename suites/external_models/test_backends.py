"""The backend is whatever its XBackendDestination says: other hosts, and bad ones."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial

import httpx
import pytest

from fixtures.evidence import CLIENT, EGRESS, Exchange, expect
from fixtures.evidence.requirements import requirement
from fixtures.evidence.verdicts import CLOSED, PRESENT, Decision
from fixtures.kube import Kube
from fixtures.objects import existing
from fixtures.stack import CHAT, TIER_PREFIX, WISH_HEADER, Identity, Provider, Stack
from fixtures.waiting import ENFORCED_SECONDS, WaitTimeout, until
from suites.external_models.backends import (
    BACKEND_API,
    SIMULATOR,
    SIMULATOR_HOST,
    SIMULATOR_NAMESPACE,
    Backends,
)
from suites.hardening.long_answers import LONG_SECONDS, Lasted, lasted
from suites.hardening.ways import Walker, ways

REFUSING = 8999  # a port on which no simulator listens
TIMEOUT_SECONDS = 15  # Envoy's own: the controller translates none
# A user has fifty requests in two minutes on the bridge: few questions, and not too often.
TIMES, POLL_SECONDS = 3, 0.2


@dataclass
class Asking:
    """One who asks again and again, until a change is seen, as another user once a user's requests
    are used up: a controller may take seconds for an edit, and connections that are kept longer."""

    stack: Stack
    _user: Identity | None = None

    def __call__(self, path: str) -> Exchange:
        """GET the models of a path."""
        while True:
            if self._user is None:
                self._user = self.stack.account_token(f"{TIER_PREFIX}enterprise")
            exchange = self.stack.send("GET", f"{path}/v1/models", self._user)
            if exchange.status != 429:
                return exchange
            self._user = None


@pytest.fixture
def asking(stack: Stack) -> Asking:
    return Asking(stack)


@pytest.fixture
def other_provider(kube: Kube) -> Iterator[Provider]:
    """A second provider: a copy of the simulator under a name of its own."""
    name = f"elsewhere-{uuid.uuid4().hex[:8]}"
    found = existing(kube, "apps/v1", "Deployment", SIMULATOR_NAMESPACE, "model-simulator")
    metadata, labels = {"name": name, "namespace": SIMULATOR_NAMESPACE}, {"app": name}
    spec = found["spec"]
    spec["selector"] = {"matchLabels": labels}
    spec["template"]["metadata"] = {"labels": labels}
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}
    ports = {"selector": labels, "ports": [{"port": 8000}]}
    kube.apply({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": ports})
    try:
        kube.wait_done([kube.apply(deployment)])
        yield replace(SIMULATOR, name=name, service=f"{name}:8000")
    finally:
        kube.delete("apps/v1", "Deployment", SIMULATOR_NAMESPACE, name)
        kube.delete("v1", "Service", SIMULATOR_NAMESPACE, name)


def until_status(asking: Asking, path: str, status: int) -> Exchange:
    """Ask until this is the answer, several times in a row; says of an egress gateway whether who
    connects to it anew gets it, as connections that are kept may see old routes for long."""
    try:
        return until(f"{status} at {path}",
                     lambda: asking(path),
                     lambda seen: seen.status == status,
                     ENFORCED_SECONDS, in_a_row=TIMES, every=POLL_SECONDS)  # fmt: skip
    except WaitTimeout as late:
        if asking.stack.at_egress("GET", f"{path}/v1/models", kept=False).status != status:
            raise
        raise WaitTimeout(
            f"{late}; asked on a new connection the egress gateway says {status}: those that the "
            "MaaS gateway keeps to it see old routes (HD-46)"
        ) from late


@requirement("EM-18")
def test_backend_is_replaced(
    stack: Stack, asking: Asking, backends: Backends, other_provider: Provider
) -> None:
    """One host name edited in one object; nothing else is touched."""
    name = backends.destination(SIMULATOR_HOST)
    path = backends.route(name)
    until_status(asking, path, 200).expect_backend_received(SIMULATOR.name)
    host = f"{other_provider.name}.{SIMULATOR_NAMESPACE}.svc.cluster.local"
    backends.point(name, host)

    def served() -> tuple[int, list[str]]:
        exchange = asking(path)
        elsewhere = stack.records_of(other_provider, exchange.id)
        return len(exchange.records), [record.headers.get("host") for record in elsewhere]

    until("the other provider alone to be asked, by its name", served,
          lambda seen: seen == (0, [host]), ENFORCED_SECONDS, TIMES, POLL_SECONDS)  # fmt: skip


@requirement("EM-23")
def test_backend_that_is_taken_away(asking: Asking, backends: Backends) -> None:
    """Served, then missing for the route that knew it and for one that comes later, and served
    again when it is made anew."""
    name = backends.destination(SIMULATOR_HOST)
    path = backends.route(name)
    until_status(asking, path, 200).expect_backend_received(SIMULATOR.name)
    backends.remove(name)
    for each in (path, backends.route(name)):
        until_status(asking, each, 500).expect_no_backend()
        until("the route to be unresolved", partial(backends.resolved, each),
              ("False", "BackendNotFound").__eq__, ENFORCED_SECONDS)  # fmt: skip
    backends.point(name, SIMULATOR_HOST)
    until_status(asking, path, 200).expect_backend_received(SIMULATOR.name)


@requirement("EM-19")
def test_name_that_does_not_resolve(asking: Asking, backends: Backends) -> None:
    """Unavailable, and well again once the name is a good one."""
    name = backends.destination("no-such-host.invalid")
    path = backends.route(name)
    exchange = until_status(asking, path, 503).expect_no_backend()
    text = exchange.response.text
    exchange.expect(CLIENT, text == "no healthy upstream", "no healthy upstream", text)
    backends.point(name, SIMULATOR_HOST)
    until_status(asking, path, 200)


@requirement("EM-20")
def test_port_that_refuses(asking: Asking, backends: Backends) -> None:
    """The name is good, but nobody listens there."""
    path = backends.route(backends.destination(backends.refusing(REFUSING), REFUSING), REFUSING)
    exchange = until_status(asking, path, 503).expect_no_backend()
    text = exchange.response.text
    expected = "upstream connect error or disconnect/reset before headers"
    exchange.expect(CLIENT, text.startswith(expected), expected, text)


@requirement("EM-21")
@pytest.mark.window(LONG_SECONDS)
def test_long_answers_are_cut(kube: Kube, stack: Stack, decide: Decision) -> None:
    """After Envoy's fifteen seconds, on each way through the egress gateway, or not at all."""
    one, other = (Walker(stack, stack.account_token(f"{TIER_PREFIX}enterprise")) for _ in range(2))
    there = ways(kube, one, inner_alone=True)
    found = lasted(one, other, [way for way in there if not way.shut])
    assert any(each.way.route.path == SIMULATOR.path for each in found), f"{found}"
    strange = [str(each) for each in found if not (each.is_served or is_cut(each))]
    expect(not strange, EGRESS, "whole answers, or 504 and cut streams after 15 s", f"{strange}")
    decide(PRESENT if any(map(is_cut, found)) else CLOSED)


def is_cut(one: Lasted) -> bool:
    """Whether Envoy's own timeout has ended it, and none that is shorter: with 504, or in
    mid-stream."""
    is_late = one.seconds >= TIMEOUT_SECONDS
    return is_late and not one.whole and one.status == (0 if one.stream else 504)


@requirement("EM-22")
def test_stream_that_breaks_off(stack: Stack, alice: Identity) -> None:
    """Two events, then the backend is gone: no [DONE], and no tidy end either."""
    body = {"model": SIMULATOR.model, "messages": [], "stream": True}
    headers = {"authorization": f"Bearer {alice.token.reveal()}", WISH_HEADER: '{"events": 2}'}
    received: list[bytes] = []
    with stack.https.stream("POST", f"/external{CHAT}", json=body, headers=headers) as response:
        assert response.status_code == 200
        with pytest.raises(httpx.RemoteProtocolError):
            received.extend(response.iter_raw())
    text = b"".join(received)
    assert (text.count(b"data: "), b"[DONE]" in text) == (2, False)


@requirement("EM-28")
def test_tls_origination(
    asking: Asking, local: Provider, backends: Backends, decide: Decision
) -> None:
    """A backend that speaks TLS alone, asked in plain and with tls.mode Simple."""
    host = f"{local.name}-kserve-workload-svc.{local.namespace}.svc.cluster.local"
    plain = backends.route(backends.destination(host))
    secure = backends.route(backends.destination(host, tls={"mode": "Simple"}))
    until_status(asking, plain, 503)
    seen = until(
        "the route to be programmed",
        lambda: asking(secure).status,
        lambda status: status != 404,
        ENFORCED_SECONDS,
        in_a_row=TIMES,
        every=POLL_SECONDS,
    )
    decide({200: CLOSED, 503: PRESENT}.get(seen, str(seen)))


@requirement("EM-36")
def test_destinations_are_plain(kube: Kube) -> None:
    """No destination that the documents deploy asks for TLS."""
    found = kube.all(BACKEND_API, "XBackendDestination", "default")
    documented = [d for d in found if not d["metadata"]["name"].startswith("backend-")]
    assert documented
    for one in documented:
        for port in one["spec"]["destination"]["ports"]:
            assert (port["protocol"], port.get("tls", {}).get("mode", "None")) == ("HTTP", "None")


@requirement("EM-36")
def test_backend_is_asked_in_plain(stack: Stack, alice: Identity) -> None:
    """As the backend has it."""
    exchange = stack.chat(SIMULATOR, alice).expect_status(200)
    assert exchange.expect_backend_received(SIMULATOR.name).tls is False


@requirement("EM-41")
@pytest.mark.capability("real_providers")
def test_real_provider_answers(asking: Asking, backends: Backends) -> None:
    """A provider's own host, over TLS; without a key it refuses in its own words."""
    path = backends.route(backends.destination("api.openai.com", 443, tls={"mode": "Simple"}), 443)
    exchange = until_status(asking, path, 401)
    assert "error" in exchange.json
