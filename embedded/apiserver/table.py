"""Server-side printing: what `kubectl get` shows.

Upstream: `k8s.io/kubernetes/pkg/printers/internalversion/printers.go`; custom resources
print their CRD's `additionalPrinterColumns`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from embedded.apiserver.resources import Resource

Object = dict[str, Any]
Printer = Callable[[Object], list[Any]]


def age(timestamp: str | None) -> str:
    """`k8s.io/apimachinery/pkg/util/duration.HumanDuration`, shortened."""
    if not timestamp:
        return "<unknown>"
    since = datetime.now(UTC) - datetime.fromisoformat(timestamp.replace("Z", "+00:00"))
    seconds = max(0, int(since.total_seconds()))
    if seconds < 120:
        return f"{seconds}s"
    if seconds < 600:
        return f"{seconds // 60}m{seconds % 60}s" if seconds % 60 else f"{seconds // 60}m"
    if seconds < 10800:
        return f"{seconds // 60}m"
    if seconds < 172800:
        return f"{seconds // 3600}h"
    return f"{seconds // 86400}d"


def _pod(pod: Object) -> list[Any]:
    state = pod.get("status", {})
    statuses = state.get("containerStatuses", [])
    ready = sum(bool(s.get("ready")) for s in statuses)
    phase = state.get("reason") or state.get("phase", "Pending")
    for s in statuses:
        current = s.get("state", {})
        if why := (current.get("waiting") or current.get("terminated") or {}).get("reason"):
            phase = why
    if "deletionTimestamp" in pod["metadata"]:
        phase = "Terminating"
    restarts = sum(s.get("restartCount", 0) for s in statuses)
    total = len(pod["spec"]["containers"])
    node = pod["spec"].get("nodeName", "<none>")
    return [f"{ready}/{total}", phase, restarts, _age(pod), state.get("podIP", "<none>"), node]


def _deployment(deployment: Object) -> list[Any]:
    state, spec = deployment.get("status", {}), deployment["spec"]
    ready = f"{state.get('readyReplicas', 0)}/{spec.get('replicas', 1)}"
    updated, available = state.get("updatedReplicas", 0), state.get("availableReplicas", 0)
    images = ",".join(c["image"] for c in spec["template"]["spec"]["containers"])
    return [ready, updated, available, _age(deployment), images]


def _replica_set(found: Object) -> list[Any]:
    state = found.get("status", {})
    current, ready = state.get("replicas", 0), state.get("readyReplicas", 0)
    return [found["spec"].get("replicas", 1), current, ready, _age(found)]


def _service(service: Object) -> list[Any]:
    spec = service["spec"]
    ports = ",".join(f"{p['port']}/{p.get('protocol', 'TCP')}" for p in spec.get("ports", []))
    ingress = service.get("status", {}).get("loadBalancer", {}).get("ingress", [])
    external = ",".join(i.get("ip", i.get("hostname", "")) for i in ingress) or "<none>"
    address = spec.get("clusterIP", "<none>")
    return [spec.get("type", "ClusterIP"), address, external, ports or "<none>", _age(service)]


def _slice(endpoints: Object) -> list[Any]:
    ports = ",".join(str(p.get("port")) for p in endpoints.get("ports") or [])
    addresses = ",".join(a for e in endpoints.get("endpoints", []) for a in e["addresses"])
    return [endpoints["addressType"], ports or "<unset>", addresses or "<unset>", _age(endpoints)]


def _event(event: Object) -> list[Any]:
    about = event.get("involvedObject", {})
    target = f"{about.get('kind', '').lower()}/{about.get('name', '')}"
    return [
        age(event.get("lastTimestamp")),
        event.get("type"),
        event.get("reason"),
        target,
        event.get("message"),
    ]


def _node(node: Object) -> list[Any]:
    ready = any(
        c["type"] == "Ready" and c["status"] == "True" for c in node["status"]["conditions"]
    )
    version = node["status"]["nodeInfo"]["kubeletVersion"]
    return ["Ready" if ready else "NotReady", "<none>", _age(node), version]


def _age(obj: Object) -> str:
    return age(obj["metadata"].get("creationTimestamp"))


def _role(binding: Object) -> list[Any]:
    return [f"{binding['roleRef']['kind']}/{binding['roleRef']['name']}", _age(binding)]


# A trailing * marks a column that only `-o wide` shows.
_PRINTERS: dict[tuple[str, str], tuple[str, Printer]] = {
    ("", "pods"): ("Ready Status Restarts Age IP* Node*", _pod),
    ("apps", "deployments"): ("Ready Up-to-date Available Age Images*", _deployment),
    ("apps", "replicasets"): ("Desired Current Ready Age", _replica_set),
    ("", "services"): ("Type Cluster-IP External-IP Port(s) Age", _service),
    ("discovery.k8s.io", "endpointslices"): ("AddressType Ports Endpoints Age", _slice),
    ("", "namespaces"): ("Status Age", lambda o: [o.get("status", {}).get("phase"), _age(o)]),
    ("", "nodes"): ("Status Roles Age Version", _node),
    ("", "configmaps"): ("Data Age", lambda o: [len(o.get("data") or {}), _age(o)]),
    ("", "secrets"): ("Type Data Age", lambda o: [o["type"], len(o.get("data") or {}), _age(o)]),
    ("", "serviceaccounts"): ("Secrets Age", lambda o: [len(o.get("secrets") or []), _age(o)]),
    ("", "events"): ("Last-Seen Type Reason Object Message", _event),
    ("rbac.authorization.k8s.io", "rolebindings"): ("Role Age", _role),
    ("rbac.authorization.k8s.io", "clusterrolebindings"): ("Role Age", _role),
    ("apiextensions.k8s.io", "customresourcedefinitions"): (
        "Created-At",
        lambda o: [o["metadata"]["creationTimestamp"]],
    ),
}


def render(resource: Resource, version: str, objects: list[Object], revision: str) -> Object:
    """A `meta.k8s.io/v1` Table with the objects' metadata in each row."""
    columns, printer = _columns(resource, version)
    named = resource.plural == "events"
    definitions = [] if named else [_column("Name", 0)]
    rows = []
    for obj in objects:
        cells = printer(obj) if named else [obj["metadata"]["name"], *printer(obj)]
        partial = {
            "kind": "PartialObjectMetadata",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": obj["metadata"],
        }
        rows.append({"cells": cells, "object": partial})
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {"resourceVersion": revision},
        "columnDefinitions": definitions + columns,
        "rows": rows,
    }


def _column(name: str, priority: int, kind: str = "string") -> Object:
    form = "name" if name == "Name" else ""
    return {"name": name, "type": kind, "format": form, "description": "", "priority": priority}


def _columns(resource: Resource, version: str) -> tuple[list[Object], Printer]:
    if custom := resource.columns.get(version):
        definitions = [_column(c["name"], c.get("priority", 0), c["type"]) for c in custom]
        return definitions, lambda obj: [_cell(c, obj) for c in custom]
    names, printer = _PRINTERS.get(resource.id, ("Age", lambda o: [_age(o)]))
    return [_column(n.rstrip("*"), int(n.endswith("*"))) for n in names.split()], printer


def _cell(column: Object, obj: Object) -> Any:
    found = jsonpath(obj, column["jsonPath"])
    if not found:
        return "" if column["type"] == "string" else None
    if column["type"] == "date":
        return age(found[0])
    return found[0] if len(found) == 1 else ",".join(str(v) for v in found)


def jsonpath(value: Any, path: str) -> list[Any]:
    """The subset of JSONPath that printer columns use: fields, [*], [n], [?(@.a=="b")]."""
    steps = re.findall(
        r"\.((?:[\w-]|\\\.)+)|\[\?\(@\.(\w+)\s*==\s*['\"]([^'\"]*)['\"]\)\]|\[(\*|\d+)\]", path
    )
    values = [value]
    for name, key, wanted, index in steps:
        if name:
            name = name.replace("\\.", ".")
            values = [v[name] for v in values if isinstance(v, dict) and name in v]
            continue
        lists = [v for v in values if isinstance(v, list)]
        if key:
            values = [i for v in lists for i in v if str(i.get(key)) == wanted]
        elif index == "*":
            values = [i for v in lists for i in v]
        else:
            values = [v[int(index)] for v in lists if int(index) < len(v)]
    return values
