"""The semantic router's `config.yaml`: models, their endpoints, and which prompt goes where.

Upstream: vllm-project/semantic-router at the two-gateway POC, `pkg/config` (the flat format,
read leniently), `pkg/classification/keyword_classifier.go`, `pkg/decision/engine.go`.
Decisions rest on keyword rules. Conditions of other types (`domain`, `embedding`, ...) need
models that are not here: they never match, as upstream when its classifier is missing.
The releases from v0.3.0 (`pkg/config/loader.go`) refuse the flat format: so does generation 0.3
here, which is all there is of it.
Left out: strategy `confidence`, selection among several modelRefs, the versioned format (v0.3).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

Object = dict[str, Any]
AUTO = "auto"
POC, LATEST = "poc", "0.3"
# All that the versioned format has at its top.
_SECTIONS = {"version", "listeners", "providers", "routing", "global"}


class ConfigError(Exception):
    """A configuration that the router would not start with, and why."""


@dataclass(frozen=True)
class Model:
    """A model of `model_config`: where it is (`ip:port`, "" if nowhere) and how it reasons."""

    name: str
    endpoint: str = ""
    access_key: str = ""
    reasoning: Object = field(default_factory=dict)


@dataclass(frozen=True)
class KeywordRule:
    """`AND`, `OR` or `NOR` over literal words."""

    name: str
    operator: str
    patterns: tuple[re.Pattern[str], ...]

    def matches(self, text: str) -> bool:
        found = (pattern.search(text) is not None for pattern in self.patterns)
        match self.operator:
            case "AND":
                return all(found)
            case "NOR":
                return not any(found)
        return any(found)


@dataclass(frozen=True)
class Decision:
    """A routing decision: when it holds, which model it wants, and what goes into the prompt."""

    name: str
    priority: int
    operator: str
    conditions: tuple[tuple[str, str], ...]
    model: str
    use_reasoning: bool = False
    reasoning_effort: str = ""
    system_prompt: str = ""
    keeps_system_prompt: bool = False

    def matched(self, signals: set[tuple[str, str]]) -> list[tuple[str, str]]:
        """Its conditions that hold."""
        return [condition for condition in self.conditions if condition in signals]

    def holds(self, signals: set[tuple[str, str]]) -> bool:
        """Without conditions never; anything but AND is OR."""
        found = self.matched(signals)
        return bool(found) and (self.operator != "AND" or len(found) == len(self.conditions))


@dataclass(frozen=True)
class Match:
    """What the classification of a text found: the decision taken, and all that hold."""

    decision: Decision | None
    keyword_rule: str = ""
    holding: tuple[Decision, ...] = ()

    @property
    def signals(self) -> set[tuple[str, str]]:
        """What conditions ask for."""
        return {("keyword", self.keyword_rule)} if self.keyword_rule else set()

    @property
    def conditions(self) -> list[tuple[str, str]]:
        """Those of the decision that hold."""
        return self.decision.matched(self.signals) if self.decision else []

    @property
    def confidence(self) -> float:
        """How many of the decision's conditions hold, from 0 to 1."""
        return len(self.conditions) / len(self.decision.conditions) if self.decision else 0.0


@dataclass(frozen=True)
class Config:
    """What the router knows."""

    models: dict[str, Model]
    default_model: str
    auto_name: str
    keyword_rules: tuple[KeywordRule, ...]
    decisions: tuple[Decision, ...]
    reasoning_effort: str = "medium"

    def is_auto(self, model: str) -> bool:
        """Whether the client leaves the choice to the router; exact and case-sensitive."""
        return model in (AUTO, self.auto_name)

    def classify(self, text: str) -> Match:
        """The decision of the highest priority that holds; the first of equals."""
        rule = next((r.name for r in self.keyword_rules if r.matches(text)), "")
        signals = Match(None, rule).signals
        holding = tuple(d for d in self.decisions if d.holds(signals))
        return Match(max(holding, key=lambda d: d.priority, default=None), rule, holding)

    def selected(self, match: Match) -> str:
        """The model of a match, or the default one."""
        return (match.decision.model if match.decision else "") or self.default_model


def load(path: Path, generation: str = POC) -> Config:
    """Raises ConfigError for a file that cannot be read or is not the flat format, and, as
    generation 0.3, for one that is."""
    try:
        spec = yaml.load(path.read_text(), Loader=yaml.CSafeLoader)
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: {error}") from error
    if not isinstance(spec, dict):
        raise ConfigError(f"{path}: expected a mapping with model_config and decisions")
    if generation != POC and (old := sorted(set(spec) - _SECTIONS)):
        raise ConfigError(
            f"{path}: fields of the flat format, which generation {generation} reads no more: "
            f"{', '.join(old)}. Use {', '.join(sorted(_SECTIONS))}"
        )
    if "version" in spec or generation != POC:
        raise ConfigError(
            f"{path}: version {spec.get('version')}: only the flat format of the POC (top-level "
            "vllm_endpoints, model_config, decisions) is known here"
        )
    return Config(
        models={
            name: _model(name, one or {}, spec)
            for name, one in (spec.get("model_config") or {}).items()
        },
        default_model=spec.get("default_model", ""),
        auto_name=spec.get("auto_model_name") or "MoM",
        keyword_rules=tuple(_keyword_rule(rule) for rule in spec.get("keyword_rules") or []),
        decisions=tuple(_decision(one) for one in spec.get("decisions") or []),
        reasoning_effort=spec.get("default_reasoning_effort") or "medium",
    )


def _model(name: str, spec: Object, config: Object) -> Model:
    wanted = spec.get("preferred_endpoints") or []
    endpoints = [e for e in config.get("vllm_endpoints") or [] if e["name"] in wanted]
    best = max(endpoints, key=lambda e: e.get("weight", 1), default=None)
    families = config.get("reasoning_families") or {}
    return Model(
        name,
        endpoint=f"{best['address']}:{best['port']}" if best else "",
        access_key=spec.get("access_key", ""),
        reasoning=families.get(spec.get("reasoning_family"), {}),
    )


def _keyword_rule(spec: Object) -> KeywordRule:
    flags = re.NOFLAG if spec.get("case_sensitive") else re.IGNORECASE
    patterns = tuple(re.compile(_literal(word), flags) for word in spec.get("keywords") or [])
    return KeywordRule(spec["name"], spec.get("operator", "OR"), patterns)


def _literal(word: str) -> str:
    """The word itself, at word boundaries; CJK and mere signs have none."""
    bounded = re.search(r"\w", word, re.ASCII) and not re.search(r"[\u3040-\u9fff]", word)
    return rf"\b{re.escape(word)}\b" if bounded else re.escape(word)


def _decision(spec: Object) -> Decision:
    rules = spec.get("rules") or {}
    reference = (spec.get("modelRefs") or [{}])[0]
    prompts = [p for p in spec.get("plugins") or [] if p["type"] == "system_prompt"]
    prompt = prompts[0].get("configuration") or {} if prompts else {}
    enabled = prompt.get("enabled", True)
    return Decision(
        name=spec["name"],
        priority=spec.get("priority", 0),
        operator=rules.get("operator", "OR"),
        conditions=tuple(
            (c["type"].strip().lower(), c["name"]) for c in rules.get("conditions") or []
        ),
        model=reference.get("model", ""),
        use_reasoning=bool(reference.get("use_reasoning")),
        reasoning_effort=reference.get("reasoning_effort", ""),
        system_prompt=prompt.get("system_prompt", "") if enabled else "",
        keeps_system_prompt=prompt.get("mode") == "insert",
    )
