"""What the stand-in of wg-ai-gateway's controller makes of rules, without a cluster."""

from __future__ import annotations

from typing import Any

from embedded.images.wg_ai_gateway.envoy_controller import DEMO, Controller
from embedded.shared.xds import CLUSTER, ROUTES, pack
from tests.unit.reconciling import (
    Object,
    Writes,
    destination,
    gateway,
    gateway_class,
    reconciled,
    route,
)

CLASSES = [gateway_class("wg-ai-gateway", Controller.name),
           gateway_class("openshift-default", "openshift.io/gateway-controller/v1")]  # fmt: skip
GROUP = "ainetworking.prototype.x-k8s.io"


def ref(name: str = "good", kind: str = "Backend", **more: Any) -> Object:
    return {"group": GROUP, "kind": kind, "name": name, "port": 8000, **more}


def rule(*refs: Object, path: str = "/a", rewrite: Object | None = None, **match: Any) -> Object:
    matches = [{"path": {"type": "PathPrefix", "value": path}, **match}]
    filters = [{"type": "URLRewrite", "urlRewrite": rewrite}] if rewrite else []
    return {"matches": matches, "backendRefs": list(refs), "filters": filters}


class Seen:
    """What a controller makes of rules at a Gateway, or of other objects."""

    def __init__(self, *rules: Object, generation: str = DEMO, **objects: list[Object]) -> None:
        given: dict[str, list[Object]] = {
            "gatewayclasses": CLASSES,
            "gateways": [gateway("gw", "wg-ai-gateway")],
            "httproutes": [route("r", "gw", *rules)],
            "xbackenddestinations": [destination()],
        }
        self.controller = Controller(Writes(), "envoy", generation)  # type: ignore[arg-type]
        self.controller.ads.state = lambda _: (True, "")  # type: ignore[method-assign]
        self.writes = reconciled(self.controller, **given | objects)

    def resource(self, kind: str, key: str = "default/gw") -> list[Object]:
        source = self.controller.ads._nodes[key].source
        found = source("127.1.2.3").resources(kind) if source else []
        for one in found:
            pack(kind, one)  # Envoy's own schema knows every field
        return found

    @property
    def clusters(self) -> dict[str, Object]:
        return {one["name"]: one for one in self.resource(CLUSTER)}

    @property
    def routes(self) -> list[Object]:
        (config,) = self.resource(ROUTES)
        return [one for host in config["virtual_hosts"] for one in host["routes"]]

    def status(self, plural: str, name: str) -> Any:
        return self.writes.statuses[plural, name]

    @property
    def resolved(self) -> tuple[str, str]:
        (entry,) = self.status("httproutes", "r")["parents"]
        return next((c["status"], c["reason"]) for c in entry["conditions"]
                    if c["type"] == "ResolvedRefs")  # fmt: skip
