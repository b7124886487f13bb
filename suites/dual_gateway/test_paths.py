"""Who serves which path of the MaaS gateway."""

import pytest

from fixtures.evidence import CLIENT
from fixtures.evidence.requirements import requirement
from fixtures.evidence.verdicts import Decision
from fixtures.stack import CHAT, Identity, Provider, Stack
from suites.dual_gateway.vsr import MODEL_A, MODELS, Vsr

BODIES = ("POST", "PUT", "PATCH")


@requirement("DG-1")
def test_maas_api_serves_its_prefix(stack: Stack) -> None:
    """A token is minted, and nobody else hears of it."""
    exchange = stack.mint(stack.cluster_identity()).expect_status(201)
    assert stack.account_of(exchange.json["token"])[0] == "maas-default-gateway-tier-free"
    exchange.expect_no_backend().expect_no_inner()


@requirement("DG-2")
@pytest.mark.parametrize("model", MODELS, ids=str)
def test_model_serves_its_own_path(
    stack: Stack, alice: Identity, outsider: Identity, model: Provider
) -> None:
    """For whom RBAC lets in, by KServe's route and not by vSR."""
    exchange = stack.chat(model, alice).expect_status(200)
    exchange.expect_backend_received(model.name, CHAT)
    exchange.expect_no_inner()
    stack.chat(model, outsider).expect_status(403).expect_no_backend()


@requirement("DG-3")
@pytest.mark.capability("router_log")
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"])
@pytest.mark.parametrize("path", ["/v1/chat", CHAT, "/v1/chat/anything/else"])
def test_vsr_serves_all_below_its_prefix(vsr: Vsr, alice: Identity, method: str, path: str) -> None:
    """Its log has the request under the client's path."""
    exchange = vsr.send(method, path, alice, {"model": "auto"} if method in BODIES else None)
    seen = exchange.need_inner_lines()
    lines = [(line.get("method"), line.get("received_path")) for line in seen]
    exchange.expect(CLIENT, lines == [(method, path)], f"{method} {path} at vSR", f"{lines}")


@requirement("DG-4")
def test_maas_api_serves_the_listing(stack: Stack, alice: Identity) -> None:
    """MaaS' models with their URLs, not the router's one entry."""
    exchange = stack.send("GET", "/v1/models", alice).expect_status(200)
    listed = {entry["id"]: entry.get("url", "") for entry in exchange.listed()}
    exchange.expect(CLIENT, "MoM" not in listed, "no entry of the router's", f"{listed}")
    for model in MODELS:
        shown = listed.get(model.model, "nothing")
        exchange.expect(CLIENT, shown.endswith(model.path), f"…{model.path}", shown)
    exchange.expect_no_inner()


@requirement("DG-5")
@pytest.mark.parametrize(
    "path",
    ["/v1/chatty", "/v1/chat-completions", "/v1/completions", "/v1/embeddings", "/v1", "/",
     "/V1/chat/completions", "//v1/chat/completions", "/v1//chat/completions",
     "/v1/chat%2Fcompletions", "/v1/chat/../completions", "/v1/chat/%2e%2e/embeddings"],
)  # fmt: skip
def test_neighbours_are_nobodys(vsr: Vsr, alice: Identity, path: str) -> None:
    """No route has them."""
    body = {"model": "auto", "messages": [{"role": "user", "content": "Hello"}]}
    exchange = vsr.send("POST", path, alice, body)
    exchange.expect_status(404).expect_no_backend().expect_no_inner()


@requirement("DG-5")
def test_climbing_out_of_the_prefix(vsr: Vsr, alice: Identity) -> None:
    """/v1/chat/../models is /v1/models: the MaaS API's listing."""
    exchange = vsr.send("GET", "/v1/chat/../models", alice).expect_status(200)
    entries = [entry["id"] for entry in exchange.listed()]
    exchange.expect(CLIENT, MODEL_A.model in entries, "MaaS' listing", f"{entries}")
    exchange.expect_no_inner()


@requirement("DG-29")
def test_other_host_is_nobodys(vsr: Vsr, alice: Identity) -> None:
    """The route is for maas.<domain> alone."""
    for host in ("other.apps.example", "vsr.apps.example"):
        exchange = vsr.ask(alice, headers={"host": host})
        exchange.expect_status(404).expect_no_backend().expect_no_inner()


@requirement("DG-43")
def test_how_a_models_path_begins(stack: Stack, alice: Identity, decide: Decision) -> None:
    """Asked both ways."""
    both = stack.models(MODEL_A, alice).status
    alone = stack.send("GET", "/model-a/v1/models", alice).status
    found = {(200, 404): "namespace_and_model"}
    decide(found.get((both, alone), "model_only" if both == 404 != alone else f"{both}/{alone}"))
