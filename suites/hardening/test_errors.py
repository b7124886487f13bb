"""What a provider's failure is to those who asked for it, and to those who did not: it comes back
as it was said, after one question, and takes the provider from nobody."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import httpx
import pytest

from fixtures.evidence import BACKEND, CLIENT, Exchange, expect, unchanged
from fixtures.evidence.requirements import requirement
from fixtures.kube import Kube
from fixtures.stack import CHAT, STREAMED, Stack, Wish
from manifests import Object
from suites.hardening.test_every_way import record_of, told
from suites.hardening.ways import Walker, Way, expect_on_each, member_of

# What providers, and the networks that they stand behind, really say: 529 is Anthropic's, 520 to
# 530 are Cloudflare's, 498 and 499 nginx's, 598 and 599 are of proxies.
STATUSES = {
    "refusals": (400, 401, 402, 403, 404, 405, 408, 409, 413, 422, 424, 425),
    "failures": (429, 498, 499, 500, 501, 502, 503, 504, 505, 507, 508, 529),
    "networks": (511, 520, 521, 522, 523, 524, 525, 526, 527, 530, 598, 599),
}
# Those that are worth another try to somebody, by operations beside a whole chat.
TEMPTING = (409, 429, 500, 502, 503, 529)


@requirement("HD-26")
@pytest.mark.parametrize("statuses", STATUSES.values(), ids=STATUSES)
def test_errors_come_back_on_every_way(
    walker: Walker, all_ways: list[Way], statuses: tuple[int, ...]
) -> None:
    """The model's status, body and headers, and nobody asks it again."""

    def problem(way: Way) -> None:
        for status in statuses:
            wish = {"status": status, "headers": unchanged.ANSWERED}
            exchange = walker.ask(way, wish).expect_status(status)
            record = record_of(walker, way, exchange)
            unchanged.expect_answered(exchange, record, unchanged.JSON, "x-vsr-")

    expect_on_each(all_ways, "the model's own error, once", told(problem))


def each(walker: Walker, way: Way, wish: Wish) -> Iterator[Exchange]:
    """What is asked with a wish: completions, embeddings and streams, where the way has them."""
    whole: list[tuple[str, Object]] = [(one, {}) for one in way.questions if one != CHAT]
    for operation, more in [*whole, *((one, STREAMED) for one in way.operations)]:
        wished = {**wish, "usage": {"total_tokens": 1}}
        exchange = walker.ask(way, wished, operation=operation, **more)
        assert way.recorder
        received = walker.stack.records_of(way.recorder, exchange.id)
        if operation in way.operations or exchange.status != 404 or received:
            yield exchange


@requirement("HD-26")
def test_errors_of_every_operation_come_back(walker: Walker, all_ways: list[Way]) -> None:
    """The same of completions, embeddings and streams."""

    def problem(way: Way) -> None:
        for status in TEMPTING:
            for exchange in each(walker, way, {"status": status}):
                record_of(walker, way, exchange.expect_status(status))

    expect_on_each(all_ways, "the model's own error, once", told(problem))


@requirement("HD-26")
def test_nobody_asks_twice_after_silence(walker: Walker, all_ways: list[Way]) -> None:
    """The model ends the connection without an answer, the question being in work, by each
    operation."""

    def problem(way: Way) -> None:
        wish = {"drop": True}
        for exchange in [walker.ask(way, wish), *each(walker, way, wish)]:
            found = exchange.status
            exchange.expect(CLIENT, found in (502, 503), "502 or 503", f"{found}")
            record_of(walker, way, exchange)

    expect_on_each(all_ways, "one question, and 502 or 503", told(problem))


@requirement("HD-26")
def test_nobody_asks_twice_after_half_a_stream(walker: Walker, all_ways: list[Way]) -> None:
    """The model ends the connection after two events: it has one question, and the client no whole
    stream."""

    def problem(way: Way) -> None:
        received: list[bytes] = []
        with (
            walker.open(way, {"events": 2}, **STREAMED) as (request_id, answer),
            contextlib.suppress(httpx.RemoteProtocolError),
        ):
            received.extend(answer.iter_raw())
        assert way.recorder
        found = walker.stack.records_of(way.recorder, request_id)
        expect(len(found) == 1, BACKEND, f"one request at {way}", f"{len(found)} requests")
        whole = b"[DONE]" in b"".join(received)
        expect(not whole, CLIENT, "no whole stream", "[DONE]")

    expect_on_each(all_ways, "one question, and no whole stream", told(problem))


# How often in a row: beyond Envoy's own outlier detection (five), and all within one user's fifty
# requests. What comes from the network, and what the model says, is told apart there.
IN_A_ROW: list[tuple[Wish, int]] = [
    ({"status": 429}, 8),
    ({"status": 503}, 20),
    ({"drop": True}, 20),
]


@requirement("HD-117")
def test_one_users_errors_are_his_alone(
    kube: Kube, stack: Stack, neighbour: Walker, all_ways: list[Way]
) -> None:
    """On each way a user of its own asks for them, and after each row another one, who has asked
    for none, is served at his first question."""

    def problem(way: Way) -> None:
        with member_of(kube, stack) as user:
            for wish, times in IN_A_ROW:
                for _ in range(times):
                    exchange = Walker(stack, user).ask(way, wish)
                    wanted = [wish["status"]] if "status" in wish else [502, 503]
                    exchange.expect(CLIENT, exchange.status in wanted, f"{wanted}", exchange.status)
                record_of(neighbour, way, neighbour.ask(way).expect_status(200))

    expect_on_each(all_ways, "another's question served", told(problem))
