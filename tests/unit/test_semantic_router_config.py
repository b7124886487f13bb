"""The semantic router's configuration: which text leads to which decision."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from embedded.images.vsr.semantic_router_config import Config, ConfigError, load


def config(tmp_path: Path, **more: Any) -> Config:
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump({"default_model": "D", **more}))
    return load(file)


def rule(name: str, operator: str, *keywords: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "operator": operator, "keywords": list(keywords), **more}


def decision(
    name: str, priority: int, operator: str, *conditions: tuple[str, str]
) -> dict[str, Any]:
    wanted = [{"type": kind, "name": signal} for kind, signal in conditions]
    rules = {"operator": operator, "conditions": wanted}
    return {"name": name, "priority": priority, "rules": rules, "modelRefs": [{"model": name}]}


@pytest.mark.parametrize(
    ("operator", "text", "found"),
    [
        ("OR", "an equation", "r"),
        ("OR", "EQUATION!", "r"),
        ("OR", "equations", ""),
        ("OR", "请解方程式", "r"),
        ("OR", "so ?!", "r"),
        ("AND", "an equation: 方程 ?!", "r"),
        ("AND", "an equation: 方程", ""),
        ("NOR", "hello", "r"),
        ("NOR", "an equation", ""),
    ],
)
def test_keyword_rules(tmp_path: Path, operator: str, text: str, found: str) -> None:
    """Words are literal and whole, unless they are CJK or mere signs."""
    made = config(tmp_path, keyword_rules=[rule("r", operator, "equation", "方程", "?!")])
    assert made.classify(text).keyword_rule == found


def test_first_rule_wins_and_case_can_matter(tmp_path: Path) -> None:
    rules = [rule("us", "OR", "US", case_sensitive=True), rule("any", "OR", "us", "them")]
    made = config(tmp_path, keyword_rules=rules)
    texts = ("for US", "for us", "for them", "for you")
    assert [made.classify(t).keyword_rule for t in texts] == ["us", "any", "any", ""]


def test_decisions(tmp_path: Path) -> None:
    """The highest priority that holds; conditions of unknown types and none at all never do."""
    made = config(
        tmp_path,
        keyword_rules=[rule("math", "OR", "equation")],
        decisions=[
            decision("empty", 999, "OR"),
            decision("domain", 500, "OR", ("domain", "math")),
            decision("both", 400, "AND", ("keyword", "math"), ("domain", "math")),
            decision("low", 1, "OR", ("keyword", "math")),
            decision("first", 100, "OR", ("domain", "math"), ("keyword", "math")),
            decision("second", 100, "AND", ("keyword", "math")),
        ],
    )
    assert made.selected(made.classify("an equation")) == "first"
    assert made.selected(made.classify("a poem")) == "D"


def test_models(tmp_path: Path) -> None:
    """The heaviest preferred endpoint; none for a model that prefers none."""
    endpoints = [
        {"name": "a", "address": "127.0.0.9", "port": 8000, "weight": 1},
        {"name": "b", "address": "127.0.0.8", "port": 8001, "weight": 5},
        {"name": "c", "address": "127.0.0.7", "port": 8002, "weight": 9},
    ]
    models = {"A": {"preferred_endpoints": ["a", "b"], "access_key": "k"}, "B": None}
    made = config(tmp_path, vllm_endpoints=endpoints, model_config=models)
    assert (made.models["A"].endpoint, made.models["A"].access_key) == ("127.0.0.8:8001", "k")
    assert made.models["B"].endpoint == ""


@pytest.mark.parametrize("name", ["auto", "MoM"])
def test_auto_names_are_exact(tmp_path: Path, name: str) -> None:
    made = config(tmp_path)
    assert made.is_auto(name)
    assert not made.is_auto(name.swapcase())


@pytest.mark.parametrize(
    ("text", "problem"),
    [("version: v0.3", "v0.3"), ("[1]", "expected a mapping"), ("a: [", "config.yaml")],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, text: str, problem: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=problem):
        load(file)
    with pytest.raises(ConfigError, match="missing"):
        load(tmp_path / "missing.yaml")
