"""Every way to a recording model: a route of the MaaS gateway, and the name that the client gives
the model there, with the recorder at its end. From the cluster's own objects, whoever made them."""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import httpx

from fixtures.evidence import BACKEND, ID_HEADER, expect
from fixtures.kube import Kube
from fixtures.stack import (
    CHAT,
    PATIENCE_SECONDS,
    TIER_PREFIX,
    WISH_HEADER,
    Identity,
    Provider,
    Sent,
    Stack,
    Wish,
)
from fixtures.stack.grants import granted
from fixtures.stack.surface import entrances, of_a_test
from fixtures.waiting import ENFORCED_SECONDS, REQUEST_SECONDS, WaitTimeout, patiently, until
from manifests import Object
from suites.hardening.routes import (
    ModelRoute,
    behind_a_router,
    model_of,
    model_routes,
    models,
)

PROGRAM = "recording-provider"  # the ConfigMap that recorders run
COMPLETIONS, EMBEDDINGS = "/v1/completions", "/v1/embeddings"
Problem = Callable[["Way"], str]


@dataclass(frozen=True)
class Way:
    """`model` is what the client asks for; `recorder` serves it, unless the way is `shut`, which
    says why. `inner` is whether it leads through another Gateway."""

    route: ModelRoute
    model: str
    inner: bool
    recorder: Provider | None = None
    shut: str = ""

    def __str__(self) -> str:
        return f"{self.route} for {self.model}"

    @property
    def operations(self) -> list[str]:
        """Those that can be asked for a stream; beside /v1/chat the router has no route."""
        return [CHAT, COMPLETIONS] if self.route.path else [CHAT]

    @property
    def questions(self) -> list[str]:
        """The operations that may be asked for a whole answer."""
        return [*self.operations, EMBEDDINGS] if self.route.path else self.operations


@dataclass(frozen=True)
class Walker:
    """A user who asks on ways."""

    stack: Stack
    user: Identity

    def ask(
        self,
        way: Way,
        wish: Wish | None = None,
        headers: Sent | None = None,
        operation: str = CHAT,
        **more: Any,
    ) -> Any:
        """A whole answer: an Exchange, whose records are not those of the way's recorder."""
        body = {**question(operation), "model": way.model, **more}
        return self.stack.send(
            "POST", way.route.path + operation, self.user, body, headers, recorder=wish
        )

    @contextlib.contextmanager
    def open(
        self,
        way: Way,
        wish: Wish,
        operation: str = CHAT,
        seconds: float = REQUEST_SECONDS,
        **more: Any,
    ) -> Iterator[tuple[str, httpx.Response]]:
        """(id, an answer that is still to be read): each piece of it comes within `seconds`. Again
        while Authorino has no time to ask who that is (HD-35)."""
        deadline = time.monotonic() + patiently(ENFORCED_SECONDS)
        while True:
            request_id = f"conformance-{uuid.uuid4()}"
            with self.stack.https.stream(
                "POST",
                way.route.path + operation,
                json={**question(operation), "model": way.model, **more},
                headers={
                    "authorization": f"Bearer {self.user.token.reveal()}",
                    ID_HEADER: request_id,
                    WISH_HEADER: json.dumps(wish),
                },
                timeout=httpx.Timeout(REQUEST_SECONDS, read=seconds),
            ) as answer:
                if answer.status_code != 401 or time.monotonic() > deadline:
                    yield request_id, answer
                    return
            time.sleep(PATIENCE_SECONDS)


@contextlib.contextmanager
def member_of(kube: Kube, stack: Stack, tier: str = "enterprise") -> Iterator[Identity]:
    """A user of a tier who may use every model."""
    user = stack.account_token(f"{TIER_PREFIX}{tier}")
    with contextlib.ExitStack() as rights:
        for namespace, names in models(kube).items():
            rights.enter_context(granted(kube, user, namespace, names))
        yield user


def ways(kube: Kube, walker: Walker, inner_alone: bool = False) -> list[Way]:
    """All of them, or those `inner` alone, each asked once. A way on which somebody else answers
    than a recorder, a real server or simulator, is none; one that does not answer is shut."""
    inner = _of_gateways(kube)
    behind: dict[tuple[str, str], set[str]] = {}
    for one in entrances(kube):
        behind.setdefault((one.route, one.base), set()).update(one.backends)
    found = [
        (route, bool(behind[f"{route.namespace}/{route.name}", route.path] & inner))
        for route in model_routes(kube)
    ]
    found = [(route, is_inner) for route, is_inner in found if is_inner or not inner_alone]
    known = recorders(kube)

    def walked(one: tuple[ModelRoute, bool]) -> list[Way]:
        return _of_route(kube, walker, *one, known)

    with ThreadPoolExecutor(len(found) or 1) as pool:
        return [way for of_one in pool.map(walked, found) for way in of_one]


def _of_route(
    kube: Kube, walker: Walker, route: ModelRoute, inner: bool, known: list[Provider]
) -> list[Way]:
    """For each of its models: where a router chooses, its own and theirs."""
    try:
        names = [model_of(walker.stack, route, walker.user)]
    except (WaitTimeout, httpx.TransportError) as error:
        return [_shut(Way(route, "any model", inner), error)]
    names += [] if route.path else behind_a_router(kube, route)
    walked = [_walked(walker, Way(route, name, inner), known) for name in names]
    return [way for way in walked if way]


def _shut(way: Way, error: Exception) -> Way:
    return replace(way, shut=f"shut from the beginning: {error}")


def _walked(walker: Walker, way: Way, known: list[Provider]) -> Way | None:
    try:
        exchange = until(
            f"an answer of {way}",
            lambda: walker.ask(way),
            lambda seen: seen.status == 200,
            ENFORCED_SECONDS,
            every=PATIENCE_SECONDS,
        )
    except (WaitTimeout, httpx.TransportError) as error:
        return _shut(way, error)
    for one in known:
        if walker.stack.records_of(one, exchange.id):
            return replace(way, recorder=one)
    return None


def recorders(kube: Kube) -> list[Provider]:
    """A Service of each Pod that runs the recording provider, but for those of tests beside this
    one, which end with them; its path and model are its ways'."""
    services = kube.all("v1", "Service")
    found = {}
    for pod in kube.all("v1", "Pod"):
        namespace, labels = pod["metadata"]["namespace"], pod["metadata"].get("labels") or {}
        arguments = [word for one in pod["spec"]["containers"] for word in one.get("args") or []]
        if not _runs_it(pod) or of_a_test(pod) or pod["metadata"].get("deletionTimestamp"):
            continue
        for service in services:
            selector = service["spec"].get("selector") or {}
            if service["metadata"]["namespace"] == namespace and selector.items() <= labels.items():
                name = service["metadata"]["name"]
                secure = "https:" if "--ssl-certfile" in arguments else ""
                if selector:
                    found[pod["metadata"]["uid"]] = Provider(
                        f"{namespace}/{name}", "", "", "", namespace, f"{secure}{name}:8000"
                    )
                    break
    return list(dict.fromkeys(found.values()))


def _runs_it(pod: Object) -> bool:
    volumes = pod["spec"].get("volumes") or []
    return any((one.get("configMap") or {}).get("name") == PROGRAM for one in volumes)


def _of_gateways(kube: Kube) -> set[str]:
    """The Services that Gateways own."""
    return {
        one["metadata"]["name"]
        for one in kube.all("v1", "Service")
        for owner in one["metadata"].get("ownerReferences") or []
        if owner["kind"] == "Gateway"
    }


def question(operation: str) -> Object:
    """What is asked for by an operation."""
    asked: dict[str, Object] = {
        CHAT: {"messages": [{"role": "user", "content": "Hello"}]},
        COMPLETIONS: {"prompt": "Hello"},
        EMBEDDINGS: {"input": "Hello"},
    }
    return {**asked[operation], **({} if operation == EMBEDDINGS else {"max_tokens": 10})}


def expect_on_each(found: list[Way], what: str, problem: Problem, threads: int = 8) -> None:
    """No problem on any way, all side by side; a way that is shut is one."""
    expect(bool(found), BACKEND, "ways to recorders on the MaaS gateway", "none")

    def told_of(way: Way) -> str:
        try:
            return way.shut or problem(way)
        except httpx.TransportError as error:
            return f"no answer: {type(error).__name__}"

    with ThreadPoolExecutor(threads) as pool:
        told = list(pool.map(told_of, found))
    problems = {str(way): text for way, text in zip(found, told, strict=True) if text}
    expect(not problems, BACKEND, f"{what}, on each of {len(found)} ways", f"{problems}")
