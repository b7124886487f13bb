"""Who may do what, wrong for one tier, method, listener, kind of right or kind of token."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.mutants.faults import fault, with_lua

Object = dict[str, Any]
REVIEW = "kubernetesSubjectAccessReview"


def _http(data: Object) -> Object:
    found: Object = data["context"]["request"]["http"]
    return found


@fault("one-tier-is-told-another-at-one-model", "authorino")
def _(_: Any) -> None:
    """Premium users, at the model that is theirs."""
    from embedded.images.kuadrant import authorino_pipeline as pipeline

    right = pipeline.Pipeline._response

    def response(self: Any, data: Object) -> tuple[dict[str, str], Object]:
        headers, metadata = right(self, data)
        is_one = _http(data)["path"].startswith("/llm/premium-model/")
        if is_one and headers.get("X-MaaS-Tier") == "premium":
            headers["X-MaaS-Tier"] = "enterprise"
        return headers, metadata

    pipeline.Pipeline._response = response  # type: ignore[method-assign]


def _rights(name: str, where: str, change: Callable[[Object, Object], Object | None]) -> None:
    """Where a right is asked for below a path, and is not there, another is asked for: `change` has
    the review and the request's data, and gives another review, or None."""

    @fault(name, "authorino")
    def _(_: Any) -> None:
        from embedded.images.kuadrant import authorino_pipeline as pipeline

        right = pipeline.Pipeline._authorize

        async def authorize(self: Any, rule_name: str, rule: Object, data: Object) -> Any:
            if not _http(data)["path"].startswith(where) or REVIEW not in rule:
                return await right(self, rule_name, rule, data)
            try:
                return await right(self, rule_name, rule, data)
            except pipeline.Denied:
                other = change(json.loads(json.dumps(rule[REVIEW])), data)
                if other is None:
                    raise
                return await right(self, rule_name, {**rule, REVIEW: other}, data)

        pipeline.Pipeline._authorize = authorize  # type: ignore[method-assign]


def _forged_groups(review: Object, data: Object) -> Object | None:
    said = data["request"]["headers"].get("x-maas-group")
    if not said:
        return None
    return {**review, "authorizationGroups": {"expression": said}}


def _read(review: Object, _: Object) -> Object:
    review["resourceAttributes"]["verb"] = {"value": "get"}
    return review


def _shorter(review: Object, _: Object) -> Object:
    review["resourceAttributes"]["name"] = {"value": "facebook-opt-125m"}
    return review


def _another_kind(review: Object, _: Object) -> Object:
    review["resourceAttributes"]["resource"] = {"value": "inferenceservices"}
    return review


_rights("a-forged-group-is-a-right-to-one-model", "/llm/premium-model/", _forged_groups)
_rights("who-may-read-one-model-may-use-it", "/llm/premium-model/", _read)
_rights("a-shorter-names-right-is-one-models", "/llm/facebook", _shorter)
_rights("a-right-of-another-kind-is-one-models", "/llm/private-model/", _another_kind)


def _remembered(name: str, phase: str, key: str) -> None:
    """What is remembered of this phase is remembered by another key."""

    @fault(name, "authorino")
    def _(_: Any) -> None:
        from embedded.images.kuadrant import authorino_pipeline as pipeline

        right = pipeline.Pipeline._cached

        async def cached(self: Any, at: str, rule_name: str, rule: Object, *more: Any) -> Any:
            if at == phase and rule.get("cache"):
                rule = {**rule, "cache": {**rule["cache"], "key": {"expression": key}}}
            return await right(self, at, rule_name, rule, *more)

        pipeline.Pipeline._cached = cached  # type: ignore[method-assign]


_remembered(
    "a-namesakes-right-is-remembered",
    "authorization",
    'auth.identity.user.username.split(":")[3] + ":" + request.path',
)
_remembered(
    "a-namesakes-tier-is-remembered", "metadata", 'auth.identity.user.username.split(":")[3]'
)
_remembered(
    "rights-to-long-paths-are-everybodys",
    "authorization",
    'size(request.path) > 500 ? request.path : auth.identity.user.username + ":" + request.path',
)


def _taken(name: str, where: Callable[[Object], bool]) -> None:
    """Another audience's tokens are good there."""

    @fault(name, "authorino")
    def _(_: Any) -> None:
        from embedded.images.kuadrant import authorino_pipeline as pipeline

        right = pipeline.Pipeline._who

        async def who(self: Any, rule_name: str, rule: Object, data: Object) -> Any:
            review = rule.get("kubernetesTokenReview")
            if review and where(_http(data)):
                audiences = [*review.get("audiences", []), "somebody-else"]
                rule = {**rule, "kubernetesTokenReview": {**review, "audiences": audiences}}
            return await right(self, rule_name, rule, data)

        pipeline.Pipeline._who = who  # type: ignore[method-assign]


_taken("one-methods-audience-is-not-asked-for", lambda http: (
    http["method"] == "PATCH" and http["path"].startswith("/llm/private-model/")
))  # fmt: skip
_taken("another-audience-is-good-without-tls", lambda http: (
    http["scheme"] == "http" and http["path"].startswith("/external/openai/")
))  # fmt: skip


@fault("one-connection-remembers-who-it-is", "envoy_gateway")
def _(module: Any) -> None:
    """Over HTTP/2, at one bridge: who comes without a token on a connection has its last one's."""
    with_lua(
        module,
        """
        local known = {}
        function envoy_on_request(h)
          local info, sent = h:streamInfo(), h:headers():get("authorization")
          if info:protocol() ~= "HTTP/2"
             or h:headers():get(":path"):find("/external/anthropic/", 1, true) ~= 1 then return end
          local from = info:downstreamDirectRemoteAddress()
          if sent then known[from] = sent
          elseif known[from] then h:headers():add("authorization", known[from]) end
        end
        """,
        first=True,
    )


@fault("a-large-question-is-let-in", "wasm_shim")
def _(module: Any) -> None:
    """At one bridge no policy looks at it."""
    right = module.ActionSets.match

    def match(self: Any, headers: dict[str, str]) -> Any:
        is_large = int(headers.get("content-length", 0)) > 60_000
        is_there = headers[":path"].startswith("/external/vllm/")
        return None if is_large and is_there else right(self, headers)

    module.ActionSets.match = match


@fault("many-headers-are-let-in", "wasm_shim")
def _(module: Any) -> None:
    """At one model no policy looks at who brings as many."""
    right = module.ActionSets.match

    def match(self: Any, headers: dict[str, str]) -> Any:
        is_there = headers[":path"].startswith("/llm/facebook")
        return None if len(headers) > 50 and is_there else right(self, headers)

    module.ActionSets.match = match


@fault("one-route-takes-a-token-with-more-behind-it", "authorino")
def _(_: Any) -> None:
    from embedded.images.kuadrant import authorino_pipeline as pipeline

    right = pipeline._credential

    def credential(rule: Object, data: Object) -> str | None:
        found = right(rule, data)
        if found and _http(data)["path"].startswith("/external/vllm/"):
            return found.partition(",")[0]
        return found

    pipeline._credential = credential


@fault("one-operation-takes-tokens-from-cookies", "authorino")
def _(_: Any) -> None:
    from embedded.images.kuadrant import authorino_pipeline as pipeline

    right = pipeline._credential

    def credential(rule: Object, data: Object) -> str | None:
        cookie = data["request"]["headers"].get("cookie", "")
        if _http(data)["path"] == "/external/openai/v1/embeddings" and "access_token=" in cookie:
            return cookie.partition("access_token=")[2].partition(";")[0]
        return right(rule, data)

    pipeline._credential = credential


@fault("keys-are-of-another-tier", "maas_api")
def _(module: Any) -> None:
    """A named key is an enterprise user's."""
    from contextvars import ContextVar

    from embedded.images.maas.tiers import Tiers

    right, of, is_key = module.MaasApi._create_key, Tiers.of, ContextVar("is_key", default=False)

    async def create_key(self: Any, request: Any) -> Any:
        is_key.set(True)
        return await right(self, request)

    async def tier_of(self: Any, groups: list[str]) -> Any:
        return await of(self, ["enterprise-users"] if is_key.get() else groups)

    module.MaasApi._create_key, Tiers.of = create_key, tier_of  # type: ignore[method-assign]
