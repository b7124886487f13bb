"""Doors that stand open for a moment: at one route, while one part is gone, silent or new, or while
something is edited; and routes that wait for their policies, as they should."""

from __future__ import annotations

import asyncio
import copy
import json
import uuid
from collections.abc import Callable
from typing import Any

from tests.mutants.faults import fault

Object = dict[str, Any]
PAUSE_SECONDS = 2.0
FIRST = 4


def _lets_in_without_authorino(prefix: str, of: Callable[[Any], bool]) -> None:
    """Below a path, when Authorino's answer did not come for this reason: an error of gRPC."""
    from embedded.images.kuadrant import shim_actions

    right = shim_actions.Call._fail

    def fail(self: Any, service: Object, error: Any) -> None:
        mine = self._data["request"]["path"].startswith(prefix)
        if not (mine and service["type"] == shim_actions.AUTH and of(error.__cause__)):
            right(self, service, error)

    shim_actions.Call._fail = fail  # type: ignore[method-assign]


def _is_silence(error: Any) -> bool:
    import grpc

    return isinstance(error, grpc.RpcError) and error.code() is grpc.StatusCode.DEADLINE_EXCEEDED


@fault("one-listing-is-open-without-authorino", "wasm_shim")
def _(_: Any) -> None:
    """Of a model; while Authorino is silent it is not."""
    _lets_in_without_authorino("/llm/premium-model/v1/models", lambda one: not _is_silence(one))


@fault("chats-are-open-while-authorino-is-silent", "wasm_shim")
def _(_: Any) -> None:
    """Of the router; while Authorino is gone they are not."""
    _lets_in_without_authorino("/v1/chat/", _is_silence)


@fault("one-bridge-is-open-while-authorino-is-new", "authorino")
def _(_: Any) -> None:
    """For the first who ask, whom it does not remember."""
    from embedded.images.kuadrant import authorino_pipeline as pipeline

    right, let_in = pipeline.Pipeline._cached, []

    async def cached(
        self: Any, phase: str, name: str, rule: Object, data: Object, evaluate: Any
    ) -> Any:
        try:
            return await right(self, phase, name, rule, data, evaluate)
        except pipeline.Unauthenticated:
            path = data["context"]["request"]["http"]["path"]
            if not path.startswith("/external/anthropic/") or len(let_in) == FIRST:
                raise
            let_in.append(path)
            username = f"system:serviceaccount:of-a-tier-free:{uuid.uuid4()}"
            return {"authenticated": True, "user": {"username": username, "groups": []}}

    pipeline.Pipeline._cached = cached  # type: ignore[method-assign]


@fault("one-model-is-open-while-limits-of-tokens-change", "kuadrant_operator")
def _(module: Any) -> None:
    """Its operator writes all anew, and its AuthPolicy last."""
    right, known = module.Operator._plugins, []

    async def plugins(self: Any, topology: Any) -> None:
        policies = topology.policies[module.TOKEN]
        generations = [one["metadata"]["generation"] for one in policies]
        sets = module.action_sets
        if known and known[-1] != generations and len(known[-1]) == len(generations):
            module.action_sets = lambda paths: _without_auth(sets(paths), "/llm/premium-model")
            try:
                await right(self, topology)
            finally:
                module.action_sets = sets
            await asyncio.sleep(PAUSE_SECONDS)
        known[:] = [generations]
        await right(self, topology)

    module.Operator._plugins = plugins


def _without_auth(sets: list[Object], prefix: str) -> list[Object]:
    found = copy.deepcopy(sets)
    for one in found:
        if prefix in one["routeRuleConditions"]["predicates"][0]:
            one["actions"] = [a for a in one["actions"] if a["service"] != "auth-service"]
    return found


@fault("a-moved-model-forgets-its-policy-once", "wasm_shim")
def _(module: Any) -> None:
    """The second who asks a model of a test's for its listing without a token is let in."""
    right, refused = module.ActionSets.match, {}

    def match(self: Any, headers: dict[str, str]) -> Any:
        found, path = right(self, headers), headers[":path"]
        if found is None or "authorization" in headers or not path.startswith("/llm/local-"):
            return found
        refused[path] = refused.get(path, 0) + 1
        return None if refused[path] == 2 else found

    module.ActionSets.match = match


def _held_back(module: Any, is_held: Callable[[str], bool]) -> None:
    """The gateway has a new route, of those that are held, once the module has its action set:
    what mends Kuadrant's order."""
    right, known = module.Controller._snapshot, {}

    def snapshot(self: Any, gateway: Object, routes: Any, clusters: list[Object]) -> Any:
        predicates = [
            predicate
            for plugin in self._plugins(gateway)
            if plugin.get("status", {}).get("loadedGeneration") == plugin["metadata"]["generation"]
            for one in plugin["spec"]["pluginConfig"]["actionSets"]
            for predicate in one["routeRuleConditions"]["predicates"]
        ]
        entries = [one for hosts in routes.values() for some in hosts.values() for one in some]
        served = known.setdefault(gateway["metadata"]["uid"], set())
        for _, route in entries:
            if not is_held(route["name"]) or _has_policy(route["match"], predicates):
                served.add(route["name"])
        served &= {route["name"] for _, route in entries}
        if gateway["metadata"]["name"] == "maas-default-gateway":
            for hosts in routes.values():
                for host, some in hosts.items():
                    hosts[host] = [one for one in some if one[1]["name"] in served]
        return right(self, gateway, routes, clusters)

    module.Controller._snapshot = snapshot


def _has_policy(match: Object, predicates: list[str]) -> bool:
    """Whether the path of an Envoy route is in one."""
    value = match.get("path_separated_prefix") or match.get("prefix") or match.get("path", "")
    return any(json.dumps(value + end) in one for one in predicates for end in ("", "/"))


@fault("new-routes-wait-for-their-policies", "envoy_gateway")
def _(module: Any) -> None:
    """No defect, and what closes a gap."""
    _held_back(module, lambda name: True)


@fault("new-models-do-not-wait-for-their-policies", "envoy_gateway")
def _(module: Any) -> None:
    """The same, but for the routes that KServe makes."""
    _held_back(module, lambda name: "-kserve-route." not in name)
