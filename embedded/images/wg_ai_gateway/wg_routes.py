"""HTTPRoute rules → Envoy routes, as wg-ai-gateway makes them.

Upstream: kubernetes-sigs/wg-ai-gateway `pkg/translator/envoy/httproute.go`, with the prefix
rewrite of its pull request 38. As there, and other than Gateway API has it:

- a match's `method`, a query's `RegularExpression` and a rule's `timeouts` are not looked at, so
  that Envoy's own 15 s hold;
- where the prefix is rewritten, the path must go on behind it with a slash: bare `/openai` is
  404, `/openai//v1` becomes `//v1`, and of `/xv/models` with `/v1` comes `/v1models`;
- a URLRewrite of the host name alone does nothing, and beside a path's it is lost where the
  destination has a name of its own, which each request gets as Host;
- a redirect's code is a number that Envoy does not know, so that it takes nothing of the listener;
- host names are matched without a port;
- of two routes for the same path nobody knows which goes first: here the older.

Left out: RequestMirror, CORS, ExtensionRef, as upstream.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from embedded.gatewayapi.routes import Entry, by_value, header_changes, ordered

Object = dict[str, Any]
MISSING = "no-such-backend"  # a cluster that is not there


@dataclass(frozen=True)
class Backend:
    """An Envoy cluster, its weight, and the Host that it wants, if not the client's."""

    cluster: str
    weight: int
    host: str = ""


def envoy_routes(route: Object, index: int, name: str, backends: list[Backend]) -> list[Entry]:
    """An Envoy route for each match of a rule; without backends it answers 500."""
    rule = route["spec"]["rules"][index]
    out = []
    for number, match in enumerate(rule.get("matches") or [{}]):
        entry = {
            "name": name.format(match=number),
            "match": _match(match),
            **header_changes(rule),
            **_action(rule, backends),
        }
        prefix = entry["match"].get("path_separated_prefix")
        if prefix and "prefix_rewrite" in entry.get("route", {}):
            # Envoy would leave the slash behind the prefix: `/` in its place made `//v1`.
            del entry["match"]["path_separated_prefix"]
            entry["match"]["prefix"] = f"{prefix}/"
        out.append((_precedence(entry["match"]), entry))
    return out


def _match(match: Object) -> Object:
    path = match.get("path") or {}
    value = path.get("value", "/")
    out: Object = {"prefix": "/"}
    if path.get("type") == "Exact":
        out = {"path": value}
    elif path.get("type") == "RegularExpression":
        out = {"safe_regex": {"regex": value}}
    elif value != "/":
        out = {"path_separated_prefix": value.removesuffix("/")}
    if headers := [by_value(header) for header in match.get("headers") or []]:
        out["headers"] = headers
    if queries := match.get("queryParams"):
        out["query_parameters"] = [by_value({**query, "type": "Exact"}) for query in queries]
    return out


def _precedence(match: Object) -> tuple[Any, ...]:
    """Catch-all last, exact first, then by length and by the number of other conditions."""
    headers, queries = match.get("headers", []), match.get("query_parameters", [])
    regex = match.get("safe_regex", {}).get("regex", "").removesuffix("(/.*)?").replace("\\", "")
    path = match.get("path") or match.get("prefix") or match.get("path_separated_prefix") or regex
    everything = match.get("prefix") == "/" and not headers and not queries
    return everything, "path" not in match, -len(path), -len(headers), -len(queries)


def redirects(rule: Object) -> list[Object]:
    """The redirects of a rule, which then needs no backends."""
    filters = rule.get("filters") or []
    return [f["requestRedirect"] for f in filters if f["type"] == "RequestRedirect"]


def _action(rule: Object, backends: list[Backend]) -> Object:
    for redirect in redirects(rule):
        return {"redirect": _redirect(redirect)}
    if not backends:
        return {"direct_response": {"status": 500}}
    clusters = [
        {"name": b.cluster, "weight": b.weight}
        | ({"host_rewrite_literal": b.host} if b.host else {})
        for b in backends
    ]
    action: Object = {"weighted_clusters": {"clusters": clusters}}
    if any(b.cluster == MISSING for b in backends):
        action["cluster_not_found_response_code"] = "INTERNAL_SERVER_ERROR"
    for one in rule.get("filters") or []:
        if one["type"] == "URLRewrite":
            action |= _rewrite(one["urlRewrite"])
    return {"route": action}


def _rewrite(rewrite: Object) -> Object:
    path = rewrite.get("path") or {}
    host = {"host_rewrite_literal": rewrite["hostname"]} if rewrite.get("hostname") else {}
    if path.get("type") == "ReplaceFullPath":
        pattern = {"pattern": {"regex": ".*"}, "substitution": path["replaceFullPath"]}
        return {"regex_rewrite": pattern, **host}
    if path.get("replacePrefixMatch"):
        return {"prefix_rewrite": path["replacePrefixMatch"], **host}
    return {}


def _redirect(redirect: Object) -> Object:
    out: Object = {"response_code": redirect.get("statusCode", 302)}  # Envoy counts from 0
    for ours, theirs in (("scheme", "scheme_redirect"), ("hostname", "host_redirect"),
                         ("port", "port_redirect")):  # fmt: skip
        if ours in redirect:
            out[theirs] = redirect[ours]
    if path := redirect.get("path"):
        if path["type"] == "ReplaceFullPath":
            out["path_redirect"] = path["replaceFullPath"]
        else:
            out["prefix_rewrite"] = path["replacePrefixMatch"]
    return out


def virtual_hosts(gateway: str, port: int, routes: dict[str, list[Entry]]) -> list[Object]:
    """Host name → routes, as Envoy virtual hosts of a Gateway's port."""
    return [
        {"name": f"{gateway}-vh-{port}-{host}", "domains": [host], "routes": ordered(entries)}
        for host, entries in sorted(routes.items())
    ]
