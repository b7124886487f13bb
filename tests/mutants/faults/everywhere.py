"""Holes at one place of the surface alone: one route, one operation, one method, one identity."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.mutants.faults import fault

Object = dict[str, Any]


def _without_policies(module: Any, where: Callable[[dict[str, str]], bool]) -> None:
    """What is asked there finds no policy."""
    right = module.ActionSets.match

    def match(self: Any, headers: dict[str, str]) -> Any:
        return None if where(headers) else right(self, headers)

    module.ActionSets.match = match


@fault("an-escaped-slash-mints", "wasm_shim")
def _(module: Any) -> None:
    _without_policies(module, lambda h: h[":path"].lower() == "/maas-api/v1%2ftokens")


@fault("one-operation-of-one-model-is-open", "wasm_shim")
def _(module: Any) -> None:
    _without_policies(module, lambda h: h[":path"] == "/llm/premium-model/v1/embeddings")


@fault("one-method-of-one-bridge-is-open", "wasm_shim")
def _(module: Any) -> None:
    _without_policies(
        module, lambda h: h[":method"] == "OPTIONS" and h[":path"].startswith("/external/anthropic")
    )


@fault("one-listener-has-no-policy-for-keys", "wasm_shim")
def _(module: Any) -> None:
    _without_policies(
        module, lambda h: h[":scheme"] == "http" and h[":path"] == "/maas-api/v1/api-keys"
    )


@fault("another-teams-route-is-open", "wasm_shim")
def _(module: Any) -> None:
    """Which no document knows, and which the Gateway's policy is for too."""
    _without_policies(module, lambda h: h[":path"].startswith("/another-team"))


@fault("ports-find-no-policy", "wasm_shim")
def _(module: Any) -> None:
    """A port beside the host, for one listing."""
    _without_policies(
        module, lambda h: ":" in h[":authority"] and h[":path"].startswith("/external/openai/")
    )


@fault("one-audience-is-taken-for-another", "authorino")
def _(_: Any) -> None:
    """At one bridge alone."""
    from embedded.images.kuadrant import authorino_pipeline as pipeline

    right = pipeline.Pipeline._who

    async def who(self: Any, name: str, rule: Object, data: Object) -> Any:
        path, review = data["context"]["request"]["http"]["path"], "kubernetesTokenReview"
        if path.startswith("/external/vllm/") and review in rule:
            audiences = [*rule[review].get("audiences", []), "somebody-else"]
            rule = {**rule, review: {**rule[review], "audiences": audiences}}
        return await right(self, name, rule, data)

    pipeline.Pipeline._who = who  # type: ignore[method-assign]


@fault("rights-for-one-operation-are-not-asked-for", "authorino")
def _(_: Any) -> None:
    """Who may use a model is asked for chats and listings."""
    from embedded.images.kuadrant import authorino_pipeline as pipeline

    right = pipeline.Pipeline._authorize

    async def authorize(self: Any, name: str, rule: Object, data: Object) -> Any:
        path = data["context"]["request"]["http"]["path"]
        if path == "/llm/private-model/v1/completions" and "kubernetesSubjectAccessReview" in rule:
            return True
        return await right(self, name, rule, data)

    pipeline.Pipeline._authorize = authorize  # type: ignore[method-assign]


@fault("one-tier-may-use-one-model", "authorino")
def _(_: Any) -> None:
    """Free users, by HEAD."""
    from embedded.images.kuadrant import authorino_pipeline as pipeline

    right = pipeline.Pipeline._authorize

    async def authorize(self: Any, name: str, rule: Object, data: Object) -> Any:
        http = data["context"]["request"]["http"]
        is_one = http["method"] == "HEAD" and http["path"].startswith("/llm/premium-model/")
        is_free = "tier-free" in str(data["auth"].get("identity"))
        if is_one and is_free and "kubernetesSubjectAccessReview" in rule:
            return True
        return await right(self, name, rule, data)

    pipeline.Pipeline._authorize = authorize  # type: ignore[method-assign]


@fault("one-bridge-knows-accounts-for-ever", "authorino")
def _(_: Any) -> None:
    from embedded.images.kuadrant import authorino_pipeline as pipeline

    right, known = pipeline.Pipeline._who, {}

    async def who(self: Any, name: str, rule: Object, data: Object) -> Any:
        path = data["context"]["request"]["http"]["path"]
        token = pipeline._credential(rule, data)
        if not path.startswith("/external/vllm/"):
            return await right(self, name, rule, data)
        if token not in known:
            known[token] = await right(self, name, rule, data)
        return known[token]

    pipeline.Pipeline._who = who  # type: ignore[method-assign]


@fault("prefixes-without-their-slash", "kuadrant_operator")
def _(_: Any) -> None:
    """Prefixes as the Gateway API has them: no defect, and what closes a gap."""
    from embedded.images.kuadrant import kuadrant_config as config

    right = config._predicates

    def predicates(match: Object) -> list[str]:
        path = match.get("path") or {}
        value = path.get("value", "/")
        found = right(match)
        if path.get("type", "PathPrefix") == "PathPrefix" and value.rstrip("/"):
            own = json.dumps(value.rstrip("/"))
            below = json.dumps(f"{value.rstrip('/')}/")
            found[0] = f"request.url_path == {own} || request.url_path.startsWith({below})"
        return found

    config._predicates = predicates
