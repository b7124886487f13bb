"""The optional fourth provider, where a real vLLM stands behind its route (step 3a)."""

import pytest

from fixtures.evidence import CLIENT
from fixtures.evidence.requirements import requirement
from fixtures.found import only
from fixtures.stack import Identity, Stack
from suites.mixed_providers.providers import VLLM

pytestmark = pytest.mark.capability("real_vllm")
SAY_HI = [{"role": "user", "content": "Say hi in one sentence."}]


@requirement("MP-53")
def test_server_is_reachable(stack: Stack) -> None:
    """From inside the cluster, in plain HTTP, with the key."""
    key = {"Authorization": f"Bearer {VLLM.key.reveal()}"}
    status, body = stack.straight_from_inside(VLLM, key)
    assert (status, body["object"], body["model"]) == (200, "chat.completion", VLLM.model)


@requirement("MP-56")
def test_completion_is_real(stack: Stack, alice: Identity) -> None:
    """Every field of the example, a text that nobody wrote beforehand, and its usage."""
    answer = stack.chat(VLLM, alice, messages=SAY_HI, max_tokens=20).expect_status(200)
    body = answer.json
    assert {"id", "object", "created", "model", "choices", "usage"} <= set(body)
    choice = only(body["choices"], "choice")
    assert {"index", "message", "logprobs", "finish_reason", "stop_reason"} <= set(choice)
    assert choice["message"]["role"] == "assistant"
    again = stack.chat(VLLM, alice, messages=SAY_HI, max_tokens=20, seed=7, temperature=1.5)
    texts = {one.json["choices"][0]["message"]["content"] for one in (answer, again)}
    answer.expect(CLIENT, len(texts) == 2, "a text that depends on the request", f"{texts}")
    usage = body["usage"]
    assert usage["prompt_tokens"] + usage["completion_tokens"] == usage["total_tokens"]


@requirement("MP-58")
def test_max_tokens_ends_it(stack: Stack, alice: Identity) -> None:
    """The printed request and its printed end."""
    exchange = stack.chat(VLLM, alice, messages=SAY_HI, max_tokens=20).expect_status(200)
    choice = only(exchange.json["choices"], "choice")
    found = (choice["finish_reason"], exchange.json["usage"]["completion_tokens"])
    exchange.expect(CLIENT, found == ("length", 20), "length after 20 tokens", f"{found}")
