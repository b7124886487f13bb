"""The two headers with which a client could steer vSR, were they not removed at the gateway, and
those that pass."""

from typing import Any

import pytest

from fixtures.evidence import ROUTER, unchanged
from fixtures.evidence.requirements import requirement
from fixtures.kube import Kube
from fixtures.stack import CHAT, Identity, Provider
from fixtures.stack.pods import post_from_inside
from suites.dual_gateway.variants import Variants, policy_of
from suites.dual_gateway.vsr import HELLO, MATHS, MODEL_A, MODEL_B, NAMESPACE, PORT, UNROUTED, Vsr

ENDPOINT, SELECTED = "x-vsr-destination-endpoint", "x-selected-model"
UNKNOWN = {"model": "gpt-4", "messages": [{"role": "user", "content": HELLO}]}
NOT_ROUTED: dict[str, tuple[str, Any]] = {
    "malformed": ("POST", b'{"model": '),
    "unknown-model": ("POST", UNKNOWN),
    "no-body": ("GET", None),
}


def address_of(kube: Kube, model: Provider) -> str:
    """`ip:port` of a model's Service: what vSR itself would write."""
    service = kube.get("v1", "Service", NAMESPACE, model.service.partition(":")[0])
    assert service is not None, f"there is no Service {model.service}"
    return f"{service['spec']['clusterIP']}:8000"


@requirement("DG-30", "DG-31")
@pytest.mark.parametrize(
    ("prompt", "right", "wrong"),
    [(MATHS, MODEL_A, MODEL_B), (HELLO, MODEL_B, MODEL_A)],
    ids=["A", "B"],
)
@pytest.mark.parametrize("choice", ["auto", "named"])
def test_headers_do_not_steer(
    kube: Kube, vsr: Vsr, alice: Identity, prompt: str, right: Provider, wrong: Provider,
    choice: str,
) -> None:  # fmt: skip
    """Where vSR decides, its decision holds, and the model sees vSR's headers alone."""
    forged = {ENDPOINT: address_of(kube, wrong), SELECTED: wrong.model}
    model = "auto" if choice == "auto" else right.model
    exchange = vsr.ask(alice, prompt, forged, model=model).expect_status(200)
    exchange.expect_backend_header(right.name, ENDPOINT, address_of(kube, right))
    exchange.expect_backend_header(right.name, SELECTED, right.model)


@requirement("DG-30")
@pytest.mark.parametrize(("method", "body"), NOT_ROUTED.values(), ids=NOT_ROUTED)
def test_endpoint_does_not_steer_what_is_not_routed(
    kube: Kube, vsr: Vsr, alice: Identity, method: str, body: Any
) -> None:
    """Where vSR sets none, Envoy would take the client's."""
    for target in (address_of(kube, MODEL_A), "127.0.0.1:19000"):
        vsr.send(method, CHAT, alice, body, {ENDPOINT: target}).expect_refusal(*UNROUTED)


@pytest.mark.capability("router_log")
@pytest.mark.parametrize("header", [
    pytest.param((ENDPOINT, "selected_endpoint"), marks=requirement("DG-30"), id=ENDPOINT),
    pytest.param((SELECTED, "selected_model"), marks=requirement("DG-31"), id=SELECTED),
])  # fmt: skip
def test_header_does_not_reach_vsr(vsr: Vsr, alice: Identity, header: tuple[str, str]) -> None:
    """A malformed body, about which vSR says nothing: its log shows what came in."""
    name, field = header
    sent = {name: "198.51.100.1:80"}
    exchange = vsr.send("POST", CHAT, alice, b"{", sent).expect_refusal(*UNROUTED)
    found = exchange.expect_inner_line().need(field)
    exchange.expect(ROUTER, found == "-", f"no {name}", found)


CHOSEN = pytest.mark.parametrize(
    ("choice", "prompt", "model"),
    [("auto", HELLO, MODEL_B), ("auto", MATHS, MODEL_A), (MODEL_B.model, HELLO, MODEL_B)],
    ids=["default", "decided", "named"],
)


@requirement("DG-57")
@CHOSEN
def test_headers_reach_the_model(
    vsr: Vsr, alice: Identity, choice: str, prompt: str, model: Provider
) -> None:
    """The client's, each once and as it is, and besides them only what gateways and vSR say."""
    exchange = vsr.ask(alice, prompt, unchanged.ASKED, model=choice).expect_status(200)
    record = exchange.expect_backend_received(model.name)
    unchanged.expect_asked(exchange, record, ENDPOINT, SELECTED)
    unchanged.expect_host_kept(exchange, record)


@requirement("DG-21")
@CHOSEN
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_headers_of_the_answer_return(
    vsr: Vsr, alice: Identity, choice: str, prompt: str, model: Provider, stream: bool
) -> None:
    """The model's, each as it is and as often as it came, besides them only what gateways and vSR
    say, and the model's bytes, whatever its status."""
    for status in (200, 400, 429, 503):
        wish = {"headers": unchanged.ANSWERED, **({} if status == 200 else {"status": status})}
        exchange = vsr.ask(alice, prompt, model=choice, stream=stream, recorder=wish)
        record = exchange.expect_status(status).expect_backend_received(model.name)
        kind = unchanged.EVENTS if stream and status == 200 else unchanged.JSON
        unchanged.expect_answered(exchange, record, kind, "x-vsr-")


@requirement("DG-34")
def test_without_ext_proc_nobody_steers(kube: Kube, variants: Variants, alice: Identity) -> None:
    """A router's Envoy whose ext_proc is not there: requests pass as they came."""
    name = variants.router(["envoy-proxy"])
    vsr = variants.make(policy_of("document"), name)
    steering = {ENDPOINT: address_of(kube, MODEL_A)}
    for headers in ({}, steering):
        exchange = vsr.ask(alice, HELLO, headers, model=MODEL_A.model)
        exchange.expect_status(503).expect_no_backend()
    # The same request past the MaaS gateway is steered: it is the removal that protects.
    body = {"model": MODEL_A.model, "messages": [{"role": "user", "content": HELLO}]}
    status, _ = post_from_inside(kube, NAMESPACE, name, PORT, CHAT, steering, body)
    assert status == 200
