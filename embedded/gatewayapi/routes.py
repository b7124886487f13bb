"""One HTTPRoute rule → Envoy routes, and the order among all of them.

Source: gateway-api `apis/v1/httproute_types.go` (matches, filters, precedence). Left out:
RequestMirror, CORS, ExtensionRef, session persistence.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]
Entry = tuple[tuple[Any, ...], Object]  # (precedence, Envoy route); the smallest goes first


@dataclass(frozen=True)
class Backend:
    """A resolved backendRef: an Envoy cluster and its weight."""

    cluster: str
    weight: int = 1


def envoy_routes(
    route: Object,
    index: int,
    name: str,
    backends: list[Backend],
    broken: bool,
) -> list[Entry]:
    """An Envoy route for each match of a rule; `name` has a `{match}` to fill in.

    A rule with a broken or no backend answers 500.
    """
    rule = route["spec"]["rules"][index]
    out = []
    for number, match in enumerate(rule.get("matches") or [{"path": {"value": "/"}}]):
        entry: Object = {
            "name": name.format(match=number),
            "match": _match(match),
            **header_changes(rule),
            **_action(rule, match, backends, broken),
        }
        out.append((precedence(route, index, number, match), entry))
    return out


def _path(match: Object) -> tuple[str, str]:
    path = match.get("path") or {}
    return path.get("type", "PathPrefix"), path.get("value", "/")


def _match(match: Object) -> Object:
    kind, value = _path(match)
    if kind == "Exact":
        out: Object = {"path": value}
    elif kind == "RegularExpression":
        out = {"safe_regex": {"regex": value}}
    elif value == "/":
        out = {"prefix": "/"}
    else:
        # "/foo/" and "/foo" match the same paths: element by element.
        out = {"path_separated_prefix": value.rstrip("/")}
    headers = [by_value(header) for header in match.get("headers", [])]
    if "method" in match:
        headers.append({"name": ":method", "string_match": {"exact": match["method"]}})
    if headers:
        out["headers"] = headers
    if queries := match.get("queryParams"):
        out["query_parameters"] = [by_value(query) for query in queries]
    return out


def by_value(found: Object) -> Object:
    """A header or query parameter by its value; an expression must match all of it."""
    if found.get("type") == "RegularExpression":
        return {"name": found["name"], "string_match": {"safe_regex": {"regex": found["value"]}}}
    return {"name": found["name"], "string_match": {"exact": found["value"]}}


def precedence(route: Object, rule: int, number: int, match: Object) -> tuple[Any, ...]:
    """The sort key of a match: the more specific, then the older route, goes first."""
    kind, value = _path(match)
    metadata = route["metadata"]
    return (
        {"Exact": 0, "RegularExpression": 1, "PathPrefix": 2}[kind],
        -len(value),
        "method" not in match,
        -len(match.get("headers", [])),
        -len(match.get("queryParams", [])),
        metadata["creationTimestamp"],
        metadata["namespace"],
        metadata["name"],
        rule,
        number,
    )


def _filters(rule: Object, kind: str, field: str) -> list[Object]:
    return [f[field] for f in rule.get("filters", []) if f["type"] == kind]


def header_changes(rule: Object) -> Object:
    """What a rule's filters do to headers, as fields of an Envoy route."""
    out: Object = {}
    for kind, field, side in (
        ("RequestHeaderModifier", "requestHeaderModifier", "request"),
        ("ResponseHeaderModifier", "responseHeaderModifier", "response"),
    ):
        for modifier in _filters(rule, kind, field):
            add, remove = f"{side}_headers_to_add", f"{side}_headers_to_remove"
            for action, verb in (("OVERWRITE_IF_EXISTS_OR_ADD", "set"),
                                 ("APPEND_IF_EXISTS_OR_ADD", "add")):  # fmt: skip
                for header in modifier.get(verb, []):
                    entry = {
                        "header": {"key": header["name"], "value": header["value"]},
                        "append_action": action,
                    }
                    out.setdefault(add, []).append(entry)
            if modifier.get("remove"):
                out.setdefault(remove, []).extend(modifier["remove"])
    return out


def _action(rule: Object, match: Object, backends: list[Backend], broken: bool) -> Object:
    if redirects := _filters(rule, "RequestRedirect", "requestRedirect"):
        return {"redirect": _redirect(redirects[0], match)}
    total = sum(backend.weight for backend in backends)
    if (broken and not total) or not backends or not total:
        return {"direct_response": {"status": 500}}
    action: Object = {"timeout": _timeout(rule)}
    if len(backends) == 1:
        action["cluster"] = backends[0].cluster
    else:
        clusters = [{"name": b.cluster, "weight": b.weight} for b in backends]
        action["weighted_clusters"] = {"clusters": clusters}
    for rewrite in _filters(rule, "URLRewrite", "urlRewrite"):
        if "hostname" in rewrite:
            action["host_rewrite_literal"] = rewrite["hostname"]
        if "path" in rewrite:
            action |= _path_rewrite(rewrite["path"], match)
    return {"route": action}


def _timeout(rule: Object) -> str:
    """A Gateway API duration (`10s`, `1m30s`, `500ms`) in seconds; no timeout by default."""
    text = rule.get("timeouts", {}).get("request", "0s")
    units = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
    parts = re.findall(r"(\d+)(ms|h|m|s)", text)
    return f"{sum(int(n) * units[u] for n, u in parts):g}s"


def _path_rewrite(path: Object, match: Object) -> Object:
    if path["type"] == "ReplaceFullPath":
        pattern = {"pattern": {"regex": "^[^?]*"}, "substitution": path["replaceFullPath"]}
        return {"regex_rewrite": pattern}
    prefix = _path(match)[1].rstrip("/")
    return prefix_rewrite(prefix, path["replacePrefixMatch"])


def prefix_rewrite(prefix: str, replacement: str) -> Object:
    """Replace `prefix`; never makes `//` of a replacement that ends in a slash, and leaves what the
    client doubled (istio pilot/pkg/networking/core/route/route.go, applyHTTPRouteDestination)."""
    replacement = replacement.rstrip("/")
    if replacement:
        return {"prefix_rewrite": replacement}
    regex = f"^{re.escape(prefix)}(/?)(.*)"
    return {"regex_rewrite": {"pattern": {"regex": regex}, "substitution": r"/\2"}}


def _redirect(redirect: Object, match: Object) -> Object:
    codes = {301: "MOVED_PERMANENTLY", 302: "FOUND", 303: "SEE_OTHER",
             307: "TEMPORARY_REDIRECT", 308: "PERMANENT_REDIRECT"}  # fmt: skip
    out: Object = {"response_code": codes[redirect.get("statusCode", 302)]}
    if "scheme" in redirect:
        out["scheme_redirect"] = redirect["scheme"]
    if "hostname" in redirect:
        out["host_redirect"] = redirect["hostname"]
    if "port" in redirect:
        out["port_redirect"] = redirect["port"]
    if path := redirect.get("path"):
        if path["type"] == "ReplaceFullPath":
            out["path_redirect"] = path["replaceFullPath"]
        else:
            out |= prefix_rewrite(_path(match)[1].rstrip("/"), path["replacePrefixMatch"])
    return out


def ordered(entries: list[Entry]) -> list[Object]:
    """Envoy routes by their precedence, and as given where that is the same."""
    return [entry for _, entry in sorted(entries, key=lambda item: item[0])]


def virtual_hosts(routes: dict[str, list[Entry]]) -> list[Object]:
    """Host name → routes, as Envoy virtual hosts."""
    hosts = []
    for host, entries in sorted(routes.items()):
        domains = [host] if host == "*" else [host, f"{host}:*"]
        hosts.append({"name": host, "domains": domains, "routes": ordered(entries)})
    return hosts
