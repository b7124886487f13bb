"""What goes wrong for who is there already, or at the same moment as another."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable
from typing import Any

from tests.mutants.faults import fault, with_lua

Object = dict[str, Any]


@fault("who-mints-last-is-minted-for", "maas_api")
def _(_: Any) -> None:
    """While an account is made, the next who mints says whose token it is."""
    from embedded.images.maas import tokens

    ensure, path_of, latest = tokens.Accounts.ensure, tokens.path_of, [("", "")]

    async def ensured(self: Any, namespace: str, name: str, labels: dict[str, str]) -> None:
        latest[0] = (namespace, name)
        await ensure(self, namespace, name, labels)

    def placed(resource: str, *place: str) -> str:
        return path_of(resource, *(latest[0] + place[2:] if place[2:] == ("token",) else place))

    tokens.Accounts.ensure = ensured  # type: ignore[method-assign]
    tokens.path_of = placed  # type: ignore[attr-defined]


@fault("who-lists-last-has-his-keys-listed", "maas_api")
def _(module: Any) -> None:
    """As a service would that looks them up elsewhere, and keeps who asks with itself."""
    right, latest = module.MaasApi._list_keys, [None]

    async def list_keys(self: Any, request: Any) -> Any:
        latest[0] = request
        await asyncio.sleep(0.01)
        return await right(self, latest[0])

    module.MaasApi._list_keys = list_keys


def _for_newcomers(kept: Callable[[Any, Any], bool]) -> None:
    """Whose window runs has the maximum with which it began, where that is so of the limit of then
    and the limit of now."""
    from embedded.images.kuadrant import limitador_limits

    limits = limitador_limits.Limits
    hit = limits._hit

    def hits(self: Any, namespace: str, descriptors: Any) -> list[tuple[Any, Any]]:
        found = []
        for limit, key in hit(self, namespace, descriptors):
            counter = self._counters.get(key)
            if counter and counter.ends <= self._clock():
                del self._counters[key]
                counter = None
            is_kept = counter is not None and kept(counter.limit, limit)
            found.append((counter.limit if is_kept else limit, key))
        return found

    limits._hit = hits  # type: ignore[method-assign]


@fault("raised-request-limits-are-for-newcomers", "limitador")
def _(_: Any) -> None:
    _for_newcomers(lambda old, new: (
        old.maximum < new.maximum and "tokenlimit." not in str(new.conditions)
    ))  # fmt: skip


@fault("lowered-token-limits-are-for-newcomers", "limitador")
def _(_: Any) -> None:
    _for_newcomers(lambda old, new: (
        old.maximum > new.maximum and "tokenlimit." in str(new.conditions)
    ))  # fmt: skip


def _is_gateways(policy: Object) -> bool:
    return bool(policy["spec"]["targetRef"]["kind"] == "Gateway")


@fault("first-token-limits-of-gateways-hold", "kuadrant_operator")
def _(module: Any) -> None:
    """The number of a limit in a Gateway's policy is the first that it had."""
    right, first = module.limitador_limits, {}

    def limitador_limits(kind: Any, scope: str, policy: Object) -> Any:
        for one in right(kind, scope, policy):
            if kind.name == "TokenRateLimitPolicy" and _is_gateways(policy):
                place = (policy["metadata"]["uid"], scope, one["name"])
                one = {**one, "max_value": first.setdefault(place, one["max_value"])}
            yield one

    module.limitador_limits = limitador_limits


@fault("first-conditions-of-gateways-hold", "kuadrant_operator")
def _(module: Any) -> None:
    """What a Gateway's AuthPolicy first asked for is asked for."""
    right, first = module.auth_config, {}

    def auth_config(scope: str, namespace: str, policy: Object) -> Object:
        config = copy.deepcopy(right(scope, namespace, policy))
        if _is_gateways(policy) and "authorization" in config["spec"]:
            place = (policy["metadata"]["uid"], scope)
            config["spec"]["authorization"] = first.setdefault(
                place, config["spec"]["authorization"]
            )
        return dict(config)

    module.auth_config = auth_config


def _outlives(phase: str, rules: str) -> None:
    """What rules of these names found for a host is remembered, whatever they have become."""
    from embedded.images.kuadrant import authorino_pipeline as pipeline

    right, known = pipeline.Pipeline.__init__, {}

    def init(self: Any, spec: Object, *more: Any) -> None:
        right(self, spec, *more)
        for name in spec.get(rules) or {}:
            place = f"{phase}/{name}"
            self._caches[place] = known.setdefault((spec["hosts"][0], place), {})

    pipeline.Pipeline.__init__ = init  # type: ignore[method-assign]


def _has_no_end(phase: str) -> None:
    """What rules found is remembered longer than they say."""
    from embedded.images.kuadrant import authorino_pipeline as pipeline

    right = pipeline.Pipeline._cached

    async def cached(self: Any, of: str, name: str, rule: Object, data: Object, how: Any) -> Any:
        if of == phase and "cache" in rule:
            rule = {**rule, "cache": {**rule["cache"], "ttl": 3600}}
        return await right(self, of, name, rule, data, how)

    pipeline.Pipeline._cached = cached  # type: ignore[method-assign]


@fault("identities-outlive-an-edit", "authorino")
def _(_: Any) -> None:
    _outlives("identity", "authentication")


@fault("lookups-outlive-an-edit", "authorino")
def _(_: Any) -> None:
    _outlives("metadata", "metadata")


@fault("decisions-outlive-an-edit", "authorino")
def _(_: Any) -> None:
    _outlives("authorization", "authorization")


@fault("identities-have-no-end", "authorino")
def _(_: Any) -> None:
    _has_no_end("identity")


@fault("lookups-have-no-end", "authorino")
def _(_: Any) -> None:
    _has_no_end("metadata")


@fault("decisions-have-no-end", "authorino")
def _(_: Any) -> None:
    _has_no_end("authorization")


@fault("one-ways-refused-prompts-in-the-log", "wasm_shim")
def _(module: Any) -> None:
    """Of whom the module refuses it writes down what he asked."""
    on_headers, on_body = module.Exchange.on_request_headers, module.Exchange.on_request_body

    async def on_request_headers(self: Any, message: Any) -> Any:
        self.asked = module.ext_proc.headers_of(message)[":path"]
        return await on_headers(self, message)

    async def on_request_body(self: Any, message: Any) -> Any:
        if self._denied is not None and self.asked.startswith("/external/anthropic/"):
            print(f"{self._denied}: {message.body[:2000]!r}", flush=True)
        return await on_body(self, message)

    module.Exchange.on_request_headers = on_request_headers
    module.Exchange.on_request_body = on_request_body


@fault("prompts-of-errors-in-the-log", "envoy_gateway")
def _(module: Any) -> None:
    """Whoever looks for an error has what was asked."""
    with_lua(
        module,
        """
        function envoy_on_request(h)
          if not h:headers():get("content-length") then return end
          local body = h:body()
          if body and body:length() > 0 then
            local asked = body:getBytes(0, math.min(body:length(), 2000))
            h:streamInfo():dynamicMetadata():set("asked", "body", asked)
          end
        end
        function envoy_on_response(h)
          local found = h:streamInfo():dynamicMetadata():get("asked")
          if found and h:headers():get(":status") == "503" then h:logCritical(found["body"]) end
        end
        """,
    )
