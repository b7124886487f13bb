"""The external-models quickstart with the document's own simulator: its example output."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from embedded.running import lifecycle, ready
from embedded.running.state import State
from fixtures.clusters import Access
from fixtures.kube import Kube
from fixtures.stack import Identity, Stack
from manifests import FOLDER
from suites.external_models.backends import SIMULATOR


@pytest.fixture(scope="module")
def quickstart() -> Iterator[Stack]:
    state = State(f"quickstart-{os.getpid()}")
    folder = FOLDER / "external-models" / "overlays" / "quickstart"
    process = lifecycle.up(state, [], folder, lifeline=True)
    try:
        ready.wait(state, lifecycle.START_SECONDS)
        access = Access(state.kubeconfig, state.ca, state.signing_key, True, frozenset())
        stack = Stack(Kube(state.kubeconfig), access, [])
        stack.wait_in_effect([SIMULATOR])
        yield stack
        stack.close()
    finally:
        lifecycle.down(state)
        process.wait()


@pytest.fixture
def user(quickstart: Stack) -> Identity:
    return quickstart.free_user()


def test_listing(quickstart: Stack, user: Identity) -> None:
    body = quickstart.send("GET", "/v1/models", user).expect_status(200).json
    for entry in body["data"]:
        assert entry.pop("created") > 1_700_000_000
    assert body == {
        "data": [
            {"id": "gpt-4-external", "object": "model", "owned_by": "openai", "ready": True},
            {
                "id": "claude-3-sonnet-external",
                "object": "model",
                "owned_by": "anthropic",
                "ready": True,
            },
        ],
        "object": "list",
    }


def test_answer_and_sequence(quickstart: Stack, user: Identity) -> None:
    """One chat completion as printed, then 200 four times: where the guide's request limit is in
    force the fifth request of the two minutes is the last, before the tokens are used up."""
    body = quickstart.chat(SIMULATOR, user, max_tokens=50).expect_status(200).json
    assert body.pop("id").startswith("chatcmpl-")
    assert body.pop("created") > 1_700_000_000
    text = "Today it is partially cloudy and raining. Testing, testing 1,2,3"
    assert body == {
        "model": "gpt-4-external",
        "usage": {"prompt_tokens": 1, "completion_tokens": 16, "total_tokens": 17},
        "object": "chat.completion",
        "do_remote_decode": False,
        "do_remote_prefill": False,
        "remote_block_ids": None,
        "remote_engine_id": "",
        "remote_host": "",
        "remote_port": 0,
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": text},
            }
        ],
    }
    found = [quickstart.chat(SIMULATOR, user, max_tokens=50).status for _ in range(16)]
    assert found == [200] * 4 + [429] * 12


def test_answer_is_cut(quickstart: Stack, user: Identity) -> None:
    """`max_tokens` below the answer's sixteen; a cut answer keeps its last blank, as the real
    simulator's does."""
    body = quickstart.chat(SIMULATOR, user, max_tokens=3).expect_status(200).json
    (choice,) = body["choices"]
    assert (choice["finish_reason"], choice["message"]["content"]) == ("length", "Today it is ")
    assert body["usage"]["total_tokens"] == 4
