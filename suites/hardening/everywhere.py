"""Everything that can be asked of a gateway, wherever its routes lead: the surface that sentences
with *nobody* and *no* in them are judged over."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx

from fixtures.clusters import Access
from fixtures.evidence import ID_HEADER, MAAS, expect
from fixtures.kube import Kube
from fixtures.stack import CHAT, TIER_PREFIX, Identity, Sent, Stack
from fixtures.stack.gateways import MAAS_GATEWAY, client, endpoint
from fixtures.stack.surface import Entrance, entrances
from suites.mixed_providers.providers import ALL

SIDE_BY_SIDE = 8
SHOWN = 12
REDIRECTS = (301, 302, 303, 307, 308)
NO_ANSWER = 499
_OF_GRPC = {"16": 401, "7": 403}  # UNAUTHENTICATED, PERMISSION_DENIED
# Only a server behind the gateway makes Envoy say how long it took.
ANSWERED_BEHIND = "x-envoy-upstream-service-time"
QUESTION = {
    "model": "auto",  # vSR's; who serves another says that it has none, and has received it
    "messages": [{"role": "user", "content": "Hello"}],
    "prompt": "Hello",
    "input": "Hello",
    "max_tokens": 1,
}
# OpenAI's API, and what servers of models have beside it.
_MODELS = [
    ("POST", CHAT), ("POST", "/v1/completions"), ("POST", "/v1/embeddings"),
    ("POST", "/v1/responses"), ("GET", "/v1/responses/x"), ("POST", "/v1/messages"),
    ("GET", "/v1/models"), ("GET", "/v1/models/x"), ("POST", "/v1/moderations"),
    ("POST", "/v1/images/generations"), ("POST", "/v1/audio/speech"),
    ("POST", "/v1/audio/transcriptions"), ("GET", "/v1/files"), ("POST", "/v1/files"),
    ("POST", "/v1/batches"), ("GET", "/v1/batches/x"), ("POST", "/v1/rerank"),
    ("POST", "/v1/score"), ("POST", "/tokenize"), ("POST", "/v1/load_lora_adapter"),
    ("GET", "/metrics"), ("GET", "/health"), ("GET", "/version"), ("GET", ""), ("GET", "/"),
]  # fmt: skip
_MAAS_API = [
    ("GET", "/v1/models"), ("POST", "/v1/tokens"), ("DELETE", "/v1/tokens"),
    ("GET", "/v1/api-keys"), ("POST", "/v1/api-keys"), ("GET", "/v1/api-keys/x"),
    ("DELETE", "/v1/api-keys/x"), ("DELETE", "/v1/api-keys"), ("POST", "/v1/tiers/lookup"),
    ("GET", "/health"), ("GET", ""), ("GET", "/"),
]  # fmt: skip
# What few ask for, and servers of models and of APIs have all the same.
_RARE = [
    ("POST", "/v1/audio/translations"), ("POST", "/v1/images/edits"), ("GET", "/v1/realtime"),
    ("GET", "/v1/files/x/content"), ("DELETE", "/v1/files/x"), ("POST", "/v1/fine_tuning/jobs"),
    ("POST", "/v1/assistants"), ("POST", "/v1/threads"), ("POST", "/v1/responses/x/cancel"),
    ("POST", "/v1/messages/count_tokens"), ("POST", "/v1/complete"), ("POST", "/detokenize"),
    ("POST", "/pooling"), ("POST", "/classify"), ("POST", "/score"), ("POST", "/rerank"),
    ("GET", "/ping"), ("POST", "/invocations"), ("GET", "/load"), ("GET", "/server_info"),
    ("POST", "/sleep"), ("POST", "/reset_prefix_cache"), ("POST", "/v1/unload_lora_adapter"),
    ("GET", "/openapi.json"), ("GET", "/docs"), ("GET", "/debug/pprof/"),
]  # fmt: skip
_METHODS = ("HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "GET", "POST", "TRACE", "QUERY")
_TRIED_WITH_ALL = {CHAT, "/v1/completions", "/v1/models", "/v1/tokens"}
_USUAL = (("POST", CHAT), ("GET", "/v1/models"), ("POST", "/v1/tokens"))


@dataclass(frozen=True)
class Question:
    """What is asked of one route: `route` is `namespace/name`, `path` goes out as it is."""

    listener: str
    host: str
    route: str
    method: str
    path: str

    def __str__(self) -> str:
        return f"{self.method} {self.path} ({self.route}, {self.listener})"


@dataclass(frozen=True)
class Answered:
    """A question, and what came of it; `behind` is whether a server behind the gateway answered,
    `error` why no answer came."""

    question: Question
    status: int
    behind: bool
    error: str = ""

    def __str__(self) -> str:
        whose = ", from behind the gateway" if self.behind else ""
        return f"{self.question}: {self.error or self.status}{whose}"

    @classmethod
    def missing(cls, question: Question, error: httpx.TransportError) -> Answered:
        """Where the gateway ended the connection, or none came about."""
        return cls(question, NO_ANSWER, False, f"{type(error).__name__} ({error})")

    @property
    def is_let_in(self) -> bool:
        """Whether somebody was served, or asked a server behind the gateway."""
        return self.behind or self.status < 300


def surface(kube: Kube) -> list[Entrance]:
    """Every entrance of the MaaS gateway, with a policy or without."""
    return [one for one in entrances(kube) if one.gateway == MAAS_GATEWAY]


def questions(found: Iterable[Entrance]) -> list[Question]:
    """Each operation and method that a route can be asked, once for each listener and host."""
    out: dict[Question, None] = {}
    for one in found:
        for method, path in _operations(one):
            out[Question(one.listener, one.host, one.route, method, path)] = None
    return list(out)


def _operations(entrance: Entrance) -> Iterable[tuple[str, str]]:
    known, base = _MAAS_API if entrance.is_maas_api else _MODELS, entrance.base
    own = entrance.path.rstrip("/")
    whole = [(method, base + path) for method, path in known]
    # A prefix without its last slash is a gap of its own: `at_the_prefix`.
    named = [(method, path) for method, path in whole
             if path.startswith(own) and path != entrance.path.removesuffix("/")]  # fmt: skip
    yield from named
    yield from ((one, entrance.path) for one in _METHODS if one != "TRACE")
    for path in sorted({base + one for one in _TRIED_WITH_ALL} & {path for _, path in named}):
        yield from ((method, path) for method in _METHODS)


def rarely(found: Iterable[Entrance]) -> list[Question]:
    """What few ask of a route, over TLS."""
    return [
        Question(one.listener, one.host, one.route, method, one.base + path)
        for one in found
        for method, path in _RARE
        if one.listener == "https" and (one.base + path).startswith(one.path.rstrip("/"))
    ]


def at_the_prefix(found: Iterable[Entrance]) -> list[Question]:
    """Of routes whose prefix ends with a slash, those for the prefix without it, which they serve
    too (Gateway API, PathPrefix)."""
    return [
        Question(one.listener, one.host, one.route, method, one.path.rstrip("/"))
        for one in found
        if one.path.rstrip("/") and one.path.endswith("/")
        for method in ("GET", "POST")
    ]


def written(path: str) -> list[str]:
    """Other ways to write a path, for a reader who decodes or tidies too much or too little: at
    each slash, in each part, and at its end."""
    parts = path.strip("/").split("/")
    found = []
    for at in range(len(parts)):
        before, here, after = parts[:at], parts[at], parts[at + 1 :]
        for joined in ("%2f", "%2F", "//", "/./", "/%2e/", "\\", "%5c", "/x/../", "/x/..%2f"):
            found.append("".join(f"/{one}" for one in before) + joined + "/".join(parts[at:]))
        odd = [f"{here};x", f"{here[:-1]}%{ord(here[-1]):02x}", f"%{ord(here[0]):02X}{here[1:]}",
               here.upper(), f"{here}%00", f"{here}%20", f"{here}%09", f"{here}."]  # fmt: skip
        found += ["/" + "/".join([*before, one, *after]) for one in odd]
    found += [path + end for end in ("/", "//", "?x=1", "?", "#x", "%3fx", ";")]
    return [one for one in dict.fromkeys(found) if one != path]


class Asker:
    """Asks many questions side by side, of which backends know by one id; `tried` has how many
    at each route."""

    unanswered: type[httpx.TransportError] = httpx.RemoteProtocolError  # is an answer too: none

    def __init__(
        self,
        kube: Kube,
        access: Access,
        stack: Stack,
        tried: Counter[str] | None = None,
        side_by_side: int = SIDE_BY_SIDE,
        http2: bool = False,
    ) -> None:
        """Over HTTP/2 one after the other: httpcore's connections of it are not for several
        threads."""
        self._stack, self.tried = stack, Counter() if tried is None else tried
        self._side_by_side = 1 if http2 else side_by_side
        self._clients = {
            name: client(endpoint(kube, access, *MAAS_GATEWAY, name), access, http2)
            for name in listeners(kube)
        }
        self.id = f"conformance-{uuid.uuid4()}"

    def renew(self) -> None:
        """Let what comes now have an id of its own."""
        self.id = f"conformance-{uuid.uuid4()}"

    def close(self) -> None:
        for one in self._clients.values():
            one.close()

    def ask(
        self,
        asked: Iterable[Question],
        identity: Identity | None = None,
        headers: Sent | None = None,
        size: int = 0,
        chunked: bool = False,
    ) -> list[Answered]:
        """All the answers, in the questions' order; `headers` are pairs where a name comes
        twice, `size` is what a body has beside, in bytes, and `chunked` does not say how long it
        is."""
        asked = list(asked)
        self.tried.update(one.route for one in asked)
        more = list(headers.items()) if isinstance(headers, dict) else headers or []
        sent = [(ID_HEADER, self.id), *more]
        if identity:
            sent.append(("authorization", f"Bearer {identity.token.reveal()}"))
        with ThreadPoolExecutor(self._side_by_side) as pool:
            return list(pool.map(lambda one: self._answered(one, sent, size, chunked), asked))

    def _answered(
        self, one: Question, sent: list[tuple[str, str]], size: int, chunked: bool
    ) -> Answered:
        body: Any = QUESTION if one.method in ("POST", "PUT", "PATCH", "QUERY") else None
        if "maas-api" in one.path and body:
            body = {"expiration": "10m"}
        if body and size:
            body = {**body, "beside": "x" * size}
        gateway = self._clients[one.listener]
        given: dict[str, Any] = {"json": body}
        if chunked:
            given = {"content": iter([json.dumps(body).encode()])}
            sent = [*sent, ("content-type", "application/json")]
        try:
            answer = gateway.request(
                one.method, "/", headers=[*sent, ("host", one.host)], **given,
                extensions={"target": one.path.encode()},
            )  # fmt: skip
        except self.unanswered as error:
            return Answered.missing(one, error)
        # To who speaks gRPC Envoy says 200, and in a header what is wrong (gRPC over HTTP2).
        grpc = answer.headers.get("grpc-status", "0")
        status = answer.status_code if grpc == "0" else _OF_GRPC.get(grpc, 400)
        return Answered(one, status, ANSWERED_BEHIND in answer.headers)

    def received(self) -> list[str]:
        """What recorders received of all that: `backend: METHOD path`."""
        return [f"{r.backend}: {r.method} {r.path}" for r in self._stack.records(self.id)]


def known(kube: Kube, asker: Asker, stack: Stack) -> list[Question]:
    """All the questions, once a good one has shown that an answer from behind the gateway is told
    from the gateway's own: else a backend's refusal would pass for the gateway's."""
    found = questions(surface(kube))
    paths = [f"{one.path}/v1/models" for one in ALL]
    listings = {q.path: q for q in found if q.method == "GET" and q.path in paths}
    assert listings, f"no route leads to any of {', '.join(paths)}"
    good = asker.ask(listings.values(), stack.account_token(f"{TIER_PREFIX}enterprise"))
    behind = any(one.behind for one in good)
    expect(behind, MAAS, "an answer from behind it for a good token", f"{[*map(str, good)]}")
    asker.renew()
    return found


def usual(kube: Kube) -> list[Question]:
    """What users ask each route for, over TLS; a route that leads to none of it for its path."""
    found = surface(kube)
    out: dict[Question, None] = {}
    for q in questions(one for one in found if one.listener == "https"):
        if any(q.method == method and q.path.endswith(end) for method, end in _USUAL):
            out[q] = None
    served = {q.route for q in out}
    plain = (one for one in found if one.listener == "https" and one.route not in served)
    return [*out, *(Question(o.listener, o.host, o.route, "GET", o.path) for o in plain)]


def welcoming(
    kube: Kube, asker: Asker, asked: Iterable[Question], user: Identity
) -> list[Question]:
    """Those that let a user in whom nothing is wrong with; fails for a route that neither does so,
    nor redirects, nor says that its model is not his."""
    answers = asker.ask(asked, user)
    shut = [
        str(one) for one in answers if not (one.is_let_in or one.status in (*REDIRECTS, 403))
    ]  # fmt: skip
    expect(not shut, MAAS, "an answer, a redirect or 403 of every route", f"{shut}")
    found = [one.question for one in answers if one.is_let_in]
    expect(bool(found), MAAS, f"a route that lets {user.username} in", "none")
    asker.renew()
    return found


def expect_nobody(asker: Asker, answers: list[Answered], who: str) -> None:
    """Nobody was served, and no recorder received anything."""
    assert answers, "there was nothing to ask"
    served = [str(one) for one in answers if one.is_let_in] + asker.received()
    asker.renew()
    shown = "; ".join(served[:SHOWN])
    expect(not served, MAAS, f"nothing for {who} at {len(answers)} questions",
           f"{len(served)} let in: {shown}")  # fmt: skip


def listeners(kube: Kube) -> list[str]:
    """Those of the MaaS gateway that have a route."""
    return sorted({one.listener for one in surface(kube)})
