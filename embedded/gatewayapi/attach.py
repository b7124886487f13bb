"""Which HTTPRoutes attach to which listeners of a Gateway, and which references may cross
namespaces.

Source: gateway-api `apis/v1/shared_types.go` (ParentReference), `apis/v1/gateway_types.go`
(AllowedRoutes), `apis/v1beta1/referencegrant_types.go`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from embedded.apiserver.selectors import matches_labels

Object = dict[str, Any]
GROUP = "gateway.networking.k8s.io"


@dataclass(frozen=True)
class Attachment:
    """One parentRef of a route: the listeners it reached with their host names, or why none."""

    route: Object
    parent_ref: Object
    listeners: dict[str, list[str]]
    reason: str = ""
    message: str = ""


def parents_of(route: Object, gateway: Object) -> list[Object]:
    """The parentRefs of a route that name this Gateway."""
    metadata = gateway["metadata"]
    own = route["metadata"]["namespace"]
    return [
        ref
        for ref in route["spec"].get("parentRefs", [])
        if ref.get("kind", "Gateway") == "Gateway"
        and ref.get("group", GROUP) == GROUP
        and ref["name"] == metadata["name"]
        and ref.get("namespace", own) == metadata["namespace"]
    ]


def attach(
    route: Object, ref: Object, gateway: Object, namespaces: dict[str, Object]
) -> Attachment:
    """Attach a route by one parentRef; `namespaces` maps a name to its labels."""
    listeners = [
        listener
        for listener in gateway["spec"]["listeners"]
        if ref.get("sectionName") in (None, listener["name"])
        and ref.get("port") in (None, listener["port"])
    ]
    if not listeners:
        text = f"no listener of the Gateway matches {ref.get('sectionName') or ref.get('port')}"
        return Attachment(route, ref, {}, "NoMatchingParent", text)
    allowed = [li for li in listeners if _allows(li, route, gateway, namespaces)]
    if not allowed:
        text = f"hostnames matched parent, but namespace {route['metadata']['namespace']!r} is not "
        return Attachment(
            route, ref, {}, "NotAllowedByListeners", text + "allowed by the listeners"
        )
    wanted = route["spec"].get("hostnames") or []
    hosts = {li["name"]: intersection(li.get("hostname", ""), wanted) for li in allowed}
    hosts = {name: found for name, found in hosts.items() if found}
    if not hosts:
        text = f"no hostname of {wanted} matches a listener's hostname"
        return Attachment(route, ref, {}, "NoMatchingListenerHostname", text)
    return Attachment(route, ref, hosts)


def _allows(
    listener: Object, route: Object, gateway: Object, namespaces: dict[str, Object]
) -> bool:
    allowed = listener.get("allowedRoutes", {})
    kinds = allowed.get("kinds")
    if kinds and not any(k["kind"] == "HTTPRoute" for k in kinds):
        return False
    scope = allowed.get("namespaces", {})
    namespace = route["metadata"]["namespace"]
    match scope.get("from", "Same"):
        case "All":
            return True
        case "Selector":
            return matches_labels(scope.get("selector"), namespaces.get(namespace, {}))
    return bool(namespace == gateway["metadata"]["namespace"])


def intersection(listener: str, route: list[str]) -> list[str]:
    """Host names that both sides accept; `["*"]` when neither names one."""
    if not route:
        return [listener or "*"]
    if not listener:
        return list(route)
    out = []
    for host in route:
        if host == listener or _covers(listener, host):
            out.append(host)
        elif _covers(host, listener):
            out.append(listener)
    return out


def _covers(wildcard: str, host: str) -> bool:
    return wildcard.startswith("*.") and host.removeprefix("*").endswith(wildcard[1:])


def granted(
    grants: list[Object], kind: str, from_namespace: str, to: Object, to_namespace: str
) -> bool:
    """Whether a `kind` in one namespace may refer to `to` (group, kind, name) in another."""
    if from_namespace == to_namespace:
        return True
    for grant in grants:
        if grant["metadata"]["namespace"] != to_namespace:
            continue
        sources, targets = grant["spec"]["from"], grant["spec"]["to"]
        if any(
            s["group"] == GROUP and s["kind"] == kind and s["namespace"] == from_namespace
            for s in sources
        ) and any(
            t.get("group", "") == to.get("group", "")
            and t["kind"] == to.get("kind", "Service")
            and t.get("name") in (None, to["name"])
            for t in targets
        ):
            return True
    return False
