"""Pod logs, and the HTTP proxy to Pods and Services.

Upstream: `k8s.io/kubernetes/pkg/registry/core/{pod,service}/rest`. An https target's
certificate is not verified, as there.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Protocol

import httpx
from starlette.requests import Request
from starlette.responses import Response

from embedded.apiserver import status
from embedded.apiserver.api import Api
from embedded.apiserver.request import RequestInfo
from embedded.apiserver.resources import Resource
from embedded.shared.net import unprivileged

Object = dict[str, Any]
_HOP_HEADERS = {
    "connection", "keep-alive", "transfer-encoding", "content-length", "authorization", "host",
    "content-encoding", "accept-encoding",
}  # fmt: skip


class Nodes(Protocol):
    """What the API server asks of the node."""

    def log_file(self, pod: Object, container: str, previous: bool) -> Path | None:
        """The log of a container, or None if it never ran."""


async def pod_log(nodes: Nodes, pod: Object, query: dict[str, str]) -> AsyncIterator[bytes]:
    """The log text; `query` as in `kubectl logs` (container, follow, tailLines, previous, …)."""
    name, spec = pod["metadata"]["name"], pod["spec"]
    containers = [c["name"] for c in spec["containers"]]
    container = query.get("container") or containers[0]
    if container not in [*containers, *(c["name"] for c in spec.get("initContainers", []))]:
        raise status.bad_request(f"container {container} is not valid for pod {name}")
    path = nodes.log_file(pod, container, query.get("previous") == "true")
    if path is None or not path.exists():
        waiting = "previous terminated container" if query.get("previous") else "container"
        raise status.bad_request(f'{waiting} "{container}" in pod "{name}" has no log')
    return _log_text(path, query)


async def _log_text(path: Path, query: dict[str, str]) -> AsyncIterator[bytes]:
    with path.open("rb") as log:
        text = log.read()
        if "tailLines" in query:
            count = int(query["tailLines"])
            text = b"".join(text.splitlines(keepends=True)[-count:]) if count else b""
        if "limitBytes" in query:
            text = text[: int(query["limitBytes"])]
        yield text
        while query.get("follow") == "true":
            await asyncio.sleep(0.1)
            if path.stat().st_size < log.tell():  # it was cut, as it was too long
                log.seek(0)
            if more := log.read():
                yield more


async def proxy(
    client: httpx.AsyncClient, api: Api, request: Request, info: RequestInfo, resource: Resource
) -> Response:
    """Forward a request to `[https:]name[:port]` and return what came back."""
    scheme, name, port = _target(info.name)
    if resource.plural == "pods":
        pod = api.get(resource, info.namespace, name)
        host = pod.get("status", {}).get("podIP", "")
        number = int(port) if port else _first_port(pod)
    else:
        host, number = _endpoint(api, info.namespace, name, port)
    if not host or not number:
        raise status.service_unavailable(f'no endpoints available for service "{info.name}"')
    headers = [(k, v) for k, v in request.headers.items() if k not in _HOP_HEADERS]
    query = f"?{request.url.query}" if request.url.query else ""
    url = f"{scheme}://{host}:{unprivileged(number)}{info.rest or '/'}{query}"
    try:
        answer = await client.request(
            request.method, url, headers=headers, content=await request.body()
        )
    except httpx.TransportError as error:
        message = f"error trying to reach service: {error}"
        raise status.service_unavailable(message) from error
    kept = {k: v for k, v in answer.headers.items() if k not in _HOP_HEADERS}
    return Response(answer.content, answer.status_code, kept)


def _target(name: str) -> tuple[str, str, str]:
    parts = name.split(":")
    if len(parts) == 3:
        return parts[0] or "http", parts[1], parts[2]
    return "http", parts[0], parts[1] if len(parts) == 2 else ""


def _first_port(pod: Object) -> int:
    ports = [p["containerPort"] for c in pod["spec"]["containers"] for p in c.get("ports", [])]
    return ports[0] if ports else 80


def _endpoint(api: Api, namespace: str, name: str, port: str) -> tuple[str, int]:
    service = api.get(api.resource("", "services"), namespace, name)
    ports = service["spec"].get("ports", [])
    chosen = next((p for p in ports if port in (p.get("name"), str(p["port"]))), None)
    if not port and ports:
        chosen = ports[0]
    if chosen is None:
        raise status.service_unavailable(f'no service port "{port}" found for service "{name}"')
    slices = api.list(
        api.resource("discovery.k8s.io", "endpointslices"),
        namespace,
        f"kubernetes.io/service-name={name}",
    )
    for found in slices:
        numbers = {p.get("name", ""): p["port"] for p in found.get("ports") or []}
        for endpoint in found.get("endpoints") or []:
            if (endpoint.get("conditions") or {}).get("ready") is not False:
                return endpoint["addresses"][0], numbers.get(chosen.get("name", ""), 0)
    return "", 0
