"""What vSR decides, and what the model then receives."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from fixtures.evidence import CLIENT, MAAS, ROUTER, unchanged
from fixtures.evidence.bodies import SIZES, filled
from fixtures.evidence.budget import reported_usage
from fixtures.evidence.requirements import requirement
from fixtures.found import parsed
from fixtures.kube import Kube
from fixtures.stack import CHAT, STREAMED, TIER_PREFIX, Identity, Provider, Stack
from fixtures.stack.gateways import MAAS_GATEWAY
from fixtures.stack.surface import entrances
from suites.dual_gateway import conversation
from suites.dual_gateway.vsr import (
    HELLO,
    MATHS,
    MODEL_A,
    MODEL_B,
    MODELS,
    NAMESPACE,
    ROUTE,
    UNROUTED,
    Vsr,
)

PROMPTS = [
    (MATHS, MODEL_A),
    ("What is the derivative of x squared?", MODEL_A),
    ("Prove the THEOREM of Pythagoras", MODEL_A),
    ("Write a marketing strategy for a bakery", MODEL_B),
    ("Draft an invoice for my customers", MODEL_B),
    ("What is the weather like in Brno?", MODEL_B),
    ("Tell me about the aftermath of the storm", MODEL_B),
    (HELLO, MODEL_B),
    ("Přelož mi tuto větu 你好", MODEL_B),
]


@requirement("DG-16")
@pytest.mark.parametrize(("prompt", "model"), [(MATHS, MODEL_A), (HELLO, MODEL_B)], ids=["A", "B"])
def test_prompt_decides(vsr: Vsr, alice: Identity, prompt: str, model: Provider) -> None:
    """Exactly that model receives the request."""
    vsr.ask(alice, prompt).expect_status(200).expect_backend_received(model.name)


@requirement("DG-56")
@pytest.mark.parametrize(("prompt", "model"), PROMPTS)
def test_keywords_decide(vsr: Vsr, alice: Identity, prompt: str, model: Provider) -> None:
    """The rules of the configuration that is deployed here: a part of a word is no keyword."""
    vsr.ask(alice, prompt).expect_status(200).expect_backend_received(model.name)


@requirement("DG-16")
def test_last_user_message_decides(vsr: Vsr, alice: Identity) -> None:
    """What was said before does not count."""
    talk = [("user", MATHS), ("assistant", "x = 3"), ("user", "What is the weather like?")]
    messages = [{"role": role, "content": text} for role, text in talk]
    vsr.ask(alice, messages=messages).expect_status(200).expect_backend_received(MODEL_B.name)


@requirement("DG-16")
@pytest.mark.parametrize(("prompt", "model"), [(MATHS, MODEL_A), (HELLO, MODEL_B)], ids=["A", "B"])
def test_prompt_in_parts_decides(vsr: Vsr, alice: Identity, prompt: str, model: Provider) -> None:
    """Content as OpenAI's list of parts."""
    parts = [{"type": "text", "text": "Please. "}, {"type": "text", "text": prompt}]
    messages = [{"role": "user", "content": parts}]
    vsr.ask(alice, messages=messages).expect_status(200).expect_backend_received(model.name)


@requirement("DG-55")
@pytest.mark.parametrize(("prompt", "model"), [(MATHS, MODEL_A), (HELLO, MODEL_B)], ids=["A", "B"])
@pytest.mark.parametrize("role", ["system", "assistant", "tool"])
def test_user_decides(vsr: Vsr, alice: Identity, role: str, prompt: str, model: Provider) -> None:
    """The others, and the user before, say what would have gone to the other model, before the
    user's last question and after it."""
    misleading = {MATHS: "Draft an invoice for my customers", HELLO: MATHS}[prompt]
    said, asked = conversation.by(role, misleading), conversation.user(prompt)
    before = conversation.user(misleading)
    for messages in ([*said, asked], [*said, *said, asked], [asked, *said], [before, *said, asked],
                     [before, asked, *said, *said]):  # fmt: skip
        exchange = vsr.ask(alice, messages=messages).expect_status(200)
        exchange.expect_backend_received(model.name)


@requirement("DG-49")
@pytest.mark.capability("semantic_classification")
@pytest.mark.parametrize(
    "prompt",
    ["How many primes are there below one hundred?", "If I halve it and take away three, what is "
     "left of ten?"],
)  # fmt: skip
def test_meaning_decides(vsr: Vsr, alice: Identity, prompt: str) -> None:
    """Mathematics without one of its words."""
    vsr.ask(alice, prompt).expect_status(200).expect_backend_received(MODEL_A.name)


@requirement("DG-17")
def test_selection_is_stable(vsr: Vsr, alice: Identity, bob: Identity) -> None:
    """Five times, by two users, who ask one thing and then the other."""
    for prompt, model in [(MATHS, MODEL_A), (HELLO, MODEL_B)] * 5:
        for user in (alice, bob):
            vsr.ask(user, prompt).expect_backend_received(model.name)


@requirement("DG-17")
@pytest.mark.parametrize("tier", ["free", "premium", "enterprise", "none"])
def test_selection_is_the_same_for_every_user(kube: Kube, vsr: Vsr, tier: str) -> None:
    """Of every tier, with no right to a model and with no tier, on each listener of the route."""
    namespace = "conformance-strangers" if tier == "none" else f"{TIER_PREFIX}{tier}"
    user = vsr.stack.account_token(namespace)
    for tls in listeners(kube):
        for prompt, model in [(MATHS, MODEL_A), (HELLO, MODEL_B)]:
            vsr.ask(user, prompt, tls=tls).expect_status(200).expect_backend_received(model.name)


def listeners(kube: Kube) -> list[bool]:
    """Whether each listener of the gateway on which the route is has TLS (DG-42)."""
    found = {
        one.listener == "https"
        for one in entrances(kube)
        if one.gateway == MAAS_GATEWAY and one.route == f"{NAMESPACE}/{ROUTE}"
    }
    return sorted(found, reverse=True)


@requirement("DG-17")
def test_requests_at_once_are_not_mixed_up(vsr: Vsr, alice: Identity, bob: Identity) -> None:
    """Twenty at the same time, each to its own model, which the answer names."""
    asked = [(alice, MATHS, MODEL_A), (bob, HELLO, MODEL_B)] * 10
    with ThreadPoolExecutor(len(asked)) as threads:
        exchanges = list(threads.map(lambda one: vsr.ask(one[0], one[1]), asked))
    for (_, prompt, model), exchange in zip(asked, exchanges, strict=True):
        record = exchange.expect_status(200).expect_backend_received(model.name)
        assert record.json["messages"][-1]["content"] == prompt
        told = exchange.response.headers.get("x-vsr-selected-model", "none")
        exchange.expect(CLIENT, told == exchange.json["model"] == model.model, model.model, told)


@requirement("DG-18")
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("said", conversation.TALKS.values(), ids=conversation.TALKS)
@pytest.mark.parametrize("model", ["auto", MODEL_B.model])
def test_conversation_is_kept(
    vsr: Vsr, alice: Identity, model: str, said: conversation.Messages, stream: bool
) -> None:
    """Every message, in its place and with all its parts, where no decision has a prompt of its
    own to say."""
    exchange = vsr.ask(alice, messages=said, model=model, stream=stream).expect_status(200)
    record = exchange.expect_backend_received(MODEL_B.name)
    conversation.expect_kept(exchange, record, said)
    if model != "auto":
        unchanged.expect_body_kept(exchange, record)


@requirement("DG-19")
@pytest.mark.parametrize("prompt", [MATHS, HELLO])
@pytest.mark.parametrize("model", MODELS, ids=str)
def test_named_model_is_kept(vsr: Vsr, alice: Identity, model: Provider, prompt: str) -> None:
    """The very bytes, spaces and unknown fields included."""
    messages = [{"role": "user", "content": prompt}]
    body = json.dumps({"messages": messages, "x": [1.0], "model": model.model}, indent=3)
    kind = {"content-type": "application/json"}
    exchange = vsr.send("POST", CHAT, alice, body.encode(), kind).expect_status(200)
    received = exchange.expect_backend_received(model.name).body
    exchange.expect(ROUTER, received == body, body, received)


@requirement("DG-11")
@pytest.mark.parametrize("query", ["", "?limit=2&after=a%2Fb"])
def test_path_is_not_rewritten(vsr: Vsr, alice: Identity, query: str) -> None:
    """At vSR and at the model."""
    exchange = vsr.send("POST", CHAT + query, alice, {
        "model": "auto", "messages": [{"role": "user", "content": HELLO}]
    })  # fmt: skip
    exchange.expect_inner_received(CHAT + query)
    exchange.expect_backend_received(MODEL_B.name, CHAT + query)
    exchange.expect_status(200)


@requirement("DG-6")
@pytest.mark.capability("router_log")
def test_vsr_is_a_hop_of_its_own(vsr: Vsr, alice: Identity) -> None:
    """The request is in its Envoy's log once, and the response has its headers."""
    exchange = vsr.ask(alice, MATHS).expect_status(200)
    exchange.expect_inner_line()
    selected = exchange.response.headers.get("x-vsr-selected-decision", "none")
    exchange.expect(CLIENT, selected == "math_decision", "math_decision", selected)


@requirement("DG-20")
@pytest.mark.capability("router_log", "maas_gateway_log")
@pytest.mark.parametrize(("prompt", "model"), [(MATHS, MODEL_A), (HELLO, MODEL_B)], ids=["A", "B"])
def test_vsr_talks_to_the_model_itself(
    kube: Kube, stack: Stack, vsr: Vsr, alice: Identity, prompt: str, model: Provider
) -> None:
    """MaaS has seen the request once; from vSR it goes to the model's Service, in plain HTTP."""
    exchange = vsr.ask(alice, prompt)
    passed = len(stack.maas_log(exchange.id))
    exchange.expect(MAAS, passed == 1, "one passage", f"{passed} passages")
    service = kube.get("v1", "Service", NAMESPACE, model.service.partition(":")[0])
    assert service is not None, f"there is no Service {model.service}"
    upstream = exchange.expect_inner_line().need("upstream")
    wanted = f"{service['spec']['clusterIP']}:8000"
    exchange.expect(ROUTER, upstream == wanted, f"upstream {wanted}", upstream)
    assert not exchange.expect_backend_received(model.name).tls


@requirement("DG-21")
@pytest.mark.parametrize(("prompt", "model"), [(MATHS, MODEL_A), (HELLO, MODEL_B)], ids=["A", "B"])
def test_response_returns(vsr: Vsr, alice: Identity, prompt: str, model: Provider) -> None:
    """A whole chat completion that says who answered, twice."""
    exchange = vsr.ask(alice, prompt).expect_status(200)
    body = exchange.json
    assert (body["object"], body["model"]) == ("chat.completion", model.model)
    assert body["choices"][0]["message"]["role"] == "assistant"
    assert reported_usage(exchange) > 0
    told = exchange.response.headers.get("x-vsr-selected-model", "none")
    exchange.expect(CLIENT, told == model.model, f"x-vsr-selected-model {model.model}", told)


@requirement("DG-22")
@pytest.mark.parametrize(("prompt", "model"), [(MATHS, MODEL_A), (HELLO, MODEL_B)], ids=["A", "B"])
def test_stream_passes(vsr: Vsr, alice: Identity, prompt: str, model: Provider) -> None:
    """Events of that model, several, the last with usage, then [DONE]."""
    exchange = vsr.ask(alice, prompt, stream=True).expect_status(200)
    exchange.expect_backend_received(model.name)
    kind = exchange.response.headers["content-type"]
    exchange.expect(CLIENT, kind.startswith("text/event-stream"), "a stream", kind)
    data = [li[6:] for li in exchange.response.text.splitlines() if li.startswith("data: ")]
    exchange.expect(CLIENT, data[-1] == "[DONE]", "[DONE] at the end", data[-1])
    events = [parsed(one, "an event") for one in data[:-1]]
    assert len(events) > 3
    assert {event["model"] for event in events} == {model.model}
    assert reported_usage(exchange) > 0


@requirement("DG-22")
@pytest.mark.parametrize(
    ("name", "prompt", "model"),
    [("auto", HELLO, MODEL_B), ("auto", MATHS, MODEL_A), (MODEL_B.model, HELLO, MODEL_B)],
    ids=["default", "decided", "named"],
)
@pytest.mark.parametrize("sse", ["running", "nulls", "crlf", "tight", "named"])
def test_streams_of_any_make_pass(
    vsr: Vsr, alice: Identity, name: str, prompt: str, model: Provider, sse: str
) -> None:
    """With usage in each event, or none, and however they are written: the model's bytes."""
    wish = {"sse": sse, "headers": unchanged.ANSWERED}
    exchange = vsr.ask(alice, prompt, model=name, recorder=wish, **STREAMED).expect_status(200)
    record = exchange.expect_backend_received(model.name)
    unchanged.expect_answered(exchange, record, unchanged.EVENTS, "x-vsr-")


UNROUTABLE: dict[str, Any] = {
    "malformed": b'{"model": "auto", ',
    "no-object": b'["auto"]',
    "unknown-model": {"model": "gpt-4", "messages": [{"role": "user", "content": HELLO}]},
    "longer-name": {"model": "Model-A2", "messages": [{"role": "user", "content": HELLO}]},
    "other-case": {"model": "model-a", "messages": [{"role": "user", "content": HELLO}]},
    "auto-in-capitals": {"model": "AUTO", "messages": [{"role": "user", "content": HELLO}]},
    "empty-name": {"model": "", "messages": [{"role": "user", "content": HELLO}]},
    "no-model": {"messages": [{"role": "user", "content": HELLO}]},
    "no-prompt": {"model": "auto", "messages": []},
}


@requirement("DG-23")
@pytest.mark.parametrize("body", UNROUTABLE.values(), ids=UNROUTABLE)
def test_unroutable_body(vsr: Vsr, alice: Identity, body: Any) -> None:
    """Refused; with which status depends on the router's generation."""
    kind = {"content-type": "application/json"}
    vsr.send("POST", CHAT, alice, body, kind).expect_refusal(*UNROUTED)


@requirement("DG-23")
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_unroutable_method(vsr: Vsr, alice: Identity, method: str) -> None:
    """Without a body there is nothing to route by."""
    vsr.send(method, CHAT, alice).expect_refusal(*UNROUTED)


@requirement("DG-56")
@pytest.mark.parametrize("body", UNROUTABLE.values(), ids=UNROUTABLE)
def test_unroutable_is_unavailable(vsr: Vsr, alice: Identity, body: Any) -> None:
    """The POC's generation lets it go on, and Envoy finds no upstream for it."""
    kind = {"content-type": "application/json"}
    exchange = vsr.send("POST", CHAT, alice, body, kind).expect_status(503)
    text = exchange.response.text
    exchange.expect(CLIENT, text == "no healthy upstream", "no healthy upstream", text)


VSR_BUFFER = 1 << 20  # bytes: Envoy's default, which the POC leaves as it is


@requirement("DG-57")
@pytest.mark.parametrize("name", ["auto", MODEL_B.model])
def test_large_bodies_pass(vsr: Vsr, alice: Identity, name: str) -> None:
    """A prompt and an answer of so many letters, whole at the model and at the client; of a model
    that the client names the very bytes."""
    for size in [*SIZES[1:8], VSR_BUFFER - 4096]:
        prompt, wish = filled(size).decode(), {"letters": size}
        exchange = vsr.ask(alice, prompt, model=name, recorder=wish).expect_status(200)
        record = exchange.expect_backend_received(MODEL_B.name)
        conversation.expect_kept(exchange, record, [conversation.user(prompt)])
        if name != "auto":
            unchanged.expect_body_kept(exchange, record)
        answer = exchange.json["choices"][0]["message"]["content"]
        exchange.expect(CLIENT, answer == "x" * size, f"{size} letters", f"{len(answer)} letters")


@requirement("DG-57")
def test_too_large_a_body_is_refused(vsr: Vsr, alice: Identity) -> None:
    """A byte more than vSR's Envoy buffers: 413, and nothing reaches a model in parts."""
    exchange = vsr.ask(alice, filled(VSR_BUFFER + 1).decode())
    exchange.expect_status(413).expect_no_backend()
