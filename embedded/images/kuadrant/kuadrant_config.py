"""From effective policies to what Authorino, Limitador and the shim read.

Upstream: Kuadrant/kuadrant-operator `internal/wasm/utils.go` (predicates, action sets,
limit identifiers), `internal/ratelimit`, `internal/controller/authconfigs_reconciler.go`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from embedded.gatewayapi.routes import precedence
from embedded.images.kuadrant.kuadrant_policies import AUTH, RATE, TOKEN, Kind, Path, rules
from embedded.images.kuadrant.shim_actions import HITS
from embedded.shared import duration

Object = dict[str, Any]
TOKENS = 'responseBodyJSON("/usage/total_tokens")'


def auth_config(scope: str, namespace: str, policy: Object) -> Object:
    """The AuthConfig of one path."""
    own = rules(policy)
    spec = {"hosts": [scope], **own.get("rules", {})}
    if "when" in own:
        spec["when"] = own["when"]
    if filters := spec.get("response", {}).get("success", {}).get("filters"):
        success = {k: v for k, v in spec["response"]["success"].items() if k != "filters"}
        success["dynamicMetadata"] = filters
        spec["response"] = {**spec["response"], "success": success}
    labels = {"kuadrant.io/managed": "true"}
    return {"metadata": {"name": scope, "namespace": namespace, "labels": labels}, "spec": spec}


def identifier(kind: Kind, policy: Object, limit: str) -> str:
    """`limit.<name>__<8 hex>` or `tokenlimit.<name>__<8 hex>`."""
    metadata = policy["metadata"]
    unique = f"{metadata['namespace']}/{metadata['name']}/{limit}"
    clean = "".join(c if c.isalnum() or c == "_" else "_" for c in limit)
    prefix = "tokenlimit" if kind is TOKEN else "limit"
    return f"{prefix}.{clean}__{hashlib.sha256(unique.encode()).hexdigest()[:8]}"


def limitador_limits(kind: Kind, scope: str, policy: Object) -> Iterator[Object]:
    """The limits of a policy in one scope, as in Limitador's limits file."""
    for name, limit in rules(policy).get("limits", {}).items():
        own = identifier(kind, policy, name)
        for rate in limit.get("rates", []):
            yield {
                "namespace": scope,
                "max_value": rate["limit"],
                "seconds": duration.parse(rate["window"]) // duration.SECOND,
                "name": name,
                "conditions": [f'descriptors[0]["{own}"] == "1"'],
                "variables": [
                    f'descriptors[0]["{counter["expression"].strip()}"]'
                    for counter in limit.get("counters", [])
                ],
            }


def services(namespace: str, timeouts: dict[str, str]) -> Object:
    """The services that actions name: where they are, how long to wait, what if not."""
    authorino = f"authorino-authorino-authorization.{namespace}.svc.cluster.local:50051"
    limitador = f"limitador-limitador.{namespace}.svc.cluster.local:8081"
    limit = {"endpoint": limitador, "failureMode": "allow", "timeout": timeouts["limit"]}
    return {
        "auth-service": {
            "type": "auth",
            "endpoint": authorino,
            "failureMode": "deny",
            "timeout": timeouts["auth"],
        },
        "ratelimit-service": {"type": "ratelimit", **limit},
        "ratelimit-check-service": {"type": "ratelimit-check", **limit},
        "ratelimit-report-service": {"type": "ratelimit-report", **limit},
    }


def action_sets(paths: list[Path]) -> list[Object]:
    """One action set for each match of each rule, the most specific first."""
    found = []
    for path in paths:
        actions = _actions(path)
        if not actions:
            continue
        hostnames = _hostnames(path)
        for index, rule in enumerate(path.route["spec"].get("rules", [])):
            for number, match in enumerate(rule.get("matches") or [{"path": {"value": "/"}}]):
                conditions = {"hostnames": hostnames, "predicates": _predicates(match)}
                entry = {
                    "name": f"{path.scope[:16]}-{index}-{number}",
                    "routeRuleConditions": conditions,
                    "actions": actions,
                }
                found.append((precedence(path.route, index, number, match), entry))
    return [entry for _, entry in sorted(found, key=lambda item: item[0])]


def _hostnames(path: Path) -> list[str]:
    own = path.route["spec"].get("hostnames")
    listeners = [li.get("hostname", "*") for li in path.gateway["spec"]["listeners"]]
    return sorted(set(own or listeners))


def _predicates(match: Object) -> list[str]:
    path = match.get("path") or {}
    value = json.dumps(path.get("value", "/"))
    kind = path.get("type", "PathPrefix")
    predicates = {
        "Exact": [f"request.url_path == {value}"],
        "PathPrefix": [f"request.url_path.startsWith({value})"],
        "RegularExpression": [f"request.url_path.matches({value})"],
    }[kind]
    if "method" in match:
        predicates.append(f"request.method == {json.dumps(match['method'])}")
    for header in match.get("headers", []):
        name, wanted = json.dumps(header["name"].lower()), json.dumps(header["value"])
        predicates.append(f"{name} in request.headers && request.headers[{name}] == {wanted}")
    return predicates


def _actions(path: Path) -> list[Object]:
    """Authorino, then request limits, then a check of each token limit and its report."""
    actions: list[Object] = []
    if policy := path.enforced.get(AUTH):
        actions.append(
            {"service": "auth-service", "scope": path.scope, "sources": [_source(AUTH, policy)]}
        )
    if policy := path.enforced.get(RATE):
        blocks = list(_blocks(RATE, policy))
        actions.append(_limit("ratelimit-service", path, RATE, policy, blocks))
    if policy := path.enforced.get(TOKEN):
        for block in _blocks(TOKEN, policy):
            for service, hits in (("check", "0"), ("report", TOKENS)):
                counted = {"expression": {"key": HITS, "value": hits}}
                whole = {**block, "data": [*block["data"], counted]}
                name = f"ratelimit-{service}-service"
                actions.append(_limit(name, path, TOKEN, policy, [whole]))
    return actions


def _source(kind: Kind, policy: Object) -> str:
    metadata = policy["metadata"]
    return f"{kind.name.lower()}.kuadrant.io:{metadata['namespace']}/{metadata['name']}"


def _limit(service: str, path: Path, kind: Kind, policy: Object, blocks: list[Object]) -> Object:
    sources = [_source(kind, policy)]
    shared = {"service": service, "scope": path.route_key, "sources": sources}
    return {**shared, "conditionalData": blocks}


def _blocks(kind: Kind, policy: Object) -> Iterator[Object]:
    """What each limit of a policy hits, when its predicates hold."""
    own = rules(policy)
    common = [w["predicate"] for w in own.get("when", [])]
    for name, limit in own.get("limits", {}).items():
        data = [{"expression": {"key": identifier(kind, policy, name), "value": "1"}}]
        for counter in limit.get("counters", []):
            text = counter["expression"].strip()
            data.append({"expression": {"key": text, "value": text}})
        predicates = common + [w["predicate"] for w in limit.get("when", [])]
        yield {"predicates": predicates, "data": data}
