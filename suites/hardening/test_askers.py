"""Whose an answer is, and that the version of HTTP makes no difference to it."""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx
import pytest

from fixtures.clusters import Access
from fixtures.evidence import ID_HEADER, Record
from fixtures.evidence.requirements import requirement
from fixtures.found import only
from fixtures.kube import Kube
from fixtures.stack import (
    CHAT,
    PATIENCE_SECONDS,
    STREAMED,
    WISH_HEADER,
    hurried_response,
)
from fixtures.stack.gateways import MAAS_GATEWAY, client, endpoint
from fixtures.waiting import ENFORCED_SECONDS, patiently
from manifests import Object
from suites.hardening.test_every_way import record_of, told
from suites.hardening.ways import Walker, Way, expect_on_each, question

NOTHING_MORE: Object = {}
SAME, OTHER = "Hello", "Hello again"
# What each hop writes anew for each request, or each connection.
_OF_A_CONNECTION = {"connection", "date", "transfer-encoding", "x-envoy-upstream-service-time"}


def wrong_answer(walker: Walker, way: Way, said: str, more: Object) -> str:
    """What is wrong with the answer to a question, for which the model makes one of its own."""
    word = f"word-{uuid.uuid4().hex[:12]}"
    messages = [{"role": "user", "content": said}]
    wish = {"total_tokens": 1, "text": f"For {word}"}
    exchange = walker.ask(way, wish, messages=messages, **more).expect_status(200)
    record = record_of(walker, way, exchange)
    if hashlib.sha256(exchange.response.content).hexdigest() != record.answer:
        return f"to {said!r}, not what was made: {exchange.response.text[:200]}"
    return "" if word in exchange.response.text else f"to {said!r}, without {word}"


@requirement("HD-78")
@pytest.mark.parametrize("more", [NOTHING_MORE, STREAMED], ids=["whole", "stream"])
def test_an_answer_is_its_askers(
    walker: Walker, neighbour: Walker, all_ways: list[Way], more: Object
) -> None:
    """Two users, who ask the same and other things, one after the other, and then all at once."""
    asked = [(walker, SAME), (neighbour, SAME), (walker, OTHER), (neighbour, OTHER), (walker, SAME)]

    def problem(way: Way) -> str:
        in_turn = [wrong_answer(who, way, said, more) for who, said in asked]
        with ThreadPoolExecutor(len(asked)) as pool:
            at_once = pool.map(lambda one: wrong_answer(one[0], way, one[1], more), asked)
            return "; ".join(filter(None, [*in_turn, *at_once]))

    expect_on_each(all_ways, "what was made for each request", told(problem))


@dataclass(frozen=True)
class Came:
    """An answer, and what the model had of its question."""

    response: httpx.Response
    record: Record

    @property
    def is_whole(self) -> bool:
        """Whether it is what the model made."""
        return hashlib.sha256(self.response.content).hexdigest() == self.record.answer

    @property
    def of_both_hops(self) -> dict[str, object]:
        """What is the same however it was asked for."""
        return {
            "status": self.response.status_code,
            "content type": self.response.headers.get("content-type"),
            "answer's headers": sorted({*self.response.headers} - _OF_A_CONNECTION),
            "question": (self.record.method, self.record.path, self.record.digest),
            "question's headers": sorted(self.record.headers.names() - _OF_A_CONNECTION),
        }


def came(
    gateway: httpx.Client,
    walker: Walker,
    way: Way,
    more: Object,
    headers: dict[str, str] | None = None,
) -> Came:
    """Of a chat on a connection; again while Authorino has no time (HD-35)."""
    deadline = time.monotonic() + patiently(ENFORCED_SECONDS)
    while True:
        request_id = f"conformance-{uuid.uuid4()}"
        response = gateway.post(
            way.route.path + CHAT,
            headers={
                "authorization": f"Bearer {walker.user.token.reveal()}",
                ID_HEADER: request_id,
                WISH_HEADER: json.dumps({"total_tokens": 1}),
                **(headers or {}),
            },
            json={**question(CHAT), "model": way.model, **more},
        )
        if not hurried_response(response) or time.monotonic() > deadline:
            break
        time.sleep(PATIENCE_SECONDS)
    assert way.recorder
    found = walker.stack.records_of(way.recorder, request_id)
    shown = f"record of a question that got {response.status_code} over {response.http_version}"
    return Came(response, only(found, shown))


@requirement("HD-84")
def test_http2_is_answered_as_http1(
    kube: Kube, access: Access, walker: Walker, all_ways: list[Way]
) -> None:
    """A connection of each version for each way: httpcore's of HTTP/2 are not for several
    threads."""
    target = endpoint(kube, access, *MAAS_GATEWAY, "https")
    with client(target, access, http2=True) as offered:
        if offered.get("/").http_version != "HTTP/2":
            pytest.skip("the gateway offers no HTTP/2")

    def problem(way: Way) -> str:
        wrong = []
        with client(target, access) as first, client(target, access, http2=True) as second:
            for more in NOTHING_MORE, STREAMED:
                old, new = (came(one, walker, way, more) for one in (first, second))
                spoken = (old.response.http_version, new.response.http_version)
                if spoken != ("HTTP/1.1", "HTTP/2"):
                    wrong.append(f"spoke {spoken}")
                if old.response.status_code != 200 or not (old.is_whole and new.is_whole):
                    wrong.append(f"{old.response.text[:200]} and {new.response.text[:200]}")
                pairs = zip(old.of_both_hops.items(), new.of_both_hops.values(), strict=True)
                wrong += [f"{name}: {a} and {b}" for (name, a), b in pairs if a != b]
        return "; ".join(wrong)

    expect_on_each(all_ways, "the same over HTTP/2 as over HTTP/1.1", told(problem))
