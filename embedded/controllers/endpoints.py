"""Service → EndpointSlice, and an address for Services of type LoadBalancer.

Upstream: `pkg/controller/endpointslice`. One IPv4 slice a Service.
"""

from __future__ import annotations

from typing import Any

from embedded.apiserver.api import Api
from embedded.apiserver.decoding import Options
from embedded.apiserver.selectors import matches_labels
from embedded.controllers.loop import Key, own_key, run

Object = dict[str, Any]


class Endpoints:
    """Keeps EndpointSlices in step with Services and Pods."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._services = api.resource("", "services")
        self._pods = api.resource("", "pods")
        self._slices = api.resource("discovery.k8s.io", "endpointslices")

    async def run(self) -> None:
        sources = {self._services.id: own_key, self._pods.id: self._services_of}
        await run(self._api, sources, self._service)

    def _services_of(self, pod: Object) -> list[Key]:
        namespace = pod["metadata"]["namespace"]
        labels = pod["metadata"].get("labels") or {}
        return [
            (namespace, service["metadata"]["name"])
            for service in self._api.store.objects(self._services.id, namespace)
            if _selects(service, labels)
        ]

    def _service(self, key: Key) -> None:
        service = self._api.store.get(self._services.id, key)
        if service is None:
            return
        self._load_balancer(service)
        if not service["spec"].get("selector"):
            return
        pods = [
            p
            for p in self._api.store.objects(self._pods.id, key[0])
            if _selects(service, p["metadata"].get("labels") or {})
            and p.get("status", {}).get("podIP")
        ]
        ports = [
            {
                "name": port.get("name", ""),
                "port": number,
                "protocol": port.get("protocol", "TCP"),
            }
            for port in service["spec"].get("ports", [])
            if (number := _target_port(port, pods)) is not None
        ]
        body: Object = {
            "metadata": {
                "name": f"{key[1]}-embedded",
                "namespace": key[0],
                "labels": {"kubernetes.io/service-name": key[1]},
                "ownerReferences": [
                    {
                        "apiVersion": "v1",
                        "kind": "Service",
                        "name": key[1],
                        "uid": service["metadata"]["uid"],
                        "controller": True,
                    }
                ],
            },
            "addressType": "IPv4",
            "endpoints": [_endpoint(pod) for pod in pods],
            "ports": ports,
        }
        name = body["metadata"]["name"]
        if self._api.store.get(self._slices.id, (key[0], name)) is None:
            options = Options("endpointslice-controller", "Ignore")
            self._api.create(self._slices, "v1", key[0], body, options)
            return

        def change(live: Object) -> None:
            live |= {"endpoints": body["endpoints"], "ports": body["ports"]}

        self._api.mutate(self._slices, key[0], name, change)

    def _load_balancer(self, service: Object) -> None:
        if service["spec"].get("type") != "LoadBalancer":
            return
        wanted = {"ingress": [{"ip": service["spec"]["clusterIP"], "ipMode": "VIP"}]}

        def change(live: Object) -> None:
            live.setdefault("status", {})["loadBalancer"] = wanted

        self._api.mutate(self._services, *own_key(service)[0], change, "status")


def _selects(service: Object, labels: dict[str, str]) -> bool:
    selector = service["spec"].get("selector")
    return bool(selector) and matches_labels({"matchLabels": selector}, labels)


def _endpoint(pod: Object) -> Object:
    conditions = pod["status"].get("conditions", [])
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
    leaving = "deletionTimestamp" in pod["metadata"]
    reference = {"kind": "Pod", "name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"]}
    return {
        "addresses": [pod["status"]["podIP"]],
        "conditions": {
            "ready": ready and not leaving,
            "serving": ready,
            "terminating": leaving,
        },
        "targetRef": {**reference, "namespace": pod["metadata"]["namespace"]},
    }


def _target_port(port: Object, pods: list[Object]) -> int | None:
    """The number behind a targetPort, which may be a container port's name."""
    target = port.get("targetPort", port["port"])
    if isinstance(target, int):
        return target
    for pod in pods:
        for container in pod["spec"]["containers"]:
            for found in container.get("ports", []):
                if found.get("name") == target:
                    number: int = found["containerPort"]
                    return number
    return None
