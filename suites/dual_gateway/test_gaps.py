"""What the document says is missing, proved from both sides."""

from collections.abc import Iterator
from typing import Any

import pytest

from fixtures.evidence import BACKEND
from fixtures.evidence.requirements import requirement
from fixtures.evidence.verdicts import CLOSED, PRESENT, Decision
from fixtures.found import parsed
from fixtures.kube import Kube
from fixtures.stack import CHAT, Identity, Provider, Stack
from fixtures.stack.grants import granted
from fixtures.stack.local_models import local_model
from fixtures.stack.pods import post_from_inside
from fixtures.waiting import ENFORCED_SECONDS, until
from suites.dual_gateway.vsr import HELLO, MATHS, MODEL_A, NAMESPACE, PORT, SERVICE, UNROUTED, Vsr

BILLING = "x-maas-model-executed"
BYPASS = {200: PRESENT, 403: CLOSED}


@requirement("DG-35")
def test_rbac_is_bypassed(
    kube: Kube, stack: Stack, vsr: Vsr, outsider: Identity, decide: Decision
) -> None:
    """Refused at Model-A's own path, served by the same Model-A through vSR; the right to it,
    given and taken back, changes the first answer and not the second."""

    def own_path(moment: str) -> Any:
        # A query of its own: Authorino remembers a review for a minute, by user and path.
        body = {"model": MODEL_A.model, "messages": [{"role": "user", "content": HELLO}]}
        return stack.send("POST", f"{MODEL_A.path}{CHAT}?{moment}", outsider, body)

    def through_vsr() -> str:
        exchange = vsr.ask(outsider, MATHS)
        if exchange.status == 200:
            exchange.expect_backend_received(MODEL_A.name)
        return BYPASS.get(exchange.status, str(exchange.status))

    own_path("before").expect_status(403).expect_no_backend()
    found = {through_vsr()}
    with granted(kube, outsider, NAMESPACE, ["model-a"]):
        own_path("granted").expect_status(200).expect_backend_received(MODEL_A.name)
        vsr.ask(outsider, MATHS).expect_status(200).expect_backend_received(MODEL_A.name)
    own_path("after").expect_status(403).expect_no_backend()
    found.add(through_vsr())
    assert len(found) == 1, f"without the right, once {' and once '.join(sorted(found))}"
    decide(found.pop())


@requirement("DG-36")
@pytest.mark.parametrize("choice", ["auto", MODEL_A.model])
def test_no_billing_header(vsr: Vsr, alice: Identity, decide: Decision, choice: str) -> None:
    """Who answered is known, but not told to billing."""
    exchange = vsr.ask(alice, MATHS, model=choice).expect_status(200)
    record = exchange.expect_backend_received(MODEL_A.name)
    told = exchange.response.headers.get("x-vsr-selected-model", "none")
    exchange.expect(BACKEND, told == MODEL_A.model, MODEL_A.model, told)
    said = [*exchange.response.headers.get_list(BILLING), *record.headers.all(BILLING)]
    right = set(said) <= {MODEL_A.model}
    exchange.expect(BACKEND, right, f"{BILLING}: {MODEL_A.model}, or none", f"{said}")
    decide(CLOSED if said else PRESENT)


@pytest.fixture
def newcomer(kube: Kube) -> Iterator[Provider]:
    """A model that MaaS serves and that is not in vSR's configuration."""
    with local_model(kube, NAMESPACE, plaintext=True) as made:
        yield made


@requirement("DG-38")
def test_new_model_is_not_discovered(
    kube: Kube, stack: Stack, vsr: Vsr, alice: Identity, newcomer: Provider, decide: Decision
) -> None:
    """Served on its own path, named in vain on the other."""
    with granted(kube, alice, NAMESPACE, [newcomer.name]):
        until("the new model's route", lambda: stack.models(newcomer, alice).status,
              lambda seen: seen == 200, ENFORCED_SECONDS)  # fmt: skip
    exchange = vsr.ask(alice, model=newcomer.model)
    received = stack.records_of(newcomer, exchange.id)
    if exchange.status == 200:
        assert len(received) == 1, "200, but the model has not seen the request"
        decide(CLOSED)
    else:
        assert received == [], f"{exchange.status}, but the model has seen the request"
        exchange.expect_refusal(*UNROUTED)
        decide(PRESENT)


@requirement("DG-48")
def test_nobody_asks_inside_the_cluster(
    kube: Kube, vsr: Vsr, alice: Identity, decide: Decision
) -> None:
    """The same question without a token: at the gateway, and straight at the deployed router,
    which serves who asks the gateway with one."""
    vsr.ask(alice, MATHS).expect_status(200).expect_backend_received(MODEL_A.name)
    vsr.ask(None, MATHS).expect_status(401).expect_no_backend()
    body = {"model": "auto", "messages": [{"role": "user", "content": MATHS}], "max_tokens": 10}
    status, text = post_from_inside(kube, NAMESPACE, SERVICE, PORT, CHAT, {}, body)
    if status == 200:
        assert parsed(text, "the answer")["model"] == MODEL_A.model
    shut = {401: CLOSED, 403: CLOSED, 0: CLOSED}  # refused, or no way there at all
    decide({200: PRESENT, **shut}.get(status, str(status)))
