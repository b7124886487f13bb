"""What llm-d-inference-sim is asked: bodies as it reads them, and what it refuses to answer.

Upstream: llm-d/llm-d-inference-sim v0.6.1, `pkg/openai-server-api/request.go`, `validateRequest` in
`pkg/llm-d-inference-sim/server.go`, `Tokenize` in `pkg/common/utils.go`; v0.7.1 has the fields of a
transferred KV cache in one, `kv_transfer_params`.
Left out: the whole path to a field in what is said of it, tools, log probabilities (but for their
types).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from embedded.shared.go_json import (
    JSONError,
    Mismatch,
    Read,
    Struct,
    Value,
    string,
    strings,
    whole,
)

# Signs one by one and words of ASCII, each with the blanks behind it. What is neither, like an
# apostrophe or a word of another alphabet, is no token, and in no answer.
_TOKEN = re.compile(r'(?:[{}:,\-.?!;@#$%^&*()+_~/\\><\[\]="]|[0-9A-Za-z_]+)[\t\n\f\r ]*')
_WHOLE = re.compile(rb"-?[0-9]+")


def tokens(text: str) -> list[str]:
    """A text's tokens."""
    return _TOKEN.findall(text)


@dataclass(frozen=True)
class Asked:
    """A request. `prompt` is all that is counted, `echoed` what mode echo says again, and `most`
    the greatest number of tokens that is wanted of an answer."""

    is_chat: bool
    model: str
    prompt: str
    echoed: str
    most: int | None
    is_stream: bool
    wants_usage: bool
    ignores_eos: bool
    is_prefill: bool

    def refusal(self, model: str, window: int) -> tuple[int, str] | None:
        """(status, message), or None if a server of this model answers."""
        if self.model != model:
            return 404, f"The model `{self.model}` does not exist."
        if self.most is not None and self.most <= 0:
            return 400, "Max completion tokens and max tokens should be positive"
        if self.is_prefill and self.is_stream:
            return 400, "Prefill does not support streaming"
        if self.ignores_eos and self.most is None:
            return 400, "Ignore_eos is true but max_completion_tokens (or max_tokens) is not set"
        prompt, answer = len(tokens(self.prompt)), self.most or 0
        if prompt + answer > window:
            return 400, (
                f"This model's maximum context length is {window} tokens. However, you requested "
                f"{prompt + answer} tokens ({prompt} in the messages, {answer} in the completion). "
                "Please reduce the length of the messages or completion"
            )
        return None


def read(raw: bytes, is_chat: bool, is_0_6: bool = True) -> Asked:
    """A body; raises JSONError. After 0.6 the last message is echoed where none is a user's."""
    try:
        found = _BODIES[is_chat, is_0_6].decode(whole(raw).raw)
    except JSONError as error:
        if str(error) == "unexpected EOF":  # a decoder's words
            raise JSONError("unexpected end of JSON input") from None
        raise
    messages = found.get("messages", [])
    texts = [message.get("content", "") for message in messages]
    users = [text for m, text in zip(messages, texts, strict=True) if m.get("role") == "user"]
    most = found.get("max_completion_tokens", found.get("max_tokens"))
    transfer = found.get("kv_transfer_params", found)
    return Asked(
        is_chat=is_chat,
        model=found.get("model", ""),
        prompt="".join(f"{text} " for text in texts) if is_chat else found.get("prompt", ""),
        echoed=_last(users or ([] if is_0_6 else texts)) if is_chat else found.get("prompt", ""),
        most=most,
        is_stream=found.get("stream", False),
        wants_usage=found.get("stream_options", {}).get("include_usage", False),
        ignores_eos=found.get("ignore_eos", False),
        is_prefill=transfer.get("do_remote_decode", False),
    )


def _last(texts: Sequence[str]) -> str:
    return texts[-1] if texts else ""


# -- Go's types ---------------------------------------------------------------------------------


def _bool(value: Value) -> bool:
    if value.kind != "bool":
        raise Mismatch(value.kind, "bool")
    return value.raw == b"true"


def _int(kind: str) -> Read:
    def read_int(value: Value) -> int:
        if value.kind != "number":
            raise Mismatch(value.kind, kind)
        number = int(value.raw) if _WHOLE.fullmatch(value.raw) else 1 << 63
        if not -(1 << 63) <= number < 1 << 63:
            raise Mismatch(f"number {value.raw.decode()}", kind)
        return number

    return read_int


def _struct(struct: Struct) -> Read:
    def read_struct(value: Value) -> dict[str, Any]:
        if value.kind != "object":
            raise Mismatch(value.kind, struct.name)
        return struct.decode(value.raw)

    return read_struct


def _list(of: Struct) -> Callable[[Value], list[dict[str, Any]]]:
    def read_list(value: Value) -> list[dict[str, Any]]:
        if value.kind != "array":
            raise Mismatch(value.kind, f"[]{of.name}")
        one = _struct(of)
        return [{} if e.kind == "null" else one(e) for e in value.elements()]

    return read_list


def _content(value: Value) -> str:
    """A message's content: a text, or parts, of which those of type text count."""
    if value.kind == "string":
        return value.text()
    try:
        parts = _PARTS(value)
    except (JSONError, Mismatch):
        raise JSONError("content format not supported") from None
    return "".join(f"{p.get('text', '')} " for p in parts if p.get("type") == "text")


_IMAGE = Struct("openaiserverapi.ImageBlock", {"url": string})
_PARTS = _list(
    Struct(
        "openaiserverapi.ContentBlock",
        {"type": string, "text": string, "image_url": _struct(_IMAGE)},
    )
)
_TRANSFER: dict[str, Read] = {
    "do_remote_decode": _bool,
    "do_remote_prefill": _bool,
    "remote_block_ids": strings,
    "remote_engine_id": string,
    "remote_host": string,
    "remote_port": _int("int"),
}
_COMMON: dict[str, Read] = {
    "stream": _bool,
    "stream_options": _struct(Struct("openaiserverapi.StreamOptions", {"include_usage": _bool})),
    "model": string,
    "ignore_eos": _bool,
    "max_tokens": _int("int64"),
}
_MESSAGE = Struct("openaiserverapi.Message", {"role": string, "content": _content})
_TOOL = Struct("openaiserverapi.Tool", {"type": string})
_OF_CHATS: dict[str, Read] = {
    "messages": _list(_MESSAGE),
    "max_completion_tokens": _int("int64"),
    "tools": _list(_TOOL),
    "logprobs": _bool,
    "top_logprobs": _int("int"),
}
_IN_ONE = {"kv_transfer_params": _struct(Struct("openaiserverapi.KVTransferParams", _TRANSFER))}
# By whether it is a chat, and whether it is for 0.6.
_BODIES = {
    (is_chat, is_0_6): Struct(
        f"openaiserverapi.{'Chat' if is_chat else 'Text'}CompletionRequest",
        {
            **_COMMON,
            **(_OF_CHATS if is_chat else {"prompt": string, "logprobs": _int("int")}),
            **(_TRANSFER if is_0_6 else _IN_ONE),
        },
    )
    for is_chat in (True, False)
    for is_0_6 in (True, False)
}
