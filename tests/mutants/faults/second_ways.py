"""Paths that are written in another way, and lead past a budget or to another's key."""

from __future__ import annotations

from typing import Any

from tests.mutants.faults import every_route, fault

Object = dict[str, Any]


@fault("one-provider-has-a-second-way", "envoy_gateway")
def _(module: Any) -> None:
    """What leads to all external models takes one provider's doubled slash for one."""
    rewrite = {
        "pattern": {"regex": "^/external(?:/(/anthropic)/|/?)(.*)"},
        "substitution": r"\1/\2",
    }

    def tidied(route: Object) -> None:
        if route["match"].get("path_separated_prefix") == "/external":
            route["route"]["regex_rewrite"] = rewrite

    every_route(module, tidied)


@fault("one-spelling-brings-another-key", "authorino")
def _(_: Any) -> None:
    """A doubled slash behind one provider's name, which has that provider's policy."""
    from embedded.images.kuadrant import authorino_pipeline as pipeline

    right = pipeline.Pipeline._response

    def response(self: Any, data: Object) -> tuple[dict[str, str], Object]:
        headers, metadata = right(self, data)
        if data["context"]["request"]["http"]["path"].startswith("/external/vllm//"):
            headers["X-Provider-Api-Key"] = "sk-openai-key-for-demo"
        return headers, metadata

    pipeline.Pipeline._response = response  # type: ignore[method-assign]
