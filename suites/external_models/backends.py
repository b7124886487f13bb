"""The quickstart's backend, and others that a test puts beside it."""

import uuid
from dataclasses import dataclass, field
from typing import Any

from fixtures.kube import Kube
from fixtures.objects import existing
from fixtures.stack import Provider

Object = dict[str, Any]
GATEWAY_API = "gateway.networking.k8s.io/v1"
BACKEND_GROUP = "ainetworking.prototype.x-k8s.io"
BACKEND_API = f"{BACKEND_GROUP}/v0alpha0"
NAMESPACE, SIMULATOR_NAMESPACE = "default", "external-models"
SIMULATOR_HOST = "model-simulator.external-models.svc.cluster.local"
DOCUMENTS_HOST = "documents-simulator.external-models.svc.cluster.local"
SIMULATOR = Provider(
    name="simulator",
    model="gpt-4-external",
    path="/external",
    egress_path="",
    namespace=SIMULATOR_NAMESPACE,
    service="model-simulator:8000",
)


@dataclass
class Backends:
    """Makes XBackendDestinations with a route each, and removes them at the end."""

    kube: Kube
    _made: list[tuple[str, str, str, str]] = field(default_factory=list)

    def destination(self, hostname: str, port: int = 8000, **more: Any) -> str:
        """An XBackendDestination of type Fqdn; its name."""
        name = f"backend-{uuid.uuid4().hex[:8]}"
        self.point(name, hostname, port, **more)
        return name

    def point(self, name: str, hostname: str, port: int = 8000, **more: Any) -> None:
        """Let an XBackendDestination have this hostname."""
        ports = [{"number": port, "protocol": "HTTP", **more}]
        destination = {"type": "Fqdn", "fqdn": {"hostname": hostname}, "ports": ports}
        self._apply(BACKEND_API, "XBackendDestination", name, {"destination": destination})

    def refusing(self, port: int) -> str:
        """The host name of a Service whose port leads to one on which its Pods do not listen.

        Its port 8000 leads to one that serves, for who does not look at the port.
        """
        name = f"refusing-{uuid.uuid4().hex[:8]}"
        simulator = self.kube.get("v1", "Service", SIMULATOR_NAMESPACE, "model-simulator")
        assert simulator is not None, "there is no Service model-simulator"
        ports = [{"name": f"p{n}", "port": n, "targetPort": n} for n in (port, 8000)]
        spec = {"selector": simulator["spec"]["selector"], "ports": ports}
        self._apply("v1", "Service", name, spec, SIMULATOR_NAMESPACE)
        return f"{name}.{SIMULATOR_NAMESPACE}.svc.cluster.local"

    def route(self, backend: str, port: int = 8000) -> str:
        """An egress route to it; its path at the MaaS gateway, on the deployed bridge."""
        return f"/external{self.egress_route(backend, port=port)}"

    def egress_route(self, *backends: str, port: int = 8000) -> str:
        """A route to these, in equal shares; its path at the egress gateway."""
        name = f"route-{uuid.uuid4().hex[:8]}"
        path = {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}
        rule = {
            "matches": [{"path": {"type": "PathPrefix", "value": f"/{name}/"}}],
            "filters": [{"type": "URLRewrite", "urlRewrite": {"path": path}}],
            "backendRefs": [
                {"group": BACKEND_GROUP, "kind": "Backend", "name": backend, "port": port}
                for backend in backends
            ],
        }
        spec = {"parentRefs": [{"name": "poc-gateway"}], "rules": [rule]}
        self._apply(GATEWAY_API, "HTTPRoute", name, spec)
        return f"/{name}"

    def remove(self, name: str) -> None:
        """Take an XBackendDestination away."""
        self.kube.delete(BACKEND_API, "XBackendDestination", NAMESPACE, name)

    def resolved(self, path: str) -> tuple[str, str]:
        """The gateway's word on the references of a path's route: (status, reason); empty before
        there is one."""
        name = path.rpartition("/")[2]
        status = existing(self.kube, GATEWAY_API, "HTTPRoute", NAMESPACE, name).get("status", {})
        found = [c for p in status.get("parents", []) for c in p.get("conditions", [])]
        return next(((c["status"], c["reason"]) for c in found if c["type"] == "ResolvedRefs"),
                    ("", ""))  # fmt: skip

    def close(self) -> None:
        """Remove everything, the latest first."""
        for identity in reversed(self._made):
            self.kube.delete(*identity)

    def _apply(
        self, api_version: str, kind: str, name: str, spec: Object, namespace: str = NAMESPACE
    ) -> None:
        metadata = {"name": name, "namespace": namespace}
        self._made.append((api_version, kind, namespace, name))
        self.kube.apply(
            {"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec}
        )
