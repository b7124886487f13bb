"""Defects of the router for one decision, one user, one parameter, one kind of conversation."""

from __future__ import annotations

import base64
import re
import unicodedata
from typing import Any

from tests.mutants.faults import fault

Object = dict[str, Any]
LONG = 20  # messages
LARGE = 65_536  # letters
_ADDRESS = re.compile(r"[\w.]+@[\w.]+")


@fault("whoever-speaks-last-decides", "semantic_router")
def _(module: Any) -> None:
    """Be it a tool."""

    def text(body: Object) -> str:
        said = [one for one in body.get("messages", []) if one.get("content")]
        return str(module._content(said[-1])) if said else ""

    module._text = text


@fault("words-with-a-space-are-none", "semantic_router")
def _(_: Any) -> None:
    """Of the keywords those of one word match."""
    from embedded.images.vsr import semantic_router_config

    right = semantic_router_config._literal
    semantic_router_config._literal = lambda word: r"(?!)" if " " in word else right(word)


@fault("the-last-rule-that-matches-wins", "semantic_router")
def _(_: Any) -> None:
    from embedded.images.vsr import semantic_router_config

    right = semantic_router_config.Config.classify

    def classify(self: Any, text: str) -> Any:
        rules, last = self.keyword_rules, [r for r in self.keyword_rules if r.matches(text)][-1:]
        object.__setattr__(self, "keyword_rules", tuple(last))
        try:
            return right(self, text)
        finally:
            object.__setattr__(self, "keyword_rules", rules)

    semantic_router_config.Config.classify = classify  # type: ignore[method-assign]


@fault("auto-in-any-letters", "semantic_router")
def _(_: Any) -> None:
    from embedded.images.vsr import semantic_router_config

    right = semantic_router_config.Config.is_auto
    semantic_router_config.Config.is_auto = (  # type: ignore[method-assign]
        lambda self, model: right(self, model) or right(self, model.lower())
    )


def _decided(module: Any, choose: Any) -> None:
    """The match that `choose`, of (exchange, the right match), says."""
    right = module.Exchange._auto

    def auto(self: Any, asked: str, body: Object, match: Any) -> Any:
        return right(self, asked, body, choose(self, match))

    module.Exchange._auto = auto


@fault("users-stay-with-their-first-model", "semantic_router")
def _(module: Any) -> None:
    known: dict[str, Any] = {}
    _decided(module, lambda exchange, match: known.setdefault(
        exchange._headers.get("authorization", ""), match
    ))  # fmt: skip


@fault("one-tier-has-the-default-model", "semantic_router")
def _(module: Any) -> None:
    """Free users."""

    def choose(exchange: Any, match: Any) -> Any:
        claims = exchange._headers.get("authorization", "..").split(".")[1]
        said = base64.urlsafe_b64decode(claims + "==")
        return module.Match(None) if b"tier-free" in said else match

    _decided(module, choose)


@fault("without-tls-the-default-model", "semantic_router")
def _(module: Any) -> None:
    _decided(module, lambda exchange, match: (
        match if exchange._headers.get("x-forwarded-proto") == "https" else module.Match(None)
    ))  # fmt: skip


@fault("one-decision-reasons-too", "semantic_router")
def _(module: Any) -> None:
    """That of business."""
    right = module.Exchange._reason

    def reason(self: Any, body: Object, match: Any, model: Any) -> None:
        right(self, body, match, model)
        if match.decision.name == "business_decision":
            body["chat_template_kwargs"] = {"enable_thinking": True}

    module.Exchange._reason = reason


@fault("one-decisions-prompt-is-for-whole-answers", "semantic_router")
def _(module: Any) -> None:
    """In streams general questions have none."""
    right = module._prompt

    def prompt(body: Object, match: Any) -> bool:
        is_left_out = match.decision and match.decision.name == "general_decision"
        return not (is_left_out and body.get("stream")) and right(body, match)

    module._prompt = prompt


def _written(module: Any, change: Any, decided: bool = False) -> None:
    """What the router writes anew is changed before; `decided` where a decision has a prompt."""
    right = module._dump

    def dump(body: Object) -> bytes:
        if not decided or "chat_template_kwargs" in body:
            body = change(body)
        found: bytes = right(body)
        return found

    module._dump = dump


def _texts(body: Object, change: Any) -> Object:
    said = [
        {**one, "content": change(one["content"])} if isinstance(one.get("content"), str) else one
        for one in body.get("messages", [])
    ]
    return {**body, "messages": said}


@fault("one-parameter-lost", "semantic_router")
def _(module: Any) -> None:
    _written(module, lambda body: {k: v for k, v in body.items() if k != "tool_choice"})


@fault("one-parameter-for-each-decision", "semantic_router")
def _(module: Any) -> None:
    """That nobody asked for."""
    _written(module, lambda body: {"ignore_eos": False, **body}, decided=True)


@fault("long-conversations-cut", "semantic_router")
def _(module: Any) -> None:
    _written(module, lambda body: {**body, "messages": body.get("messages", [])[-LONG:]})


@fault("letters-composed", "semantic_router")
def _(module: Any) -> None:
    """Unicode's normal form C."""
    _written(module, lambda body: _texts(body, lambda text: unicodedata.normalize("NFC", text)))


@fault("addresses-masked", "semantic_router")
def _(module: Any) -> None:
    """Of people, by whom no plugin asked for it."""
    _written(module, lambda body: _texts(body, lambda text: _ADDRESS.sub("<EMAIL>", text)))


@fault("large-prompts-of-decisions-cut", "semantic_router")
def _(module: Any) -> None:
    _written(module, lambda body: _texts(body, lambda text: text[-LARGE:]), decided=True)


@fault("the-decision-before-is-told", "semantic_router")
def _(module: Any) -> None:
    """Where there is none."""
    right, last = module.Exchange.on_response_headers, [""]

    def on_response_headers(self: Any, message: Any) -> Any:
        own = self._response_headers.get("x-vsr-selected-decision")
        if own is None and last[0]:
            self._response_headers["x-vsr-selected-decision"] = last[0]
        last[0] = own or last[0]
        return right(self, message)

    module.Exchange.on_response_headers = on_response_headers


@fault("streams-of-decisions-are-tidied", "semantic_router")
def _(module: Any) -> None:
    """What comes after a decision is said without spaces between names and values."""
    right = module.Exchange.on_response_body

    def on_response_body(self: Any, message: Any) -> Any:
        if "x-vsr-selected-decision" not in self._response_headers or not message.body:
            return right(self, message)
        tidied = message.body.replace(b'"finish_reason": null', b'"finish_reason":null')
        answer = module.ext_proc.common({}, tidied)
        return module.pb.ProcessingResponse(response_body=module.pb.BodyResponse(response=answer))

    module.Exchange.on_response_body = on_response_body
