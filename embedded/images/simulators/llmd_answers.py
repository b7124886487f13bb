"""What llm-d-inference-sim answers: whole, or as a stream of events.

Upstream: llm-d/llm-d-inference-sim v0.6.1, `pkg/openai-server-api/response.go`, `streaming.go` and
`simulator.go` in `pkg/llm-d-inference-sim`, `pkg/dataset/dataset.go`; v0.7.1, where these are
`chat_completion.go` and `text_completion.go`. How often upstream gives all tokens that were allowed
is drawn; here it is whenever the text is long enough.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from embedded.images.simulators.llmd_requests import Asked, tokens
from embedded.shared.go_json import encode

Object = dict[str, Any]
# The text of the external-models quickstart's example: two of upstream's sentences. A second
# sentence's first token has the blank before it.
_SENTENCES = ("Today it is partially cloudy and raining.", "Testing, testing 1,2,3")
_STOP, _LENGTH = "stop", "length"


@dataclass(frozen=True)
class Generation:
    """What releases do differently.

    `is_0_6`: the fields of a transferred KV cache are apart, each event of a stream has an id of
    its own, ids of text completions begin as those of chats, an echo is cut to what was asked for,
    and is empty without a user's message. 0.7 has these fields in one and one id for a stream, and
    echoes whole, if need be another's message.
    `forgets_seats`: who leaves a stream takes the place among those that are answered with him.
    """

    is_0_6: bool
    forgets_seats: bool = False

    @property
    def transfer(self) -> Object:
        """Where a prefill on another server was, which here there is none."""
        return _TRANSFER_0_6 if self.is_0_6 else {"kv_transfer_params": None}


_TRANSFER_0_6 = {
    "do_remote_decode": False,
    "do_remote_prefill": False,
    "remote_block_ids": None,
    "remote_engine_id": "",
    "remote_host": "",
    "remote_port": 0,
}
GENERATIONS = {
    "0.6": Generation(is_0_6=True),
    "0.6-upstream": Generation(is_0_6=True, forgets_seats=True),
    "0.7": Generation(is_0_6=False),
    "0.7-upstream": Generation(is_0_6=False, forgets_seats=True),
}


def answer(asked: Asked, mode: str, generation: Generation) -> tuple[list[str], str]:
    """(tokens, why they end)."""
    if mode == "echo":
        said = tokens(asked.echoed)
        if not generation.is_0_6:
            return said, _STOP if asked.most is None or len(said) < asked.most else _LENGTH
        if asked.most is None or len(said) <= asked.most:
            return said, _STOP
        return said[: asked.most], _LENGTH
    said = _said(asked.most or 0 if asked.ignores_eos else 0)
    if asked.most is None or len(said) < asked.most:
        return said, _STOP
    return said[: asked.most], _LENGTH


def _said(least: int) -> list[str]:
    """The example's tokens, again and again until there are so many."""
    said: list[str] = []
    while not said or len(said) < least:
        for sentence in _SENTENCES:
            first, *rest = tokens(sentence)
            said += [f" {first}" if said else first, *rest]
    return said


@dataclass(frozen=True)
class Answer:
    """An answer to what was asked, by a model."""

    asked: Asked
    model: str
    said: list[str]
    reason: str
    generation: Generation

    @property
    def usage(self) -> Object:
        prompt, completion = len(tokens(self.asked.prompt)), len(self.said)
        return {"prompt_tokens": prompt, "completion_tokens": completion,
                "total_tokens": prompt + completion}  # fmt: skip

    def whole(self) -> Object:
        """The body."""
        said = "".join(self.said)
        chat = {"message": {"role": "assistant", "content": said}}
        more = chat if self.asked.is_chat else {"text": said}
        kind = "chat.completion" if self.asked.is_chat else "text_completion"
        return self._body(self._id(), kind, [_choice(self.reason, more)], self.usage)

    def events(self) -> Iterator[bytes]:
        """The stream's events."""
        one = self._id()
        last = len(self.said) - 1
        if self.said and self.asked.is_chat:
            yield self._event(one, {"role": "assistant", "content": ""})
        for number, token in enumerate(self.said):
            ends = number == last and self.reason == _LENGTH
            yield self._event(one, {"content": token}, _LENGTH if ends else None)
        if self.said and self.reason == _STOP:
            yield self._event(one, {"content": ""}, _STOP)
        if self.asked.wants_usage:
            yield self._data(one, [], self.usage)
        yield b"data: [DONE]\n\n"

    def _event(self, one: str, delta: Object, reason: str | None = None) -> bytes:
        more = {"delta": delta} if self.asked.is_chat else {"text": delta["content"]}
        return self._data(one, [_choice(reason, more)], None)

    def _data(self, one: str, choices: list[Object], usage: Object | None) -> bytes:
        own = self._id() if self.generation.is_0_6 else one
        kind = "chat.completion.chunk" if self.asked.is_chat else "text_completion"
        return b"data: " + encode(self._body(own, kind, choices, usage)) + b"\n\n"

    def _body(self, own: str, kind: str, choices: list[Object], usage: Object | None) -> Object:
        head = {"id": own, "created": int(time.time()), "model": self.model, "usage": usage}
        return {**head, "object": kind, **self.generation.transfer, "choices": choices}

    def _id(self) -> str:
        is_chat = self.asked.is_chat or self.generation.is_0_6
        return f"{'chatcmpl' if is_chat else 'cmpl'}-{uuid.uuid4()}"


def _choice(reason: str | None, more: Object) -> Object:
    return {"index": 0, "finish_reason": reason, **more}
