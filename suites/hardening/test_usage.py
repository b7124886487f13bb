"""What an answer reports is counted, whichever operation was asked for and on whatever route."""

from __future__ import annotations

import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from fixtures.evidence import CLIENT, Exchange, expect
from fixtures.evidence.requirements import requirement
from fixtures.kube import Kube
from fixtures.stack import CHAT, MANY, TIER_PREFIX, Identity, Stack
from fixtures.stack.gateways import MAAS_GATEWAY
from suites.hardening import everywhere
from suites.hardening.everywhere import SIDE_BY_SIDE, surface
from suites.hardening.routes import ModelRoute, model_routes
from suites.mixed_providers.providers import ALL

_ASKED = {
    CHAT: {"messages": [{"role": "user", "content": "Hello"}]},
    "/v1/completions": {"prompt": "Hello"},
    "/v1/embeddings": {"input": "Hello"},
    "/v1/responses": {"input": "Hello"},
}
_STREAMED = (CHAT, "/v1/completions")  # whose events have the usage where the whole answer has it
# As vLLM says that it streams.
EVENTS, WITH_CHARSET = "text/event-stream", "text/event-stream; charset=utf-8"
# The total is what counts, whatever else is said, and by whatever names.
_PARTS = {
    CHAT: {"prompt_tokens": 1, "completion_tokens": 1},
    "/v1/completions": {"prompt_tokens": 1, "completion_tokens": 1},
    "/v1/embeddings": {"prompt_tokens": 1},
    "/v1/responses": {"input_tokens": 1, "output_tokens": 1},
}


@dataclass(frozen=True)
class Question:
    """An operation of one way to a model, asked by one who has not asked before; `streamed` is the
    content type of the stream that it is asked for, "" for a whole answer."""

    route: ModelRoute
    model: str
    path: str
    streamed: str

    def __str__(self) -> str:
        how = f", streamed as {self.streamed}" if self.streamed else ""
        return f"POST {self.route.path}{self.path}{how} ({self.route.namespace}/{self.route.name})"


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
    its own listing says, or the router's to choose where it has none."""
    real = {one.path for one in ALL if stack.is_real(one)}
    asked = {(one.route, one.method, one.path) for one in everywhere.questions(surface(kube))}
    found = []
    for route in metered(kube):
        name, model = f"{route.namespace}/{route.name}", "auto"
        if route.path in real:
            continue
        if (name, "GET", f"{route.path}/v1/models") in asked:
            listing = stack.send("GET", f"{route.path}/v1/models", user)
            if listing.status == 403:
                continue  # another tier's model
            model = listing.expect_status(200).listed()[0]["id"]
        own = [path for path in paths if (name, "POST", route.path + path) in asked]
        found += [Question(route, model, path, "") for path in own]
        streams = [path for path in own if path in _STREAMED]
        found += [Question(route, model, path, kind)
                  for path in streams for kind in (EVENTS, WITH_CHARSET)]  # fmt: skip
    return found


def used(stack: Stack, asked: Question, tier: str) -> str:
    """What was wrong with a user's two questions, the first of which uses up all; or nothing."""
    user = stack.account_token(f"{TIER_PREFIX}{tier}")
    stream = {"stream": True, "stream_options": {"include_usage": True}}
    body = {"model": asked.model, **_ASKED[asked.path], **(stream if asked.streamed else {})}
    kind = {"kind": asked.streamed} if asked.streamed else {}
    usage = {**_PARTS[asked.path], "total_tokens": MANY}

    def answered(total: int) -> Exchange:
        wish = {"usage": {**usage, "total_tokens": total}, **kind}
        return stack.send("POST", asked.route.path + asked.path, user, body, recorder=wish)

    first = answered(MANY)
    if first.status == 404 and asked.path not in _STREAMED and not stack.records(first.id):
        return ""  # nobody behind this way has such an operation
    came = first.response.headers.get("content-type", "")
    if asked.streamed and first.status == 200 and came != asked.streamed:
        return f"{asked}, {tier}: came as {came}"
    statuses = (first.status, answered(1).status)
    return "" if statuses == (200, 429) else f"{asked}, {tier}: {statuses}"


@requirement("HD-55")
@pytest.mark.parametrize(
    ("tier", "paths"), [("free", [CHAT]), ("premium", [CHAT]), ("enterprise", list(_ASKED))]
)
def test_usage_counts(kube: Kube, stack: Stack, tier: str, paths: list[str]) -> None:
    """A new user for each operation of each way: all is used up by one answer, and the next is
    refused. Tiers are the policies', and operations are nobody's but the module's that reads
    answers: one tier, which may use most, asks by all of them."""
    asked = questions(kube, stack, stack.account_token(f"{TIER_PREFIX}{tier}"), paths)
    ways = {one.route for one in asked}
    expect(len(ways) > 1, CLIENT, "ways to models on which tokens are counted", f"{ways}")
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        wrong = [one for one in pool.map(lambda one: used(stack, one, tier), asked) if one]
    expect(not wrong, CLIENT, f"200, then 429, for each of {len(asked)} users", "; ".join(wrong))
