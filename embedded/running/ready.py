"""Whether everything that was deployed is Ready, Programmed, Accepted and Enforced.

Of a route, that is what the controller of its Gateway's class says. Others may write into the same
status, and deploy proxies of their own for Gateways that are not of their class (as
kubernetes-sigs/wg-ai-gateway does, `pkg/controllers/httproute.go`): those hold nothing up.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import httpx
import yaml

from embedded.errors import EmbeddedError
from embedded.gatewayapi.attach import GROUP, parents_of
from embedded.gatewayapi.status import conditions_of, status_of
from embedded.node.dns import HOSTNAME
from embedded.running.state import State
from embedded.shared.kube import path_of
from embedded.shared.net import unprivileged

Object = dict[str, Any]
_GATEWAY = "gateway.networking.k8s.io/v1"
# The condition that says "done", for each resource that has one.
CONDITIONS = {
    f"{_GATEWAY}/gateways": "Programmed",  # whoever says so: it has one word on that
    "kuadrant.io/v1/authpolicies": "Enforced",
    "kuadrant.io/v1/ratelimitpolicies": "Enforced",
    "kuadrant.io/v1alpha1/tokenratelimitpolicies": "Enforced",
    "serving.kserve.io/v1alpha1/llminferenceservices": "Ready",
    "apps/v1/deployments": "Available",
    "v1/pods": "Ready",
}
_EVERY_SECONDS, _LOOKING_SECONDS = 0.05, 2.0
_CLASSES = f"{_GATEWAY}/gatewayclasses"
_GATEWAYS, _ROUTES = f"{_GATEWAY}/gateways", f"{_GATEWAY}/httproutes"
_DEPLOYMENTS, _REPLICA_SETS = "apps/v1/deployments", "apps/v1/replicasets"
# (route's uid, generation, controller, parentRef) → what it lacks, as its controller last said
_Words = dict[tuple[str, ...], list[str]]


@contextlib.contextmanager
def _client(state: State) -> Iterator[httpx.Client]:
    """Of the cluster's API server; raises EmbeddedError if it does not answer."""
    config = yaml.safe_load(state.kubeconfig.read_text())
    import ssl

    try:
        with httpx.Client(
            base_url=config["clusters"][0]["cluster"]["server"],
            headers={"authorization": f"Bearer {config['users'][0]['user']['token']}"},
            verify=ssl.create_default_context(cafile=str(state.ca)),
            trust_env=False,
        ) as client:
            yield client
    except httpx.TransportError as error:
        raise EmbeddedError(
            f"the API server of cluster {state.name!r} does not answer ({type(error).__name__}: "
            f"{error}); `python -m embedded logs --name {state.name}` shows what it said, "
            f"`python -m embedded down --name {state.name}` ends it"
        ) from error


def missing(state: State) -> list[str]:
    """One line for each object that is not as it should be; looks for a while, since controllers
    that overwrite each other's statuses are not all to be read at once."""
    said: _Words = {}
    deadline = time.monotonic() + _LOOKING_SECONDS
    with _client(state) as client:
        while (left := _missing(client, said)) and time.monotonic() < deadline:
            time.sleep(_EVERY_SECONDS)
    return left


def wait(state: State, seconds: float) -> None:
    """Wait until nothing is missing; raises EmbeddedError with what still is."""
    deadline = time.monotonic() + seconds
    with _client(state) as client:
        said: _Words = {}
        while left := _missing(client, said):
            if time.monotonic() > deadline:
                listing = "\n  ".join(left)
                raise EmbeddedError(
                    f"not ready after {seconds:.0f} s (the cluster still runs; look with kubectl, "
                    f"end it with `python -m embedded down`):\n  {listing}"
                )
            if state.info() is None:
                raise EmbeddedError("the cluster has ended while it was starting")
            time.sleep(_EVERY_SECONDS)


def _missing(client: httpx.Client, said: _Words) -> list[str]:
    """As `missing`; what controllers said of routes is remembered in `said`, for where others
    overwrite it."""
    controllers = {
        found["metadata"]["name"]: str(found["spec"]["controllerName"])
        for found in _items(client, _CLASSES)
    }
    gateways = _items(client, _GATEWAYS)
    strangers = _strangers(client, gateways, controllers)
    found = []
    for resource, condition in CONDITIONS.items():
        for obj in gateways if resource == _GATEWAYS else _items(client, resource):
            metadata = obj["metadata"]
            if {metadata["uid"], *_owners(obj)}.isdisjoint(strangers):
                shown = _shown(resource, obj)
                lacks = _lacks(conditions_of(status_of(obj)), condition)
                found += [f"{shown}: {text}" for text in lacks]
    for route in _items(client, _ROUTES):
        shown = _shown("httproutes", route)
        found += [f"{shown}: {text}" for text in _unrouted(route, gateways, controllers, said)]
    return found


def _items(client: httpx.Client, resource: str) -> list[Object]:
    """What there is; nothing while the resource is not served."""
    answer = client.get(path_of(resource))
    found: list[Object] = answer.json()["items"] if answer.status_code == 200 else []
    return found


def _owners(obj: Object) -> list[str]:
    return [ref["uid"] for ref in obj["metadata"].get("ownerReferences") or []]


def _strangers(
    client: httpx.Client, gateways: list[Object], controllers: dict[str, str]
) -> set[str]:
    """The uids of Deployments that a controller made for Gateways of another's class, and of their
    ReplicaSets. Who made one says its label `…/managed`, as Istio's and wg-ai-gateway's do."""
    own = {g["metadata"]["uid"]: controllers.get(g["spec"]["gatewayClassName"]) for g in gateways}
    by_label = {name.replace("/", "-"): name for name in controllers.values()}
    found = set()
    for deployment in _items(client, _DEPLOYMENTS):
        labels = deployment["metadata"].get("labels") or {}
        makers = {by_label.get(v) for k, v in labels.items() if k.endswith("/managed")} - {None}
        entitled = {own[uid] for uid in _owners(deployment) if uid in own}
        if makers and entitled and makers.isdisjoint(entitled):
            found.add(str(deployment["metadata"]["uid"]))
    if found:
        sets = _items(client, _REPLICA_SETS)
        found |= {one["metadata"]["uid"] for one in sets if not found.isdisjoint(_owners(one))}
    return found


def _unrouted(
    route: Object, gateways: list[Object], controllers: dict[str, str], said: _Words
) -> list[str]:
    """What a route lacks at the Gateways that it names."""
    found = []
    entries = status_of(route).get("parents") or []
    by_ref = {id(ref): g for g in gateways for ref in parents_of(route, g)}
    for ref in route["spec"].get("parentRefs") or []:
        if (ref.get("group", GROUP), ref.get("kind", "Gateway")) != (GROUP, "Gateway"):
            continue
        gateway = by_ref.get(id(ref))
        name = f"Gateway {ref['name']}"
        if gateway is None:
            found.append(f"there is no {name}")
            continue
        controller = controllers.get(gateway["spec"]["gatewayClassName"], "")
        at = _parent(ref, route)
        metadata = route["metadata"]
        key = (metadata["uid"], str(metadata["generation"]), controller, *at)
        for entry in entries:
            if entry.get("controllerName") == controller and at == _parent(
                entry.get("parentRef") or {}, route
            ):
                have = conditions_of(entry)
                said[key] = [t for kind in ("Accepted", "ResolvedRefs") for t in _lacks(have, kind)]
        nothing = f"no word of {controller or 'a controller'} for {name} yet"
        found += said.get(key, [nothing])
    return found


def _parent(ref: Object, route: Object) -> tuple[str, ...]:
    """What a parentRef names, with its defaults."""
    namespace = ref.get("namespace", route["metadata"]["namespace"])
    return (
        namespace,
        str(ref.get("name")),
        str(ref.get("sectionName", "")),
        str(ref.get("port", "")),
    )


def _lacks(conditions: list[Object], wanted: str) -> list[str]:
    for condition in conditions:
        if condition["type"] == wanted:
            status = condition.get("status")
            if status == "True" or condition.get("reason") == "Overridden":
                return []
            return [f"{wanted}={status} {condition.get('message', '')}".strip()]
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
