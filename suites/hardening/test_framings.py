"""However the end of a body is told, it is the same question: on every way to a model, and for who
reads it on the way."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import httpx
import pytest

from fixtures.clusters import Access
from fixtures.evidence import BACKEND, CLIENT, ID_HEADER, expect
from fixtures.evidence.requirements import requirement
from fixtures.kube import Kube
from fixtures.stack import CHAT, PATIENCE_SECONDS, Provider
from fixtures.stack.gateways import MAAS_GATEWAY, client, endpoint
from fixtures.waiting import ENFORCED_SECONDS, until
from suites.dual_gateway import conversation
from suites.dual_gateway.vsr import MATHS
from suites.hardening.routes import ROUTER
from suites.hardening.test_every_way import told
from suites.hardening.test_input import UNUSUAL, chunked
from suites.hardening.test_whose import asked_of
from suites.hardening.ways import Walker, Way, expect_on_each, recorders
from suites.hardening.wire import Wire, with_length

# One that a router's decision is for, and not its default model's.
ASKED = [conversation.user(MATHS)]
PIECES, PAUSE = 20, 0.01
Question = tuple[str, str, str]  # who was asked, where, and what
Asked = Callable[[], tuple[int, str]]  # asks; (status, id)


def answer(asked: Asked) -> tuple[int, str]:
    """Again while Authorino has no time to ask who that is (HD-35)."""
    return until("an answer", asked, lambda seen: seen[0] != 401, ENFORCED_SECONDS,
                 every=PATIENCE_SECONDS)  # fmt: skip


@dataclass(frozen=True)
class Seen:
    """Who was asked on a way, and what: where a router chooses, whoever it is."""

    walker: Walker
    way: Way
    everybody: list[Provider]

    def of(self, request_id: str) -> list[Question]:
        assert self.way.recorder
        there = self.everybody if self.way.model == ROUTER else [self.way.recorder]
        found = [one for each in there for one in self.walker.stack.records_of(each, request_id)]
        return [(one.backend, one.path, one.digest) for one in found]

    def expect(self, framing: str, asked: Asked, wanted: list[Question]) -> None:
        """200, and the same question."""
        status, request_id = answer(asked)
        expect(status == 200, CLIENT, f"{framing}: status 200", f"status {status}")
        found = self.of(request_id)
        expect(found == wanted, BACKEND, f"{framing}: {wanted}, as with a length", f"{found}")

    def whole(self, asked: Asked) -> list[Question]:
        """The question of a body whose length is told."""
        status, request_id = answer(asked)
        found = self.of(request_id)
        expect((status, len(found)) == (200, 1), BACKEND, "one request", f"{status}, {found}")
        return found


@requirement("HD-33")
def test_framings_on_every_way(
    kube: Kube, access: Access, walker: Walker, all_ways: list[Way]
) -> None:
    """Who is asked, and what, is what it is for a body whose length is told."""
    everybody = recorders(kube)

    def problem(way: Way) -> None:
        seen = Seen(walker, way, everybody)
        wire = Wire(kube, access, walker.stack, walker.user, asked_of(way))
        body = wire.body(messages=ASKED)
        wanted = seen.whole(partial(wire.ask, with_length(body)))
        for framing, unusual in UNUSUAL.items():
            seen.expect(framing, partial(wire.ask, unusual(body)), wanted)
        pieces = partial(wire.ask, with_length(body), PIECES, PAUSE)
        seen.expect("pieces", pieces, wanted)
        seen.expect("chunks in pieces", partial(wire.ask, chunked(body), PIECES, PAUSE), wanted)

    expect_on_each(all_ways, "the same question at the same model", told(problem))


@pytest.fixture
def modern(kube: Kube, access: Access) -> Iterator[httpx.Client]:
    with client(endpoint(kube, access, *MAAS_GATEWAY, "https"), access, http2=True) as found:
        yield found


@requirement("HD-33")
def test_no_length_over_http2(
    kube: Kube, walker: Walker, all_ways: list[Way], modern: httpx.Client
) -> None:
    """Where a body may end without a word of its length (RFC 9113, section 8.1)."""
    everybody = recorders(kube)

    def asked(way: Way, *said: bytes) -> tuple[int, str]:
        """In one piece its length is told."""
        request_id = f"conformance-{uuid.uuid4()}"
        headers = {"authorization": f"Bearer {walker.user.token.reveal()}", ID_HEADER: request_id,
                   "content-type": "application/json"}  # fmt: skip
        whole = said[0] if len(said) == 1 else iter(said)
        sent = modern.post(way.route.path + CHAT, content=whole, headers=headers)
        return sent.status_code, request_id

    def problem(way: Way) -> None:
        seen = Seen(walker, way, everybody)
        body = json.dumps({"model": way.model, "messages": ASKED}).encode()
        half = len(body) // 2
        wanted = seen.whole(partial(asked, way, body))
        seen.expect("no length", partial(asked, way, body[:half], body[half:]), wanted)

    expect_on_each(all_ways, "the same question at the same model", told(problem), 1)
