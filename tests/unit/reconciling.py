"""Controllers of the stand-ins without a cluster: what they would write of given objects."""

from __future__ import annotations

import asyncio
import copy
from typing import Any

from embedded.gatewayapi.controller import CLASSES, GATEWAYS, NAMESPACES, ROUTES
from embedded.shared.kube import settle_times

Object = dict[str, Any]
API = "gateway.networking.k8s.io/v1"
HOST = "api.example.com"  # of XBackendDestinations


class Writes:
    """In place of the API: what would have been applied, and the statuses, the last of each."""

    def __init__(self) -> None:
        self.applied: dict[tuple[str, str, str], Object] = {}
        self.statuses: dict[tuple[str, str], Object] = {}

    async def apply(self, resource: str, obj: Object) -> None:
        metadata = obj["metadata"]
        place = resource.rpartition("/")[2], metadata.get("namespace", ""), metadata["name"]
        self.applied[place] = copy.deepcopy(obj)

    async def set_status(self, resource: str, obj: Object, status: Object) -> None:
        settle_times(status, obj.get("status") or {})
        self.statuses[resource.rpartition("/")[2], obj["metadata"]["name"]] = copy.deepcopy(status)

    async def delete(self, *_: str) -> None:
        return


def reconciled(controller: Any, **objects: list[Object]) -> Writes:
    """One reconciliation of these objects; the keywords are the plurals of `known`."""
    known = {"gatewayclasses": CLASSES, "gateways": GATEWAYS, "httproutes": ROUTES,
             "namespaces": NAMESPACES}  # fmt: skip
    of = {r.rpartition("/")[2]: r for r in controller._cache._objects} | known
    for plural, found in objects.items():
        for obj in found:
            key = obj["metadata"].get("namespace", ""), obj["metadata"]["name"]
            controller._cache._objects[of[plural]][key] = obj
    asyncio.run(controller._reconcile())
    writes: Writes = controller._kube
    return writes


def made(kind: str, name: str, namespace: str = "default", **more: Any) -> Object:
    """An object as the API would give it."""
    metadata = {
        "name": name,
        "uid": f"uid-{namespace}-{name}",
        "generation": 3,
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "labels": {},
        **({"namespace": namespace} if namespace else {}),
    }
    version = API if kind in ("GatewayClass", "Gateway", "HTTPRoute") else "v1"
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **more}


def gateway_class(name: str, controller: str) -> Object:
    return made("GatewayClass", name, "", spec={"controllerName": controller})


def gateway(name: str, of_class: str, *listeners: Object, **more: Any) -> Object:
    """With one HTTP listener on port 80 for all namespaces, if no others are given."""
    every = {"namespaces": {"from": "All"}}
    http = {"name": "http", "port": 80, "protocol": "HTTP", "allowedRoutes": every}
    spec = {"gatewayClassName": of_class, "listeners": list(listeners) or [http]}
    return made("Gateway", name, spec=spec, **more)


def route(name: str, parent: str, *rules: Object, **more: Any) -> Object:
    return made("HTTPRoute", name, spec={"parentRefs": [{"name": parent}], "rules": list(rules)},
                **more)  # fmt: skip


def destination(name: str = "good", kind: str = "Fqdn", **port: Any) -> Object:
    where = {"fqdn": {"hostname": HOST}, "service": {"name": "web", "namespace": "other"}}
    spec = {"type": kind, kind.lower(): where[kind.lower()],
            "ports": [{"number": 8000, "protocol": "HTTP", **port}]}  # fmt: skip
    return made("XBackendDestination", name, spec={"destination": spec})
