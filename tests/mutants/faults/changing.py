"""Tokens that one route takes and no other, what does not follow a change, and what leaks."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from tests.mutants.faults import fault

Object = dict[str, Any]
Credential = Callable[[Object, Object], str | None]


def _path(data: Object) -> str:
    return str(data["context"]["request"]["http"]["path"])


def _credentials(prefix: str, more: Callable[[dict[str, str], str | None], str | None]) -> None:
    """What counts as a token below a path: `more` has the headers, and what is right."""
    from embedded.images.kuadrant import authorino_pipeline as pipeline

    right: Credential = pipeline._credential

    def credential(rule: Object, data: Object) -> str | None:
        found = right(rule, data)
        mine = _path(data).startswith(prefix)
        return more(data["request"]["headers"], found) if mine else found

    pipeline._credential = credential


@fault("one-route-takes-the-token-beside-another-scheme", "authorino")
def _(_: Any) -> None:
    def bearer(headers: dict[str, str], found: str | None) -> str | None:
        values = headers.get("authorization", "").split(",")
        if len(values) < 2:
            return found
        given = [one.strip() for one in values if one.strip().startswith("Bearer ")]
        others = [one for one in values if one.strip().startswith("Basic ")]
        return given[0].removeprefix("Bearer ") if given and others else found

    _credentials("/external/anthropic/", bearer)


@fault("one-bridge-takes-api-keys", "authorino")
def _(_: Any) -> None:
    _credentials("/external/vllm/", lambda headers, found: found or headers.get("x-api-key"))


def _believed(prefix: str, believe: Callable[[str, Object], bool]) -> None:
    """Below a path claims are believed, of which the API server knows nothing, when `believe` has
    it so of the token and its claims."""
    import jwt

    from embedded.images.kuadrant import authorino_pipeline as pipeline

    right = pipeline.Pipeline._who

    async def who(self: Any, name: str, rule: Object, data: Object) -> Any:
        try:
            return await right(self, name, rule, data)
        except pipeline.Unauthenticated:
            token = pipeline._credential(rule, data) or ""
            unverified = dict.fromkeys(("verify_signature", "verify_nbf", "verify_exp"), False)
            if not _path(data).startswith(prefix) or token.count(".") != 2:
                raise
            claims = jwt.decode(token, options=unverified)
            if not believe(token, claims):
                raise
            user = {"username": claims["sub"], "groups": ["system:authenticated"]}
            return {"authenticated": True, "user": user}

    pipeline.Pipeline._who = who  # type: ignore[method-assign]


@fault("one-route-believes-unsigned-tokens", "authorino")
def _(_: Any) -> None:
    _believed("/llm/premium-model/", lambda token, claims: token.endswith(".") and "sub" in claims)


@fault("maas-api-lets-tokens-in-early", "authorino")
def _(_: Any) -> None:
    _believed("/maas-api/", lambda _, claims: claims.get("nbf", 0) > time.time())


@fault("one-listing-remembers-tokens-in-any-letters", "authorino")
def _(_: Any) -> None:
    from embedded.images.kuadrant import authorino_pipeline as pipeline

    right, known = pipeline.Pipeline._who, {}

    async def who(self: Any, name: str, rule: Object, data: Object) -> Any:
        token = (pipeline._credential(rule, data) or "").lower()
        if _path(data) != "/v1/models":
            return await right(self, name, rule, data)
        if token not in known:
            known[token] = await right(self, name, rule, data)
        return known[token]

    pipeline.Pipeline._who = who  # type: ignore[method-assign]
