"""Second ways to vSR, beside the deployed one: another policy, another router, at the same time.

A variant is a copy of the deployed route that matches a header, so that a test can do to it
what would break the others. Its policy and its route are seen at work before it is used.
"""

import copy
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fixtures.found import only
from fixtures.kube import Kube
from fixtures.stack import Stack
from fixtures.waiting import ENFORCED_SECONDS, until
from manifests import FOLDER, load
from suites.dual_gateway.vsr import NAMESPACE, ROUTE, SERVICE, VARIANT_HEADER, Vsr

Object = dict[str, Any]
GATEWAY_API, KUADRANT = "gateway.networking.k8s.io/v1", "kuadrant.io/v1"
_OVERLAYS = FOLDER / "dual-gateway" / "overlays"


def policy_of(overlay: str) -> Object:
    """The AuthPolicy of `document` or `poc`."""
    file: Path = _OVERLAYS / overlay / "vsr-interim-auth-policy.yaml"
    return only(load(file), "policy")


@dataclass
class Variants:
    """Makes variants, and removes them at the end."""

    kube: Kube
    stack: Stack
    _made: list[tuple[str, str, str]] = field(default_factory=list)

    def create(self, policy: Object, backend: str = SERVICE) -> Vsr:
        """A route to a Service, and before it an AuthPolicy for it, seen by its controller."""
        name = f"variant-{uuid.uuid4().hex[:8]}"
        own = copy.deepcopy(policy)
        own["metadata"]["name"] = own["spec"]["targetRef"]["name"] = name
        self._apply(own)
        until(f"{name} to be seen", lambda: self.status_of(name), bool, ENFORCED_SECONDS)
        self._apply(self._route(name, backend))
        return Vsr(self.stack, name)

    def status_of(self, name: str) -> Object:
        """The AuthPolicy's conditions: type → status."""
        found = self.kube.get(KUADRANT, "AuthPolicy", NAMESPACE, name) or {}
        return {c["type"]: c["status"] for c in found.get("status", {}).get("conditions", [])}

    def make(self, policy: Object, backend: str = SERVICE) -> Vsr:
        """A variant in effect."""
        made = self.create(policy, backend)
        name = made.variant
        user = self.stack.account_token("conformance-variants")

        def probe() -> tuple[int, int]:
            path = f"/{name}"
            return self.stack.send("GET", path).status, self.stack.send("GET", path, user).status

        # Refused by the policy without a token, redirected by the route with one. Three times:
        # a free user, which this one is on some clusters, has five requests.
        wanted = (401, 302)
        until(f"{name} to be in effect", probe, lambda seen: seen == wanted, ENFORCED_SECONDS,
              in_a_row=3)  # fmt: skip
        return made

    def router(self, containers: list[str] | None = None) -> str:
        """A copy of the router's Deployment (of some of its containers) and Service, ready."""
        name = f"spare-{uuid.uuid4().hex[:8]}"
        labels = {"app": name}
        deployment = self._copy("apps/v1", "Deployment", name)
        template = deployment["spec"]["template"]
        deployment["spec"]["selector"] = {"matchLabels": labels}
        template["metadata"] = {"labels": labels}
        if containers:
            spec = template["spec"]
            spec["containers"] = [c for c in spec["containers"] if c["name"] in containers]
        self.service(name, labels)
        self.kube.wait_done([self._apply(deployment)])
        return name

    def service(self, name: str, selector: dict[str, str]) -> None:
        """A Service like the router's own, for other Pods."""
        ports = self._copy("v1", "Service", name)["spec"]["ports"]
        wanted = [{k: p[k] for k in ("name", "port", "targetPort")} for p in ports]
        metadata = {"name": name, "namespace": NAMESPACE}
        spec = {"selector": selector, "ports": wanted}
        self._apply({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})

    def close(self) -> None:
        """Remove everything, the latest first."""
        for api_version, kind, name in reversed(self._made):
            self.kube.delete(api_version, kind, NAMESPACE, name)

    def _apply(self, obj: Object) -> Object:
        self._made.append((obj["apiVersion"], obj["kind"], obj["metadata"]["name"]))
        return self.kube.apply(obj)

    def _copy(self, api_version: str, kind: str, name: str) -> Object:
        """The deployed object's spec under another name."""
        found = self.kube.get(
            api_version, kind, NAMESPACE, ROUTE if kind == "HTTPRoute" else SERVICE
        )
        assert found is not None, f"there is no {kind} of the router in {NAMESPACE}"
        metadata = {"name": name, "namespace": NAMESPACE}
        return {"apiVersion": api_version, "kind": kind, "metadata": metadata,
                "spec": copy.deepcopy(found["spec"])}  # fmt: skip

    def _route(self, name: str, backend: str) -> Object:
        """The deployed rules behind a header, and a path of its own that only redirects."""
        route = self._copy(GATEWAY_API, "HTTPRoute", name)
        for rule in route["spec"]["rules"]:
            for match in rule["matches"]:
                match["headers"] = [{"name": VARIANT_HEADER, "value": name}]
            for ref in rule["backendRefs"]:
                ref["name"] = backend
        redirect = {"type": "RequestRedirect", "requestRedirect": {"hostname": "elsewhere.test"}}
        match = {"path": {"type": "PathPrefix", "value": f"/{name}"}}
        route["spec"]["rules"].append({"matches": [match], "filters": [redirect]})
        return route
