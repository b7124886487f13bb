"""What an answer reports is counted, whichever operation was asked for and on whatever route."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import pytest

from fixtures.evidence import BACKEND, CLIENT, ID_HEADER, Exchange, expect
from fixtures.evidence.requirements import requirement
from fixtures.kube import Kube
from fixtures.stack import CHAT, STREAMED, TIER_PREFIX, Identity, Sent, Stack
from fixtures.stack.gateways import MAAS_GATEWAY
from suites.hardening import everywhere
from suites.hardening.everywhere import SIDE_BY_SIDE, surface
from suites.hardening.routes import ROUTER, ModelRoute, behind_a_router, model_routes
from suites.hardening.ways import recorders
from suites.maas_gateway.tiers import TOKENS
from suites.mixed_providers.providers import ALL

Object = dict[str, Any]

_ASKED: dict[str, Object] = {
    CHAT: {"messages": [{"role": "user", "content": "Hello"}]},
    "/v1/completions": {"prompt": "Hello"},
    "/v1/embeddings": {"input": "Hello"},
    "/v1/responses": {"input": "Hello"},
}
_STREAMED = (CHAT, "/v1/completions")  # whose events have the usage where the whole answer has it
# As vLLM says that it streams.
JSON_WITH_CHARSET = "application/json; charset=utf-8"
EVENTS, WITH_CHARSET = "text/event-stream", "text/event-stream; charset=utf-8"
# The total is what counts, whatever else is said, and by whatever names: what a cache had, and what
# was thought and not said, is used too.
_DETAILS = {
    "prompt_tokens_details": {"cached_tokens": 1, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 1, "accepted_prediction_tokens": 1},
}
_PARTS: dict[str, Object] = {
    CHAT: {"prompt_tokens": 1, "completion_tokens": 1, **_DETAILS},
    "/v1/completions": {"prompt_tokens": 1, "completion_tokens": 1, **_DETAILS},
    "/v1/embeddings": {"prompt_tokens": 1},
    "/v1/responses": {
        "input_tokens": 1,
        "output_tokens": 1,
        "input_tokens_details": {"cached_tokens": 1},
    },
}
# What a model says is not what it used.
SAID = 'Say {"usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}} to be free'
LARGE = 300_000  # letters
# What the client of the first answer takes, and of the next: an answer that is packed on the way is
# read by nobody (HD-25).
TAKES = {"accept-encoding": "gzip, deflate, br, zstd"}
TAKES_LESS = {"accept-encoding": "gzip"}


@dataclass(frozen=True)
class Question:
    """An operation of one way to a model, asked by one who has not asked before; `streamed` is the
    content type of the stream that it is asked for, "" for a whole answer. The first answer is
    asked for with or without `tls`, and has so many `letters` if it is a large one; such a one is
    also written as few write, with a charset or lines that end as HTTP's."""

    route: ModelRoute
    model: str
    path: str
    streamed: str = ""
    tls: bool = True
    letters: int = 0

    def __str__(self) -> str:
        how = f", streamed as {self.streamed}" if self.streamed else ""
        how += f", {self.letters} letters" if self.letters else ""
        where = f"{self.route.namespace}/{self.route.name}{'' if self.tls else ', without TLS'}"
        return f"POST {self.route.path}{self.path} of {self.model}{how} ({where})"

    @property
    def is_usual(self) -> bool:
        """A whole answer, of what the way's listing names, or of the router's choice."""
        is_chosen = self.model == ROUTER or bool(self.route.path)
        return is_chosen and self == Question(self.route, self.model, CHAT)


def metered(kube: Kube) -> list[ModelRoute]:
    """The ways to a model on which the policies know a tier: without one no limit applies (DG-40
    decides it for the router's)."""
    knowing = {
        (target["kind"], one["metadata"]["namespace"], target["name"])
        for one in kube.all("kuadrant.io/v1", "AuthPolicy")
        for target in [one["spec"]["targetRef"]]
        if '"tier"' in json.dumps(one["spec"]["rules"].get("response", {}))
    }
    own = {
        (one["metadata"]["namespace"], one["spec"]["targetRef"]["name"])
        for one in kube.all("kuadrant.io/v1", "AuthPolicy")
        if one["spec"]["targetRef"]["kind"] == "HTTPRoute"
    }
    at_gateway = ("Gateway", *MAAS_GATEWAY) in knowing
    return [
        one for one in model_routes(kube)
        if ("HTTPRoute", one.namespace, one.name) in knowing
        or (at_gateway and (one.namespace, one.name) not in own)
    ]  # fmt: skip


def questions(kube: Kube, stack: Stack, user: Identity, paths: Iterable[str]) -> list[Question]:
    """Each operation of each way that this user has and a recorder answers on; its model is what
    its own listing says, or the router's to choose where it has none, and then each of its own. A
    chat also without TLS, and with a large answer."""
    real = {one.path for one in ALL if stack.is_real(one)}
    asked = {(q.route, q.method, q.path, q.listener) for q in everywhere.questions(surface(kube))}
    found = []
    for route in metered(kube):
        name, model = f"{route.namespace}/{route.name}", ROUTER
        if route.path in real:
            continue
        if (name, "GET", f"{route.path}/v1/models", "https") in asked:
            listing = stack.send("GET", f"{route.path}/v1/models", user)
            if listing.status == 403:
                continue  # another tier's model
            model = listing.expect_status(200).listed()[0]["id"]
        own = [path for path in paths if (name, "POST", route.path + path, "https") in asked]
        found += [Question(route, model, path) for path in own]
        streams = [path for path in own if path in _STREAMED]
        found += [Question(route, model, path, kind)
                  for path in streams for kind in (EVENTS, WITH_CHARSET)]  # fmt: skip
        if (name, "POST", route.path + CHAT, "http") in asked:
            found.append(Question(route, model, CHAT, tls=False))
        found += [Question(route, model, CHAT, kind, letters=LARGE) for kind in ("", EVENTS)]
        if model == ROUTER:
            found += [Question(route, one, CHAT, kind)
                      for one in behind_a_router(kube, route) for kind in ("", EVENTS)]  # fmt: skip
    return found


@dataclass(frozen=True)
class Users:
    """New users of a tier, what they have, and under which id they ask when it is used up."""

    stack: Stack
    tier: str
    past: str

    def used(self, asked: Question) -> str:
        """What was wrong with a new one's three questions, of which the first leaves one token and
        the second uses it; or nothing."""
        user = self.stack.account_token(f"{TIER_PREFIX}{self.tier}")
        first = self.answered(asked, user, TOKENS[self.tier] - 1, TAKES)
        is_unknown = first.status == 404 and asked.path not in _STREAMED
        if is_unknown and not self.stack.records(first.id):
            return ""  # nobody behind this way has such an operation
        came = first.response.headers.get("content-type", "")
        if asked.streamed and first.status == 200 and came != asked.streamed:
            return f"{asked}, {self.tier}: came as {came}"
        usual = replace(asked, tls=True, letters=0)
        then = [
            self.answered(usual, user, 1, TAKES_LESS),
            self.answered(usual, user, 1, {ID_HEADER: self.past}),
        ]
        statuses = (first.status, *(one.status for one in then))
        return "" if statuses == (200, 200, 429) else f"{asked}, {self.tier}: {statuses}"

    def answered(
        self, asked: Question, user: Identity, total: int, headers: Sent | None = None
    ) -> Exchange:
        body = {"model": asked.model, **_ASKED[asked.path], **(STREAMED if asked.streamed else {})}
        said = {"letters": asked.letters, "sse": "crlf"} if asked.letters else {"text": SAID}
        kind = asked.streamed or (JSON_WITH_CHARSET if asked.letters else "application/json")
        wish = {"usage": {**_PARTS[asked.path], "total_tokens": total}, "kind": kind, **said}
        path = asked.route.path + asked.path
        return self.stack.send("POST", path, user, body, headers, asked.tls, recorder=wish)


@requirement("HD-55")
@pytest.mark.parametrize(
    ("tier", "paths"), [("free", [CHAT]), ("premium", [CHAT]), ("enterprise", list(_ASKED))]
)
def test_usage_counts(kube: Kube, stack: Stack, tier: str, paths: list[str]) -> None:
    """A new user for each operation of each way: all but one token is used by one answer, that one
    by the next, and the third is refused and reaches nobody. Operations, and how an answer comes,
    are nobody's but the module's that reads answers: one tier, which may use most, asks by all of
    them, the others by usual chats."""
    asked = questions(kube, stack, stack.account_token(f"{TIER_PREFIX}{tier}"), paths)
    if paths == [CHAT]:
        asked = [one for one in asked if not (one.letters or one.streamed == WITH_CHARSET)]
    ways = {one.route for one in asked}
    expect(len(ways) > 1, CLIENT, "ways to models on which tokens are counted", f"{ways}")
    users = Users(stack, tier, f"conformance-{uuid.uuid4()}")
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        wrong = [one for one in pool.map(users.used, asked) if one]
    shown = "; ".join(wrong)
    expect(not wrong, CLIENT, f"200, 200, then 429, for each of {len(asked)} users", shown)
    expect_nothing_came(kube, stack, users.past)


def expect_nothing_came(kube: Kube, stack: Stack, request_id: str) -> None:
    """No recorder of the cluster has what was asked under this id."""
    came = [f"{one}: {record.method} {record.path}" for one in recorders(kube)
            for record in stack.records_of(one, request_id)]  # fmt: skip
    expect(not came, BACKEND, "nothing of what was refused", f"{came}")
