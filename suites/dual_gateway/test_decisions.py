"""What the deployed configuration decides, word by word, and what becomes of the request then."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import pytest

from fixtures.evidence import CLIENT, ROUTER, Exchange
from fixtures.evidence.bodies import EDGES, filled
from fixtures.evidence.requirements import requirement
from fixtures.kube import Kube
from fixtures.stack import CHAT, Identity
from suites.dual_gateway import conversation
from suites.dual_gateway.decisions import Decision, decision, decisions
from suites.dual_gateway.vsr import HELLO, MATHS, MODEL_B, Vsr

BUSINESS, GENERAL = "Draft an invoice, please", "What is the weather like?"
# Of each prompt the decision that it is for; of the last none, and the default model answers.
ASKED = {MATHS: "math_decision", BUSINESS: "business_decision", GENERAL: "general_decision",
         HELLO: ""}  # fmt: skip
# What OpenAI's API has, as far as the router's types know it (DG-18), beside the prompt.
PARAMETERS = {
    "audio": {"format": "wav", "voice": "alloy"},
    "frequency_penalty": -0.5,
    "logit_bias": {"50256": -100},
    "logprobs": True,
    "max_completion_tokens": 9,
    "max_tokens": 10,
    "metadata": {"team": "é"},
    "modalities": ["text"],
    "n": 2,
    "parallel_tool_calls": False,
    "presence_penalty": 0.5,
    "response_format": {"type": "json_object"},
    "seed": 7,
    "service_tier": "auto",
    "stop": ["\n", "é"],
    "store": False,
    "temperature": 0.25,
    "tool_choice": {"type": "function", "function": {"name": "add"}},
    "tools": [
        {
            "type": "function",
            "function": {
                "name": "add",
                "description": "Adds.",
                "strict": True,
                "parameters": {"type": "object", "properties": {"a": {"type": "number"}}},
            },
        }
    ],
    "top_logprobs": 3,
    "top_p": 0.5,
    "user": "anna",
}
SPELLINGS: list[Callable[[str], str]] = [str, str.upper, str.title]


def expect_decided(exchange: Exchange, one: Decision, text: str) -> None:
    """Its model has its prompt and this question."""
    record = exchange.expect_status(200).expect_backend_received(one.model.name)
    conversation.expect_kept(exchange, record, one.said(conversation.user(text)))


@requirement("DG-56")
def test_every_keyword_decides(kube: Kube, vsr: Vsr, member_of: Callable[[str], Identity]) -> None:
    """Each once, in the middle, at the beginning and at the end, in small, large and mixed letters;
    and of two the one whose rule comes first, whichever is said first."""
    user, found = member_of("enterprise"), decisions(kube)
    number = 0
    for one in found:
        for word in one.words:
            spelt = SPELLINGS[number % 3](word)
            texts = (f"About ({spelt}), please", f"{spelt}: tell me more", f"Tell me more, {spelt}")
            text = texts[number // 3 % 3]
            expect_decided(vsr.ask(user, text), one, text)
            number += 1
    for first, second in combinations(found, 2):
        text = f"{second.words[0]} and {first.words[-1]}"
        expect_decided(vsr.ask(user, text), first, text)


@requirement("DG-18")
@pytest.mark.parametrize("name", ["auto", "MoM"])
@pytest.mark.parametrize("prompt", ASKED)
def test_parameters_are_kept(kube: Kube, vsr: Vsr, alice: Identity, prompt: str, name: str) -> None:
    """All of the client's, and beside them only what the decision is configured to say."""
    chosen = decision(kube, ASKED[prompt]) if ASKED[prompt] else None
    model, more = (chosen.model, chosen.more) if chosen else (MODEL_B, {})
    asked = {"model": name, "messages": [conversation.user(prompt)], **PARAMETERS}
    exchange = vsr.send("POST", CHAT, alice, asked).expect_status(200)
    body = exchange.expect_backend_received(model.name).json
    wanted = {"model": model.model, **PARAMETERS, **more}
    found = {key: value for key, value in body.items() if key != "messages"}
    exchange.expect(ROUTER, found == wanted, f"a body with {wanted}", f"{found}")


@requirement("DG-18")
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_decisions_say_their_prompts(kube: Kube, vsr: Vsr, alice: Identity, stream: bool) -> None:
    """The one that is configured, before the whole conversation."""
    for prompt, name in ASKED.items():
        if name:
            said = [*conversation.TALKS["turns"][1:], conversation.user(prompt)]
            one = decision(kube, name)
            exchange = vsr.ask(alice, messages=said, stream=stream).expect_status(200)
            record = exchange.expect_backend_received(one.model.name)
            conversation.expect_kept(exchange, record, one.said(*said))


@requirement("DG-18")
def test_decided_conversations_are_kept(kube: Kube, vsr: Vsr, alice: Identity) -> None:
    """Each kind, with a question of mathematics at its end."""
    one = decision(kube, "math_decision")
    for said in conversation.TALKS.values():
        asked = [*said[said[0]["role"] == "system" :], conversation.user(MATHS)]
        exchange = vsr.ask(alice, messages=asked).expect_status(200)
        record = exchange.expect_backend_received(one.model.name)
        conversation.expect_kept(exchange, record, one.said(*asked))


@requirement("DG-57")
def test_end_of_a_long_prompt_decides(kube: Kube, vsr: Vsr, alice: Identity) -> None:
    """Only the last words are of mathematics, and the model has every one of them."""
    one = decision(kube, "math_decision")
    for size in (*EDGES[:2], EDGES[2] - 8192):
        prompt = f"{filled(size).decode()} {MATHS}"
        expect_decided(vsr.ask(alice, prompt), one, prompt)


@requirement("DG-21")
def test_what_is_told_is_of_this_request(kube: Kube, vsr: Vsr, alice: Identity) -> None:
    """The model that answered, and the decision that was taken, where one was."""
    asked = [(prompt, "auto", name) for prompt, name in ASKED.items()]
    for prompt, name, decided in [*asked, (MATHS, MODEL_B.model, ""), *asked[::-1]]:
        exchange = vsr.ask(alice, prompt, model=name).expect_status(200)
        model = decision(kube, decided).model if decided else MODEL_B
        for header, wanted in (("model", model.model), ("decision", decided)):
            told = exchange.response.headers.get_list(f"x-vsr-selected-{header}")
            right = [wanted] if wanted else []
            exchange.expect(CLIENT, told == right, f"x-vsr-selected-{header}: {right}", f"{told}")
