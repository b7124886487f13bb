"""Streams whose clients leave, and what they leave behind."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx

from fixtures.evidence import BACKEND, ID_HEADER, expect
from fixtures.evidence.requirements import requirement
from fixtures.kube import Kube
from fixtures.stack import CHAT, PATIENCE_SECONDS, WISH_HEADER, Identity, Stack
from fixtures.waiting import ENFORCED_SECONDS, REQUEST_SECONDS, WaitTimeout, patiently, until
from manifests import Object
from suites.hardening.routes import MODEL, ROUTE, ModelRoute, model_of, model_routes

STREAMS = 16  # llm-d-inference-sim answers five at a time
LEFT_SECONDS = 0.5  # who waits for what is buffered on its way leaves then
ANSWERED_SECONDS = 5.0
NOTHING_CAME = 0
# Nearly as long as a window of 1024 tokens lets it be. A simulator has written that before its
# client has seen the first of it, unless it says so much of each token that no buffer holds it; a
# model that refuses to takes its time anyway. Slow where a recorder writes it.
LONG = {"stream": True, "max_tokens": 900, "ignore_eos": True}
MUCH = {"logprobs": True, "top_logprobs": 500}
SLOW = {"sse": "pieces", "text": "word " * 20}


@dataclass(frozen=True)
class Asker:
    """A user of one route's model."""

    stack: Stack
    route: ModelRoute
    user: Identity
    model: str

    def leave(self, **more: Any) -> int:
        """Ask for a stream, and go away at its first bytes, or when none come soon; its status."""
        try:
            with self._asked(LEFT_SECONDS, **LONG, **more) as answer:
                next(answer.iter_raw(), b"")
                return answer.status_code
        except httpx.ReadTimeout:
            return NOTHING_CAME

    def ask(self) -> int:
        """The status of an answer that is waited for."""
        try:
            with self._asked(patiently(ANSWERED_SECONDS), max_tokens=10) as answer:
                answer.read()
                return answer.status_code
        except httpx.ReadTimeout:
            return NOTHING_CAME

    def _asked(
        self, seconds: float, **more: Any
    ) -> contextlib.AbstractContextManager[httpx.Response]:
        message = {"role": "user", "content": "Hello"}
        headers = {
            "authorization": f"Bearer {self.user.token.reveal()}",
            ID_HEADER: "conformance-left-streams",
            WISH_HEADER: json.dumps(SLOW if "stream" in more else {}),
        }
        return self.stack.https.stream(
            "POST",
            self.route.path + CHAT,
            json={"model": self.model, "messages": [message], **more},
            headers=headers,
            timeout=httpx.Timeout(REQUEST_SECONDS, read=seconds),
        )


@requirement("HD-49")
def test_streams_that_are_left_cost_nothing(kube: Kube, stack: Stack, member: Identity) -> None:
    """At every route to a model: streams that nobody reads on, and then a question."""
    routes = model_routes(kube)
    expect(bool(routes), BACKEND, "routes to models on the MaaS gateway", "none")
    with ThreadPoolExecutor(len(routes)) as pool:  # Authorino's turns are each route's own
        found = list(pool.map(lambda route: _problem(stack, route, member), routes))
    problems = {}
    for route, problem in zip(routes, found, strict=True):
        made = kube.get(*ROUTE, route.namespace, route.name)
        if problem and made:  # else it was a test's, and has gone with it
            _renew(kube, made)
            problems[str(route)] = problem
    expect(
        not problems, BACKEND, f"an answer after {STREAMS} streams that were left", f"{problems}"
    )


def _problem(stack: Stack, route: ModelRoute, user: Identity) -> str:
    """What is wrong with the model behind a route; "" for nothing."""
    try:
        asker = Asker(stack, route, user, model_of(stack, route, user))
        more = MUCH
        for _ in range(STREAMS):
            status = _in_turn(f"a stream of {route}", partial(asker.leave, **more))
            if status == 400 and more:
                more = {}
            elif status not in (200, NOTHING_CAME):
                return f"status {status} for a stream"
        status = _in_turn(f"an answer of {route}", asker.ask)
    except WaitTimeout as error:
        return str(error)
    return "" if status == 200 else f"status {status}" if status else "no answer"


def _in_turn(what: str, ask: Callable[[], int]) -> int:
    """Again while Authorino has no time to ask who that is (HD-35)."""
    return until(what, ask, lambda status: status != 401, ENFORCED_SECONDS, every=PATIENCE_SECONDS)


def _renew(kube: Kube, route: Object) -> None:
    """Other Pods for a model that has had enough, for the tests to come."""
    namespace = route["metadata"]["namespace"]
    for owner in route["metadata"].get("ownerReferences") or []:
        if owner["kind"] == MODEL[1]:
            for pod in kube.all("v1", "Pod", namespace, {"app.kubernetes.io/name": owner["name"]}):
                kube.delete("v1", "Pod", namespace, pod["metadata"]["name"])
