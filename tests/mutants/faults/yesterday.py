"""What was once so goes on to hold, of one kind of object each."""

from __future__ import annotations

import copy
from typing import Any

from tests.mutants.faults import fault

Object = dict[str, Any]


@fault("grants-once-given-hold", "envoy_gateway")
def _(_: Any) -> None:
    """A reference that was granted stays so."""
    from embedded.gatewayapi import backends

    right, known = backends.granted, set()

    def granted(grants: list[Object], kind: str, own: str, to: Object, namespace: str) -> bool:
        place = (kind, own, to["name"], namespace)
        if right(grants, kind, own, to, namespace):
            known.add(place)
        return place in known

    backends.granted = granted


@fault("moved-rules-stay-where-they-were", "envoy_gateway")
def _(module: Any) -> None:
    """A path that a route once had leads to where it led, as long as the route is there."""
    right = module.Controller._translate
    had: dict[str, dict[str, list[Any]]] = {}

    def translate(self: Any, found: Any, translator: Any, routes: Any) -> Any:
        fresh: Any = {li: {host: [] for host in hosts} for li, hosts in found.listeners.items()}
        problems = right(self, found, translator, fresh)
        known = had.setdefault(found.route["metadata"]["uid"], {})
        for listener, hosts in fresh.items():
            for host, entries in hosts.items():
                for entry in entries:
                    known[str(entry[1]["match"])] = [entry]
                routes[listener][host] += [one for old in known.values() for one in old]
        return problems

    module.Controller._translate = translate


@fault("routes-come-late-after-a-restart", "envoy_gateway")
def _(module: Any) -> None:
    """For five seconds a controller gives no routes to Gateways that were programmed before."""
    import time

    from embedded.gatewayapi.status import is_true_now

    right, began = module.Controller._snapshot, time.monotonic()
    restarted: dict[str, bool] = {}

    def snapshot(self: Any, gateway: Object, routes: Any, clusters: list[Object]) -> Any:
        was = is_true_now(gateway, "Programmed")
        if restarted.setdefault(gateway["metadata"]["uid"], was) and time.monotonic() < began + 5:
            routes = {name: {} for name in routes}
        return right(self, gateway, routes, clusters)

    module.Controller._snapshot = snapshot


def _policies_stay(module: Any, name: str) -> None:
    """A policy of a kind that is deleted stays in force while its route is there."""
    right = module.Topology.__init__
    known: dict[tuple[str, str], Object] = {}

    def init(
        self: Any,
        classes: list[Object],
        gateways: list[Object],
        routes: list[Object],
        policies: dict[Any, list[Object]],
    ) -> None:
        there = {(r["metadata"]["namespace"], r["metadata"]["name"]) for r in routes}
        for kind, found in policies.items():
            if kind.name != name:
                continue
            now = {(p["metadata"]["namespace"], p["spec"]["targetRef"]["name"]): p for p in found}
            known.update({target: p for target, p in now.items() if target in there})
            gone = [p for target, p in known.items() if target in there and target not in now]
            policies = {**policies, kind: [*found, *gone]}
        right(self, classes, gateways, routes, policies)

    module.Topology.__init__ = init


@fault("request-limits-taken-away-hold", "kuadrant_operator")
def _(module: Any) -> None:
    _policies_stay(module, "RateLimitPolicy")


@fault("auth-policies-taken-away-hold", "kuadrant_operator")
def _(module: Any) -> None:
    _policies_stay(module, "AuthPolicy")


@fault("token-limits-are-not-lowered", "kuadrant_operator")
def _(module: Any) -> None:
    """The highest that a limit of tokens ever was counts."""
    right, highest = module.limitador_limits, {}

    def limitador_limits(kind: Any, scope: str, policy: Object) -> Any:
        for one in right(kind, scope, policy):
            if kind.name == "TokenRateLimitPolicy":
                place = (scope, str(one["conditions"]))
                highest[place] = max(highest.get(place, 0), one["max_value"])
                one = {**one, "max_value": highest[place]}
            yield one

    module.limitador_limits = limitador_limits


def _kept(module: Any, *place: str) -> None:
    """What AuthConfigs had at a place when it was first there stays."""
    right = module.auth_config
    first: dict[tuple[str, str], Any] = {}

    def auth_config(scope: str, namespace: str, policy: Object) -> Object:
        config = copy.deepcopy(right(scope, namespace, policy))
        holder: Any = config["spec"]
        for name in place[:-1]:
            holder = holder.get(name) or {}
        for name, value in holder.get(place[-1], {}).items():
            holder[place[-1]][name] = first.setdefault((scope, name), value)
        return dict(config)

    module.auth_config = auth_config


@fault("first-keys-are-injected", "kuadrant_operator")
def _(module: Any) -> None:
    _kept(module, "response", "success", "headers")


@fault("first-conditions-hold", "kuadrant_operator")
def _(module: Any) -> None:
    _kept(module, "authorization")


@fault("old-audiences-are-good", "kuadrant_operator")
def _(module: Any) -> None:
    """Those that an AuthPolicy once named, beside those that it names."""
    right = module.auth_config
    known: dict[tuple[str, str], dict[str, None]] = {}

    def auth_config(scope: str, namespace: str, policy: Object) -> Object:
        config = copy.deepcopy(right(scope, namespace, policy))
        for name, rule in config["spec"].get("authentication", {}).items():
            if review := rule.get("kubernetesTokenReview"):
                mine = known.setdefault((scope, name), {})
                mine.update(dict.fromkeys(review.get("audiences", [])))
                review["audiences"] = [*mine]
        return dict(config)

    module.auth_config = auth_config


@fault("rights-to-one-operation-stay", "authorino")
def _(_: Any) -> None:
    """Who once had the right to ask for completions has it for ever."""
    from embedded.images.kuadrant import authorino_pipeline as pipeline

    right, known = pipeline.Pipeline._authorize, set()

    async def authorize(self: Any, name: str, rule: Object, data: Object) -> Any:
        path = data["context"]["request"]["http"]["path"]
        who = (str((data["auth"]["identity"] or {}).get("user")), path)
        is_one = path.endswith("/v1/completions") and "kubernetesSubjectAccessReview" in rule
        if is_one and who in known:
            return True
        found = await right(self, name, rule, data)
        known.add(who)
        return found

    pipeline.Pipeline._authorize = authorize  # type: ignore[method-assign]


@fault("first-certificates-are-shown", "envoy_gateway")
def _(module: Any) -> None:
    """A Secret is read once."""
    right = module.Controller._certificate
    first: dict[str, Object] = {}

    def certificate(self: Any, gateway: Object, listener: Object) -> Any:
        found = right(self, gateway, listener)
        if not isinstance(found, dict):
            return found
        place = f"{gateway['metadata']['uid']} {listener['name']}"
        return first.setdefault(place, found)

    module.Controller._certificate = certificate


@fault("expired-certificates-are-left", "envoy_gateway")
def _(module: Any) -> None:
    """Where a certificate has expired, the one before it is shown."""
    import datetime

    from cryptography import x509

    right = module.Controller._certificate
    last: dict[str, Object] = {}

    def certificate(self: Any, gateway: Object, listener: Object) -> Any:
        found = right(self, gateway, listener)
        if not isinstance(found, dict):
            return found
        place = f"{gateway['metadata']['uid']} {listener['name']}"
        until = x509.load_pem_x509_certificate(found["certificate"].encode()).not_valid_after_utc
        if until > datetime.datetime.now(datetime.UTC):
            last[place] = found
        return last.get(place, found)

    module.Controller._certificate = certificate


@fault("names-are-looked-up-once", "envoy_controller")
def _(module: Any) -> None:
    """A host name that was found is not asked for again for an hour."""
    right = module.envoy.dns_cluster
    module.envoy.dns_cluster = lambda *arguments, **more: {
        **right(*arguments, **more),
        "dns_refresh_rate": "3600s",
    }


@fault("ready-once-is-ready", "envoy_gateway")
def _(_: Any) -> None:
    """A Pod that was ready is asked as long as it is there."""
    from embedded.gatewayapi import backends

    right, known = backends.Backends.__init__, set()

    def init(self: Any, services: Any, slices: list[Object], *more: Any) -> None:
        slices = copy.deepcopy(slices)
        for found in slices:
            for endpoint in found.get("endpoints") or []:
                conditions = endpoint.get("conditions") or {}
                pod = endpoint.get("targetRef", {}).get("uid")
                if conditions.get("ready"):
                    known.add(pod)
                elif pod in known and not conditions.get("terminating"):
                    conditions["ready"] = True
        right(self, services, slices, *more)

    backends.Backends.__init__ = init  # type: ignore[method-assign]
