"""The way of a request: straight at the egress gateway, and over the bridge."""

import re

import pytest

from fixtures.evidence import BACKEND, CLIENT, EGRESS
from fixtures.evidence.requirements import requirement
from fixtures.evidence.verdicts import CLOSED, PRESENT, Decision
from fixtures.found import only
from fixtures.secrets import Secret
from fixtures.stack import CHAT, TIER_PREFIX, Identity, Stack
from suites.external_models.backends import SIMULATOR, SIMULATOR_HOST

HELLO = {"model": SIMULATOR.model, "messages": [{"role": "user", "content": "Hello"}]}
OPERATIONS = {
    "chat": ("POST", CHAT, HELLO),
    "completions": ("POST", "/v1/completions", {"model": SIMULATOR.model, "prompt": "Hello"}),
    "models": ("GET", "/v1/models", None),
}
operations = pytest.mark.parametrize(
    ("method", "path", "body"), OPERATIONS.values(), ids=OPERATIONS
)


@requirement("EM-6")
@operations
def test_egress_gateway_by_itself(stack: Stack, method: str, path: str, body: object) -> None:
    """From inside the cluster, past MaaS."""
    exchange = stack.at_egress(method, path, body).expect_status(200)
    exchange.expect_backend_received(SIMULATOR.name, path)


@requirement("EM-7")
@operations
def test_host_is_the_backends(
    stack: Stack, alice: Identity, method: str, path: str, body: object
) -> None:
    """A real provider would not answer under another name."""
    exchange = stack.send(method, f"/external{path}", alice, body)
    exchange.expect_backend_header(SIMULATOR.name, "Host", SIMULATOR_HOST)


@requirement("EM-8")
@operations
def test_both_gateways(stack: Stack, alice: Identity, method: str, path: str, body: object) -> None:
    """200 from the simulator, and one line in the egress gateway's log."""
    exchange = stack.send(method, f"/external{path}", alice, body).expect_status(200)
    exchange.expect_backend_received(SIMULATOR.name)
    seen = len(exchange.need_inner_lines())
    exchange.expect(EGRESS, seen == 1, "one request in its log", f"{seen}")


@requirement("EM-9")
@operations
@pytest.mark.parametrize("query", ["", "?limit=2&after=a%2Fb"])
def test_prefix_is_stripped(
    stack: Stack, alice: Identity, method: str, path: str, body: object, query: str
) -> None:
    """At the egress gateway and at the simulator."""
    exchange = stack.send(method, f"/external{path}{query}", alice, body)
    exchange.expect_inner_received(path + query)
    record = exchange.expect_backend_received(SIMULATOR.name, path + query)
    exchange.expect(BACKEND, "//" not in record.path, "no doubled slash", record.path)


@requirement("EM-12")
def test_backends_own_listing(stack: Stack, alice: Identity) -> None:
    """Beside MaaS' /v1/models."""
    exchange = stack.send("GET", "/external/v1/models", alice).expect_status(200)
    found = [entry["id"] for entry in exchange.listed()]
    exchange.expect(CLIENT, found == [SIMULATOR.model], SIMULATOR.model, f"{found}")
    exchange.expect_backend_received(SIMULATOR.name)


@requirement("EM-13")
def test_answer_is_whole(stack: Stack, alice: Identity) -> None:
    """Every field of the example that is OpenAI's, as straight from the backend."""
    exchange = stack.chat(SIMULATOR, alice, max_tokens=50).expect_status(200)
    body = exchange.json
    status, straight = stack.straight(SIMULATOR, {})
    assert status == 200
    anew = ("id", "created")
    wanted = {k: v for k, v in straight.items() if k not in anew}
    found = {k: v for k, v in body.items() if k not in anew}
    exchange.expect(CLIENT, found == wanted, f"{wanted}", f"{found}")
    assert body["id"].startswith("chatcmpl-")
    assert isinstance(body["created"], int)
    assert (body["object"], body["model"]) == ("chat.completion", SIMULATOR.model)
    choice = only(body["choices"], "choice")
    assert (choice["index"], choice["finish_reason"]) == (0, "stop")
    assert choice["message"]["role"] == "assistant"
    assert choice["message"]["content"]
    assert set(body["usage"]) == {"prompt_tokens", "completion_tokens", "total_tokens"}


@requirement("EM-14")
def test_minted_token_opens_the_bridge(stack: Stack) -> None:
    """A cluster identity, exchanged."""
    minted = stack.mint(stack.cluster_identity(), "10m").expect_status(201)
    user = Identity(Secret(minted.json["token"]))
    stack.chat(SIMULATOR, user).expect_status(200).expect_backend_received(SIMULATOR.name)


@requirement("EM-15")
@operations
def test_no_token_is_refused(stack: Stack, method: str, path: str, body: object) -> None:
    """401 with a challenge, and nobody behind hears of it."""
    exchange = stack.send(method, f"/external{path}", None, body).expect_status(401)
    challenge = exchange.response.headers.get("www-authenticate", "none")
    exchange.expect(CLIENT, challenge.startswith("Bearer"), "a Bearer challenge", challenge)
    exchange.expect_no_backend().expect_no_inner()


@requirement("EM-15")
def test_no_token_is_refused_in_plain_http(stack: Stack) -> None:
    """The other listener asks for one too."""
    exchange = stack.send("GET", "/external/v1/models", tls=False).expect_status(401)
    exchange.expect_no_backend().expect_no_inner()


@requirement("EM-16")
@pytest.mark.parametrize("audience", ["https://kubernetes.default.svc", "another-gateway-sa"])
def test_other_audience_is_refused(stack: Stack, audience: str) -> None:
    """A free account's token that was made for somebody else."""
    user = stack.account_token(f"{TIER_PREFIX}free", audience)
    stack.chat(SIMULATOR, user).expect_status(401).expect_no_backend().expect_no_inner()


@requirement("EM-16")
@pytest.mark.parametrize(
    "text", ["garbage", "eyJhbGciOiJub25lIn0.e30."], ids=["garbage", "unsigned"]
)
def test_garbage_is_refused(stack: Stack, text: str) -> None:
    """No token at all, or an unsigned one."""
    exchange = stack.chat(SIMULATOR, Identity(Secret(text))).expect_status(401)
    exchange.expect_no_backend().expect_no_inner()


OTHER = "claude-3-sonnet-external"  # the registry's second model


@requirement("EM-29")
def test_body_does_not_route(stack: Stack, alice: Identity, decide: Decision) -> None:
    """The simulator gets both models of the registry, and knows but its own."""
    stack.chat(SIMULATOR, alice).expect_status(200).expect_backend_received(SIMULATOR.name)
    other = stack.chat(SIMULATOR, alice, model=OTHER)
    seen = (other.status, [record.backend for record in other.records])
    if seen == (200, []):
        served = other.json["model"]
        other.expect(CLIENT, served == OTHER, f"an answer of {OTHER}", served)
        decide(CLOSED)
    else:
        decide(PRESENT if seen == (404, [SIMULATOR.name]) else f"{seen}")


# What Envoys add on the way: where a request comes from, and under which id.
PROXIES = re.compile(r"x-(forwarded|envoy|request-id)")


@requirement("EM-31")
def test_whether_keys_are_injected(stack: Stack, alice: Identity, decide: Decision) -> None:
    """Every header that the backend receives and the client did not send, or sent otherwise."""
    exchange = stack.chat(SIMULATOR, alice).expect_status(200)
    record = exchange.expect_backend_received(SIMULATOR.name)
    sent = exchange.response.request.headers
    changed = {
        name
        for name in record.headers.names()
        if record.headers.all(name) != sent.get_list(name) and not PROXIES.match(name)
    } - {"host"}
    known = {frozenset(): "not_injected", frozenset({"x-provider-api-key"}): "injected"}
    decide(known.get(frozenset(changed), f"changed: {sorted(changed)}"))
