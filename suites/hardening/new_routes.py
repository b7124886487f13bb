"""Routes of the MaaS gateway that come while a test looks: by themselves, with a policy of their
own, or with a model."""

from __future__ import annotations

import contextlib
import copy
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from fixtures.kube import Kube
from fixtures.objects import existing
from fixtures.stack import Stack
from fixtures.stack.gateways import MAAS_GATEWAY
from fixtures.stack.local_models import local_model
from fixtures.waiting import ENFORCED_SECONDS, IN_A_ROW, until
from manifests import Object
from suites.hardening.routes import MODEL, ROUTE
from suites.mixed_providers.providers import LOCAL, OPENAI

KNOCKERS = 3
_POLICY = ("kuadrant.io/v1", "AuthPolicy")
_BRIDGE = ("default", "openai-bridge")
Arrival = Callable[[], None]
# Of a kind of route: (its path, how it comes); it is gone when the context is left.
Coming = Callable[[Kube], contextlib.AbstractContextManager[tuple[str, Arrival]]]


def _route(name: str, namespace: str, to: str, service: str, port: int) -> Object:
    rewrite = {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": to}}
    rule = {
        "matches": [{"path": {"type": "PathPrefix", "value": f"/{name}/"}}],
        "filters": [{"type": "URLRewrite", "urlRewrite": rewrite}],
        "backendRefs": [{"name": service, "port": port}],
    }
    ref = {"name": MAAS_GATEWAY[1], "namespace": MAAS_GATEWAY[0]}
    spec = {"parentRefs": [ref], "rules": [rule]}
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": ROUTE[0], "kind": ROUTE[1], "metadata": metadata, "spec": spec}


@contextlib.contextmanager
def _applied(kube: Kube, objects: list[Object]) -> Iterator[tuple[str, Arrival]]:
    """All of one name, in their order, as kubectl does it."""
    name = objects[0]["metadata"]["name"]
    try:
        yield f"/{name}", lambda: [kube.apply(one) for one in objects].clear()
    finally:
        for one in reversed(objects):
            namespace = one["metadata"]["namespace"]
            kube.delete(one["apiVersion"], one["kind"], namespace, name)


def _name() -> str:
    return f"conformance-{uuid.uuid4().hex[:8]}"


def by_itself(kube: Kube) -> contextlib.AbstractContextManager[tuple[str, Arrival]]:
    """A route to a provider, for which the Gateway's policy is."""
    service, _, port = OPENAI.service.partition(":")
    return _applied(kube, [_route(_name(), OPENAI.namespace, "/", service, int(port))])


def with_its_policy(kube: Kube) -> contextlib.AbstractContextManager[tuple[str, Arrival]]:
    """A bridge as the demo's, with a policy as the demo's right after it."""
    route = _route(_name(), _BRIDGE[0], f"{OPENAI.egress_path}/", "envoy-poc-gateway", 80)
    metadata = route["metadata"]
    spec = copy.deepcopy(existing(kube, *_POLICY, _BRIDGE[0], f"{_BRIDGE[1]}-auth")["spec"])
    spec["targetRef"]["name"] = metadata["name"]
    policy = {"apiVersion": _POLICY[0], "kind": _POLICY[1], "metadata": metadata, "spec": spec}
    return _applied(kube, [route, policy])


@contextlib.contextmanager
def with_a_model(kube: Kube) -> Iterator[tuple[str, Arrival]]:
    """A model that serves already, and now names the MaaS gateway."""
    ref = {"name": MAAS_GATEWAY[1], "namespace": MAAS_GATEWAY[0]}
    body = {"spec": {"router": {"gateway": {"refs": [ref]}}}}
    with local_model(kube, LOCAL.namespace, only=True) as model:
        yield model.path, lambda: kube.merge(*MODEL, model.namespace, model.name, body)


COMING: list[Coming] = [by_itself, with_its_policy, with_a_model]


def statuses(kube: Kube, stack: Stack, coming: Coming) -> set[int]:
    """What is answered to who asks without a token for a route of this kind, from before it comes
    until it asks for a token each time; all the while several ask."""
    with coming(kube) as (path, arrive), ThreadPoolExecutor(KNOCKERS) as pool:
        over, seen = threading.Event(), set()

        def knock() -> int:
            answer = stack.send("GET", f"{path}/v1/models", headers=_KEY)
            seen.add(answer.status)
            return answer.status

        def knock_on() -> None:
            while not over.is_set():
                knock()

        knocking = [pool.submit(knock_on) for _ in range(KNOCKERS)]
        try:
            arrive()
            until(f"{path} to ask for a token", knock, lambda status: status == 401,
                  ENFORCED_SECONDS, in_a_row=IN_A_ROW)  # fmt: skip
        finally:
            over.set()
        for one in knocking:
            one.result()
    return seen


_KEY = {OPENAI.key_header: OPENAI.key.reveal()}  # past the gateway its provider serves who has it
