"""Whether everything that was deployed is Ready, Programmed, Accepted and Enforced."""

from __future__ import annotations

import time
from typing import Any

import httpx
import yaml

from embedded.errors import EmbeddedError
from embedded.gatewayapi.status import POLICY_CONTROLLER
from embedded.kube import path_of
from embedded.net import unprivileged
from embedded.node.dns import HOSTNAME
from embedded.state import State

Object = dict[str, Any]
_GATEWAY = "gateway.networking.k8s.io/v1"
# The condition that says "done", for each resource that has one.
CONDITIONS = {
    f"{_GATEWAY}/gateways": "Programmed",
    "kuadrant.io/v1/authpolicies": "Enforced",
    "kuadrant.io/v1/ratelimitpolicies": "Enforced",
    "kuadrant.io/v1alpha1/tokenratelimitpolicies": "Enforced",
    "serving.kserve.io/v1alpha1/llminferenceservices": "Ready",
    "apps/v1/deployments": "Available",
    "v1/pods": "Ready",
}
_EVERY_SECONDS = 0.05


def _client(state: State) -> httpx.Client:
    config = yaml.safe_load(state.kubeconfig.read_text())
    import ssl

    return httpx.Client(
        base_url=config["clusters"][0]["cluster"]["server"],
        headers={"authorization": f"Bearer {config['users'][0]['user']['token']}"},
        verify=ssl.create_default_context(cafile=str(state.ca)),
        trust_env=False,
    )


def missing(state: State) -> list[str]:
    """One line for each object that is not as it should be."""
    with _client(state) as client:
        return _missing(client)


def wait(state: State, seconds: float) -> None:
    """Wait until nothing is missing; raises EmbeddedError with what still is."""
    deadline = time.monotonic() + seconds
    with _client(state) as client:
        while left := _missing(client):
            if time.monotonic() > deadline:
                listing = "\n  ".join(left)
                raise EmbeddedError(
                    f"not ready after {seconds:.0f} s (the cluster still runs; look with kubectl, "
                    f"end it with `python -m embedded down`):\n  {listing}"
                )
            if state.info() is None:
                raise EmbeddedError("the cluster has ended while it was starting")
            time.sleep(_EVERY_SECONDS)


def _missing(client: httpx.Client) -> list[str]:
    found = []
    for resource, condition in CONDITIONS.items():
        answer = client.get(path_of(resource))
        for obj in answer.json()["items"] if answer.status_code == 200 else []:
            conditions = obj.get("status", {}).get("conditions", [])
            shown = _shown(resource, obj)
            found += [f"{shown}: {text}" for text in _lacks(conditions, condition)]
    routes = client.get(path_of(f"{_GATEWAY}/httproutes"))
    for route in routes.json()["items"] if routes.status_code == 200 else []:
        parents = route.get("status", {}).get("parents", [])
        parents = [p for p in parents if p["controllerName"] != POLICY_CONTROLLER]
        shown = _shown("httproutes", route)
        if len(parents) < len(route["spec"].get("parentRefs", [])):
            found.append(f"{shown}: no status yet")
        for parent in parents:
            for condition in ("Accepted", "ResolvedRefs"):
                lacks = _lacks(parent["conditions"], condition)
                found += [f"{shown}: {text}" for text in lacks]
    return found


def _lacks(conditions: list[Object], wanted: str) -> list[str]:
    for condition in conditions:
        if condition["type"] == wanted:
            if condition["status"] == "True" or condition.get("reason") == "Overridden":
                return []
            return [f"{wanted}={condition['status']} {condition.get('message', '')}".strip()]
    return [f"no condition {wanted} yet"]


def _shown(resource: str, obj: Object) -> str:
    metadata = obj["metadata"]
    return f"{resource.rpartition('/')[2]}/{metadata['name']} in {metadata.get('namespace', '')}"


def gateway_hosts(state: State) -> list[tuple[str, int, str, int]]:
    """(host name, port, address, port that really listens) of every published Service."""
    out = []
    with _client(state) as client:
        for service in client.get("/api/v1/services").json()["items"]:
            names = service["metadata"].get("annotations", {}).get(HOSTNAME, "")
            for host in filter(None, names.split(",")):
                for port in service["spec"]["ports"]:
                    number = port["port"]
                    address = service["spec"]["clusterIP"]
                    out.append((host, number, address, unprivileged(number)))
    return out
