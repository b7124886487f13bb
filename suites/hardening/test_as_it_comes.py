"""What models say comes as they say it, and they say no more to who has gone."""

from __future__ import annotations

import hashlib
from itertools import count

import httpx
import pytest

from fixtures.evidence import Record
from fixtures.evidence.requirements import requirement
from fixtures.found import only
from fixtures.stack import CHAT, STREAMED
from fixtures.waiting import WaitTimeout, patiently, until
from suites.hardening.ways import Walker, Way, expect_on_each

COMES_SECONDS = 5.0  # what is held back on its way comes never; what is not, at once
LEFT_SECONDS = 1.0  # who waits for a whole answer that is held back leaves then
NOTICED_SECONDS = 10.0
ALL = 1000  # events: more than any answer here has
HELD = {"held": True, "text": "one"}


def record_of(walker: Walker, way: Way, request_id: str, may: int = 0) -> Record:
    """The recorder's one record of a request; then it may write so many events."""
    assert way.recorder
    return only(walker.stack.records_of(way.recorder, request_id, may), f"record of {way}")


@requirement("HD-60")
def test_streams_come_as_they_are_made(walker: Walker, all_ways: list[Way]) -> None:
    """The recorder writes an event only when the client has the one before; in the end the client
    has its very bytes."""

    def problem(way: Way) -> str:
        found = {path: _held_back(walker, way, path) for path in way.operations}
        return "; ".join(f"{path}: {text}" for path, text in found.items() if text)

    expect_on_each(all_ways, "each event before the next is written", problem)


def _held_back(walker: Walker, way: Way, operation: str) -> str:
    """What is wrong with one such stream; "" for nothing."""
    seconds = patiently(COMES_SECONDS)
    with walker.open(way, HELD, operation, seconds, **STREAMED) as (request_id, answer):
        if answer.status_code != 200:
            return f"status {answer.status_code}"
        pieces, seen = answer.iter_raw(), b""
        for number in count(1):
            try:
                while seen.count(b"\n\n") < number:
                    piece = next(pieces, b"")
                    if not piece:
                        return f"it ended at event {number}"
                    seen += piece
            except httpx.TransportError as error:
                record_of(walker, way, request_id, ALL)
                return f"event {number} was held back on its way ({type(error).__name__})"
            record = record_of(walker, way, request_id, number + 1)
            if b"[DONE]" in seen:
                whole = hashlib.sha256(seen).hexdigest() == record.answer
                return "" if whole else f"other bytes than the model's: {seen[:200]!r}"
            if (record.written, record.ended) != (number, ""):
                return f"the model did not wait: {record.written} events, {record.ended!r}"
    raise AssertionError("unreachable")


@requirement("HD-61")
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
def test_who_leaves_ends_the_answer(walker: Walker, all_ways: list[Way], stream: bool) -> None:
    """In mid-stream, and while a whole answer is still being made: the model sees it go."""

    def problem(way: Way) -> str:
        request_id = _left_stream(walker, way) if stream else _left_whole(walker, way)
        if not request_id.startswith("conformance-"):
            return request_id
        try:
            until(
                "the model to see its client leave",
                lambda: record_of(walker, way, request_id).ended,
                lambda ended: ended == "left",
                NOTICED_SECONDS,
            )
        except WaitTimeout as error:
            record_of(walker, way, request_id, ALL)
            return str(error)
        return ""

    expect_on_each(all_ways, "the end of an answer whose client left", problem, len(all_ways))


def _left_stream(walker: Walker, way: Way) -> str:
    """The id of a stream that was left at its first event, or what was wrong with it."""
    with walker.open(way, HELD, CHAT, patiently(COMES_SECONDS), **STREAMED) as (request_id, answer):
        try:
            next(answer.iter_raw(), b"")
        except httpx.ReadTimeout:
            return "no event while the model held back the second"
        return request_id if answer.status_code == 200 else f"status {answer.status_code}"


def _left_whole(walker: Walker, way: Way) -> str:
    """The same of an answer that did not begin."""
    try:
        with walker.open(way, HELD, CHAT, patiently(LEFT_SECONDS)) as (_, answer):
            return f"status {answer.status_code} of an answer that the model held back"
    except httpx.ReadTimeout as error:
        return str(error.request.headers["x-conformance-id"])
