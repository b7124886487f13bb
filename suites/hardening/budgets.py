"""One user's requests on one route, one after the other, however they are written, until the
gateway refuses them for their number."""

from __future__ import annotations

import contextlib
import itertools
import json
import time
import uuid
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import httpx

from fixtures.clusters import Access
from fixtures.evidence import CLIENT, ID_HEADER, MAAS, expect
from fixtures.found import only
from fixtures.kube import Kube
from fixtures.stack import CHAT, PATIENCE_SECONDS, TIER_PREFIX, WISH_HEADER, Identity, Stack
from fixtures.stack import hurried_response as hurried
from fixtures.stack.gateways import MAAS_GATEWAY, client, endpoint
from fixtures.stack.grants import granted
from fixtures.waiting import ENFORCED_SECONDS, patiently
from suites.hardening.everywhere import ANSWERED_BEHIND, QUESTION, Question, questions, surface
from suites.hardening.routes import ModelRoute, models
from suites.hardening.test_usage import metered

WITH_A_BODY = ("POST", "PUT", "PATCH")
# Beside these Envoy, and servers of models, may know no method.
METHODS = {"GET", "HEAD", "OPTIONS", "DELETE", *WITH_A_BODY}
FEW = {"total_tokens": 1}  # an answer is no more: tokens have a budget of their own
MORE = 20  # requests past the limit, before somebody is said to have none
_USUAL = ("/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/models")


@dataclass(frozen=True)
class Written:
    """A question, and the version of HTTP that it is asked by."""

    question: Question
    http2: bool = False

    def __str__(self) -> str:
        q = self.question
        how = " over HTTP/2" if self.http2 else ""
        return f"{q.method} {q.path} at {q.host} ({q.listener}){how}"


@dataclass(frozen=True)
class Answer:
    """`behind` is whether a server behind the gateway is known to have given it: Envoy does not say
    so of one that came before it had seen the question's end, as over HTTP/2 it may."""

    written: Written
    status: int
    behind: bool
    retry_after: str | None

    def __str__(self) -> str:
        whose = " from behind the gateway" if self.behind else ""
        return f"{self.written}: {self.status}{whose}"

    @property
    def is_refusal(self) -> bool:
        """The gateway's own, for the number of requests."""
        return self.status == 429 and not self.behind

    @property
    def is_let_in(self) -> bool:
        return self.behind or self.status < 300


class Spender:
    """A user at one route, who asks for a model."""

    def __init__(self, kube: Kube, access: Access, user: Identity, model: str) -> None:
        self._kube, self._access, self._user = kube, access, user
        self._question = {**QUESTION, "model": model}
        self.past = ""  # the id of all that is asked from here on
        self._clients: dict[tuple[str, bool], httpx.Client] = {}

    def close(self) -> None:
        for one in self._clients.values():
            one.close()

    def _client(self, listener: str, http2: bool) -> httpx.Client:
        if (listener, http2) not in self._clients:
            target = endpoint(self._kube, self._access, *MAAS_GATEWAY, listener)
            self._clients[listener, http2] = client(target, self._access, http2)
        return self._clients[listener, http2]

    def ask(self, one: Written, is_new: bool = False) -> Answer:
        """Again while nobody has decided who that is (HD-35), or, while his rights are new, what he
        may use: neither is counted."""
        deadline = time.monotonic() + patiently(ENFORCED_SECONDS)
        while (response := self._sent(one)) is not None:
            waits = hurried(response) or (is_new and response.status_code == 403)
            if not waits or time.monotonic() > deadline:
                headers = response.headers
                behind = ANSWERED_BEHIND in headers
                return Answer(one, response.status_code, behind, headers.get("retry-after"))
            time.sleep(PATIENCE_SECONDS)
        return Answer(one, 499, False, None)  # the gateway ended the connection

    def _sent(self, one: Written) -> httpx.Response | None:
        q = one.question
        headers = {
            "authorization": f"Bearer {self._user.token.reveal()}",
            "host": q.host,
            ID_HEADER: self.past or f"conformance-{uuid.uuid4()}",
            WISH_HEADER: json.dumps(FEW),
        }
        try:
            return self._client(q.listener, one.http2).request(
                q.method,
                "/",
                headers=headers,
                json=self._question if q.method in WITH_A_BODY else None,
                extensions={"target": q.path.encode()},
            )
        except httpx.RemoteProtocolError:
            return None

    def spend(self, asked: Iterable[Written], limit: int) -> tuple[list[Answer], Answer | None]:
        """(what was not refused, the refusal that ended it), asked in turns."""
        passed: list[Answer] = []
        for one in itertools.cycle(asked):
            answer = self.ask(one, is_new=not passed)
            if answer.is_refusal:
                return passed, answer
            passed.append(answer)
            if len(passed) > limit + MORE:
                return passed, None
        raise AssertionError("there was nothing to ask")


@dataclass(frozen=True)
class Limited:
    """A route with limits of its own, and all that it may be asked."""

    route: ModelRoute
    asked: tuple[Question, ...]

    def __str__(self) -> str:
        return str(self.route)

    @property
    def usual(self) -> Question:
        """A chat, over TLS."""
        path = self.route.path + CHAT
        wanted = ("https", "POST", path)
        found = [q for q in self.asked if (q.listener, q.method, q.path) == wanted]
        return only(found, f"chat over TLS at {self.route}")

    def written(self) -> list[Written]:
        """Every operation and method on every listener, with a query, and over HTTP/2."""
        query = replace(self.usual, path=f"{self.usual.path}?x=1")
        own = [Written(q) for q in self.asked]
        return [Written(self.usual, True), Written(query), Written(query, True), *own]


def limited(kube: Kube) -> list[Limited]:
    """Each route to models on which the policies know a tier."""
    found: dict[tuple[str, str], Limited] = {}
    here = [one for one in surface(kube) if one.alone]
    for route in metered(kube):
        name = f"{route.namespace}/{route.name}"
        own = questions(one for one in here if one.route == name)
        asked = tuple(q for q in own if _is_asked(q, route))
        found.setdefault((route.namespace, route.name), Limited(route, asked))
    expect(len(found) > 1, MAAS, "routes on which requests are limited", f"{len(found)}")
    return list(found.values())


def _is_asked(q: Question, route: ModelRoute) -> bool:
    """Each operation over TLS, and what is usual over each other listener, with each method a chat:
    what differs in two of them at once differs in one."""
    operation = q.path.removeprefix(route.path)
    if operation == CHAT:
        return q.method in METHODS
    return q.method in ("GET", "POST") and (q.listener == "https" or operation in _USUAL)


@contextlib.contextmanager
def spender(
    kube: Kube, access: Access, stack: Stack, tier: str, route: ModelRoute, model: str = "auto"
) -> Iterator[Spender]:
    """A new user of a tier, who may use the models of a route's namespace, and asks for one."""
    user = stack.account_token(f"{TIER_PREFIX}{tier}")
    made = Spender(kube, access, user, model)
    names = models(kube).get(route.namespace)
    rights = granted(kube, user, route.namespace, names) if names else contextlib.nullcontext()
    try:
        with rights:
            yield made
    finally:
        made.close()


def is_odd(answer: Answer) -> str:
    """What is wrong with a refusal's Retry-After; one that says 0 makes clients hammer."""
    said = answer.retry_after
    if said is None or (said.isdecimal() and int(said) >= 1):
        return ""
    return f"Retry-After: {said} at {answer.written}"


def expect_at_each(found: list[Limited], what: str, problem: object) -> None:
    """No problem at any route, all side by side."""
    assert callable(problem)
    with ThreadPoolExecutor(len(found)) as pool:
        told = list(pool.map(problem, found))
    wrong = {str(one): text for one, text in zip(found, told, strict=True) if text}
    expect(not wrong, CLIENT, f"{what}, at each of {len(found)} routes", f"{wrong}")
