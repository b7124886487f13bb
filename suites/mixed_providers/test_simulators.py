"""What the document says of its own simulators: they run beside the recorders."""

from collections.abc import Iterator

import pytest

from fixtures.evidence import CLIENT
from fixtures.evidence.requirements import requirement
from fixtures.evidence.verdicts import Decision
from fixtures.found import only
from fixtures.kube import Kube
from fixtures.stack import TIER_PREFIX, Identity, Provider, Stack
from fixtures.stack.grants import granted
from suites.mixed_providers.providers import ANTHROPIC, OPENAI, documents

SIMULATORS = [documents(OPENAI), documents(ANTHROPIC)]
OTHER = {OPENAI.key: ANTHROPIC.key, ANTHROPIC.key: OPENAI.key}
simulators = pytest.mark.parametrize("simulator", SIMULATORS, ids=str)


@pytest.fixture
def member(kube: Kube, stack: Stack) -> Iterator[Identity]:
    """A premium user with the right to the document's on-prem model."""
    user = stack.account_token(f"{TIER_PREFIX}premium")
    with granted(kube, user, "llm", ["documents-model"]):
        yield user


@requirement("MP-5")
@simulators
def test_missing_key_is_refused(stack: Stack, simulator: Provider) -> None:
    """Straight at the simulator, past both gateways; an empty one is missing too."""
    for headers in ({}, {simulator.key_header: ""}):
        status, body = stack.straight(simulator, headers)
        assert (status, code_of(body)) == (401, "missing_api_key")
    status, body = stack.straight(simulator, {simulator.key_header: simulator.key.reveal()})
    assert (status, body["model"]) == (200, simulator.model)


@requirement("MP-6")
@simulators
def test_wrong_key_is_refused(stack: Stack, simulator: Provider) -> None:
    """Another provider's key is wrong, and so is one that differs by a letter."""
    right = simulator.key.reveal()
    for wrong in ("wrong", OTHER[simulator.key].reveal(), right[:-1], right + "x", right.upper()):
        status, body = stack.straight(simulator, {simulator.key_header: wrong})
        assert (status, code_of(body)) == (401, "invalid_api_key")


def code_of(body: dict[str, object]) -> object:
    """The error's code, whichever of the two shapes it has."""
    error = body["error"]
    return error["code"] if isinstance(error, dict) else error


@requirement("MP-60")
def test_shape_of_a_refusal(stack: Stack, decide: Decision) -> None:
    """Of both refusals, at both simulators."""
    found = set()
    for simulator in SIMULATORS:
        for headers in ({}, {simulator.key_header: "wrong"}):
            _, body = stack.straight(simulator, headers)
            assert set(body) == {"error"}
            found.add("object" if isinstance(body["error"], dict) else "text")
    decide(" and ".join(sorted(found)))


@requirement("MP-57")
@simulators
def test_example_answer(stack: Stack, simulator: Provider) -> None:
    """The printed fields and no others. Text and numbers are drawn anew for each answer, so the
    printed ones are one draw of many."""
    key = {simulator.key_header: simulator.key.reveal()}
    status, body = stack.straight(simulator, key)
    assert status == 200
    assert set(body) == {"choices", "created", "id", "model", "object", "usage"}
    assert (body["model"], body["object"]) == (simulator.model, "chat.completion")
    assert body["id"].removeprefix("chatcmpl-").isdigit()
    assert isinstance(body["created"], int)
    choice = only(body["choices"], "choice")
    assert set(choice) == {"finish_reason", "index", "message"}
    assert (choice["finish_reason"], choice["index"]) == ("stop", 0)
    assert set(choice["message"]) == {"content", "role"}
    assert choice["message"]["role"] == "assistant"
    assert choice["message"]["content"]
    usage = body["usage"]
    assert set(usage) == {"completion_tokens", "prompt_tokens", "total_tokens"}
    assert min(usage.values()) > 0
    assert usage["prompt_tokens"] + usage["completion_tokens"] == usage["total_tokens"]


@requirement("MP-59")
def test_on_prem_example_answer(stack: Stack, member: Identity) -> None:
    """The printed request, and the printed fields and no others."""
    messages = [{"role": "user", "content": "Hello from on-prem"}]
    body = {"model": "facebook/opt-125m", "messages": messages, "max_tokens": 10}
    path = "/llm/documents-model/v1/chat/completions"
    exchange = stack.send("POST", path, member, body).expect_status(200)
    answer = exchange.json
    wanted = {"id", "created", "model", "usage", "object", "kv_transfer_params", "choices"}
    exchange.expect(CLIENT, set(answer) == wanted, f"{sorted(wanted)}", f"{sorted(answer)}")
    assert answer["id"].startswith("chatcmpl-")
    assert (answer["model"], answer["object"]) == ("facebook/opt-125m", "chat.completion")
    assert answer["kv_transfer_params"] is None
    choice = only(answer["choices"], "choice")
    assert set(choice) == {"index", "finish_reason", "message"}
    assert (choice["index"], choice["message"]["role"]) == (0, "assistant")
    assert choice["message"]["content"]
    usage = answer["usage"]
    assert 0 < usage["completion_tokens"] <= 10
    cut = usage["completion_tokens"] == 10
    assert choice["finish_reason"] == ("length" if cut else "stop")
    assert usage["prompt_tokens"] > 0
    assert usage["prompt_tokens"] + usage["completion_tokens"] == usage["total_tokens"]
