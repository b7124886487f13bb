"""The router's decisions, as they are deployed: which words lead to each, and what it says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fixtures.found import only
from fixtures.kube import Kube
from fixtures.stack import Provider
from suites.dual_gateway import conversation
from suites.dual_gateway.vsr import MODELS


@dataclass(frozen=True)
class Decision:
    """`words` are its rule's keywords; `more` is what it adds to a request's body."""

    name: str
    model: Provider
    prompt: str
    words: tuple[str, ...]
    more: dict[str, Any]

    def __str__(self) -> str:
        return self.name

    def said(self, *messages: conversation.Message) -> conversation.Messages:
        """What its model has of a conversation without a system prompt."""
        return [conversation.system(self.prompt), *messages]


def decisions(kube: Kube) -> list[Decision]:
    """Those that rest on a keyword, in the order of their rules, of which the first that matches
    wins."""
    config = conversation.configuration(kube)
    by_rule = {
        condition["name"]: one
        for one in config["decisions"]
        for condition in one["rules"]["conditions"]
        if condition["type"] == "keyword"
    }
    return [
        _decision(kube, config, by_rule[rule["name"]], rule["keywords"])
        for rule in config["keyword_rules"]
        if rule["name"] in by_rule
    ]


def decision(kube: Kube, name: str) -> Decision:
    return only((one for one in decisions(kube) if one.name == name), f"decision {name}")


def _decision(kube: Kube, config: Any, spec: Any, words: list[str]) -> Decision:
    chosen = only(spec["modelRefs"], "model of a decision")
    family = config["model_config"][chosen["model"]].get("reasoning_family")
    own = config["reasoning_families"].get(family) or {}
    kwargs = own.get("type") == "chat_template_kwargs"
    wanted = {own["parameter"]: chosen["use_reasoning"]} if kwargs else {}
    model = only((one for one in MODELS if one.model == chosen["model"]), "model of a decision")
    prompt = conversation.prompt_of(kube, spec["name"])
    more = {"chat_template_kwargs": wanted} if wanted else {}
    return Decision(spec["name"], model, prompt, tuple(words), more)
