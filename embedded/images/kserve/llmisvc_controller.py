"""KServe's LLMInferenceService controller, with odh-model-controller's RBAC for tiers.

Stands for quay.io/kserve/llmisvc-controller and quay.io/opendatahub/odh-model-controller; with
`--access` for the latter alone, beside a real KServe. Upstream: kserve/kserve
`pkg/controller/v1alpha2/llmisvc` (workload, Service `<name>-kserve-workload-svc`, managed
HTTPRoute, self-signed certificate, status), opendatahub-io/odh-model-controller (the
DestinationRule, and the Role from the annotation `alpha.maas.opendatahub.io/tiers`).
Left out: presets, the scheduler and InferencePool, workers and parallelism, storage, monitoring.
"""

from __future__ import annotations

import base64
import ipaddress
import json
from typing import Any

import yaml

from embedded.gatewayapi import envoy
from embedded.gatewayapi.status import condition, is_true, status_of
from embedded.shared import rpc
from embedded.shared.kube import Cache, Kube
from embedded.shared.tls import Authority

MODELS = "serving.kserve.io/v1alpha1/llminferenceservices"
ROUTES, GATEWAYS = (
    "gateway.networking.k8s.io/v1/httproutes",
    "gateway.networking.k8s.io/v1/gateways",
)
DEPLOYMENTS, CONFIG_MAPS = "apps/v1/deployments", "v1/configmaps"
DESTINATION_RULES = "networking.istio.io/v1/destinationrules"
ROLES = "rbac.authorization.k8s.io/v1/roles"
BINDINGS = "rbac.authorization.k8s.io/v1/rolebindings"
TIERS = "alpha.maas.opendatahub.io/tiers"
DEFAULT_GATEWAY = {"name": "kserve-ingress-gateway", "namespace": "kserve"}
PORT = 8000
PRIVATE = [ipaddress.ip_network(one) for one in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16",
           "127.0.0.0/8", "169.254.0.0/16", "fc00::/7", "fe80::/10", "::1/128")]  # fmt: skip
Object = dict[str, Any]


class ModelController:
    """odh-model-controller: who may post to a model, and how its Service is dialled."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._cache = Cache(kube, self.watched())

    @staticmethod
    def watched() -> list[str]:
        """The resources that it looks at."""
        return [MODELS, CONFIG_MAPS, BINDINGS]

    async def run(self) -> None:
        await self._cache.run(self._reconcile)

    async def _reconcile(self) -> None:
        for model in self._cache.list(MODELS):
            await self._kube.apply(DESTINATION_RULES, _destination_rule(model))
            await self._access(model)

    async def _access(self, model: Object) -> None:
        """Let the annotated tiers `post` to the model."""
        annotation = model["metadata"].get("annotations", {}).get(TIERS)
        common = _common(model, "model-post-access")
        namespace, name = common["namespace"], common["name"]
        tiers = _tiers(annotation, self._cache.list(CONFIG_MAPS))
        if not tiers:
            if self._cache.get(BINDINGS, namespace, name):
                await self._kube.delete(BINDINGS, namespace, name)
                await self._kube.delete(ROLES, namespace, name)
            return
        rule = {
            "apiGroups": ["serving.kserve.io"],
            "resources": ["llminferenceservices"],
            "resourceNames": [model["metadata"]["name"]],
            "verbs": ["post"],
        }
        role_ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
        subjects = [
            {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "Group",
                "name": f"system:serviceaccounts:{gateway['name']}-tier-{tier}",
            }
            for gateway in _gateways(model)
            for tier in tiers
        ]
        await self._kube.apply(ROLES, {"metadata": common, "rules": [rule]})
        binding = {"metadata": common, "roleRef": role_ref, "subjects": subjects}
        await self._kube.apply(BINDINGS, binding)


class Controller(ModelController):
    """Both: brings LLMInferenceServices in step with what they own."""

    def __init__(self, kube: Kube) -> None:
        super().__init__(kube)
        self._authority = Authority()

    @staticmethod
    def watched() -> list[str]:
        return [*ModelController.watched(), ROUTES, GATEWAYS, DEPLOYMENTS, "v1/secrets"]

    async def _reconcile(self) -> None:
        await super()._reconcile()
        for model in self._cache.list(MODELS):
            await self._certificate(model)
            for resource, body in [*_workload(model), *_route(model)]:
                await self._kube.apply(resource, body)
            await self._status(model)

    async def _certificate(self, model: Object) -> None:
        common = _common(model, "kserve-self-signed-certs")
        if self._cache.get("v1/secrets", common["namespace"], common["name"]):
            return
        host = f"{_service(model)}.{common['namespace']}.svc.cluster.local"
        chain, key = self._authority.issue([host, host.removesuffix(".cluster.local")])
        pair = {"tls.crt": chain, "tls.key": key}
        data = {name: base64.b64encode(value).decode() for name, value in pair.items()}
        await self._kube.apply("v1/secrets", {"metadata": common, "data": data})

    async def _status(self, model: Object) -> None:
        metadata = model["metadata"]
        namespace, name = metadata["namespace"], metadata["name"]
        deployment = self._cache.get(DEPLOYMENTS, namespace, f"{name}-kserve")
        workload = is_true(deployment, "Available")
        route = self._cache.get(ROUTES, namespace, f"{name}-kserve-route")
        routed = not _has_route(model) or _accepted(route)
        conditions = [
            _ready("MainWorkloadReady", workload, "the workload is not available", model),
            _ready("RouterReady", routed, "the HTTPRoute is not accepted", model),
            _ready("Ready", workload and routed, "not everything is ready", model),
        ]
        addresses = [
            {"name": _reach(host), "url": f"http://{host}/{namespace}/{name}"}
            for ref in (_gateways(model) if _has_route(model) else [])
            for host in self._hosts(ref)
        ]
        status: Object = {
            "observedGeneration": metadata["generation"],
            "conditions": conditions,
            "addresses": addresses,
        }
        if addresses:
            status["url"] = addresses[0]["url"]
        await self._kube.set_status(MODELS, model, status)

    def _hosts(self, ref: Object) -> list[str]:
        gateway = self._cache.get(GATEWAYS, ref["namespace"], ref["name"])
        if gateway is None:
            return []
        named = [li["hostname"] for li in gateway["spec"]["listeners"] if "hostname" in li]
        found = status_of(gateway).get("addresses") or []
        return sorted(set(named)) or [address["value"] for address in found]


def _accepted(route: Object | None) -> bool:
    """Whether each Gateway that a route names has accepted it. Others write entries too, of
    policies or for a Gateway that is not theirs."""
    accepted = {
        (ref.get("namespace"), ref.get("name"))
        for parent in status_of(route).get("parents") or []
        if is_true({"status": parent}, "Accepted") and (ref := parent.get("parentRef"))
    }
    named = route["spec"]["parentRefs"] if route else []
    return bool(named) and all((ref["namespace"], ref["name"]) in accepted for ref in named)


def _reach(host: str) -> str:
    """An address' name, of those of `router.go`: from where it is meant to be reached."""
    if host.endswith(".svc.cluster.local"):
        return "gateway-internal"
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        inner = host == "localhost" or host.endswith((".local", ".localhost", ".internal"))
    else:
        inner = any(address in network for network in PRIVATE)
    return "internal" if inner else "gateway-external"


def _ready(kind: str, holds: bool, message: str, model: Object) -> Object:
    reason = "Ready" if holds else "NotReady"
    return condition(kind, holds, reason, "" if holds else message, model)


def _tiers(annotation: str | None, config_maps: list[Object]) -> list[str]:
    """The tiers of the annotation; `[]` means every tier that there is."""
    if annotation is None:
        return []
    try:
        named = json.loads(annotation)
    except ValueError:
        return []
    if named:
        return [str(tier) for tier in named]
    for found in config_maps:
        if found["metadata"]["name"] == "tier-to-group-mapping":
            tiers = yaml.load(found["data"]["tiers"], Loader=yaml.CSafeLoader)
            return [tier["name"] for tier in tiers]
    return []


def _service(model: Object) -> str:
    return f"{model['metadata']['name']}-kserve-workload-svc"


def _common(model: Object, suffix: str) -> Object:
    metadata = model["metadata"]
    return {
        "name": f"{metadata['name']}-{suffix}",
        "namespace": metadata["namespace"],
        "ownerReferences": envoy.owned_by(model),
    }


def _router(model: Object) -> Object:
    found: Object = model["spec"].get("router") or {}
    return found


def _has_route(model: Object) -> bool:
    return "route" in _router(model)


def _gateways(model: Object) -> list[Object]:
    refs = (_router(model).get("gateway") or {}).get("refs")
    return refs or [DEFAULT_GATEWAY]


def _workload(model: Object) -> list[tuple[str, Object]]:
    metadata, spec = model["metadata"], model["spec"]
    labels = {"app.kubernetes.io/name": metadata["name"], "kserve.io/component": "workload"}
    pod = json.loads(json.dumps(spec.get("template") or {}))
    secret = f"{metadata['name']}-kserve-self-signed-certs"
    volume = {"name": "tls-certs", "secret": {"secretName": secret}}
    pod.setdefault("volumes", []).append(volume)
    for container in pod.setdefault("containers", []):
        mounts = container.setdefault("volumeMounts", [])
        mounts.append({"name": "tls-certs", "mountPath": "/var/run/kserve/tls"})
    workload = {
        "metadata": {**_common(model, "kserve"), "labels": labels},
        "spec": {
            "replicas": spec.get("replicas", 1),
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }
    service = {
        "metadata": _common(model, "kserve-workload-svc"),
        "spec": {
            "selector": labels,
            "ports": [{"name": "https", "port": PORT, "targetPort": PORT}],
        },
    }
    return [(DEPLOYMENTS, workload), ("v1/services", service)]


def _destination_rule(model: Object) -> Object:
    """TLS to the model, by a certificate that nobody looks at: it is self-signed."""
    host = f"{_service(model)}.{model['metadata']['namespace']}.svc.cluster.local"
    policy = {"tls": {"mode": "SIMPLE", "insecureSkipVerify": True}}
    metadata = _common(model, "kserve-workload-svc")
    return {"metadata": metadata, "spec": {"host": host, "trafficPolicy": policy}}


def _route(model: Object) -> list[tuple[str, Object]]:
    if not _has_route(model):
        return []
    metadata = model["metadata"]
    prefix = f"/{metadata['namespace']}/{metadata['name']}"
    rules = [
        {
            "matches": [{"path": {"type": "PathPrefix", "value": prefix + path}}],
            "filters": [
                {
                    "type": "URLRewrite",
                    "urlRewrite": {
                        "path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": path or "/"}
                    },
                }
            ],
            "backendRefs": [{"name": _service(model), "port": PORT}],
        }
        for path in ("/v1/completions", "/v1/chat/completions", "")
    ]
    parents = [{"name": ref["name"], "namespace": ref["namespace"]} for ref in _gateways(model)]
    labels = {
        "app.kubernetes.io/component": "llminferenceservice-router",
        "app.kubernetes.io/name": metadata["name"],
        "app.kubernetes.io/part-of": "llminferenceservice",
    }
    route = {
        "metadata": {**_common(model, "kserve-route"), "labels": labels},
        "spec": {"parentRefs": parents, "rules": rules},
    }
    return [(ROUTES, route)]


def main(argv: list[str]) -> None:
    if argv == ["--access"]:
        rpc.run(ModelController(Kube("odh-model-controller")).run())
    else:
        rpc.run(Controller(Kube("kserve")).run())
