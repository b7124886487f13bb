"""Answers that take their time, as models' answers do: what becomes of them on a way."""

from __future__ import annotations

import hashlib
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx

from fixtures.found import only
from fixtures.stack import MANY, STREAMED
from fixtures.waiting import REQUEST_SECONDS
from suites.hardening.ways import Walker, Way

# Longer than what proxies end answers after, unless they are told: Envoy's routes fifteen seconds,
# KServe's twenty, many a balancer's silence thirty or sixty.
LONG_SECONDS = 65.0
_ALL = 1000  # events: more than any answer here has


@dataclass(frozen=True)
class Lasted:
    """What became of an answer after so many seconds: its `status`, 0 for an end without one, and
    whether it came `whole`, as the model made it."""

    way: Way
    stream: bool
    seconds: float
    status: int
    whole: bool

    @property
    def is_served(self) -> bool:
        return self.status == 200 and self.whole and self.seconds >= LONG_SECONDS

    def __str__(self) -> str:
        kind = "stream" if self.stream else "answer"
        end = "whole" if self.whole else "cut"
        return f"{kind} of {self.way}: {self.status}, {end} after {self.seconds:.1f} s"


def lasted(whole: Walker, streams: Walker, found: list[Way]) -> list[Lasted]:
    """A whole answer for one and a stream for the other on each way, all side by side: the model is
    silent for LONG_SECONDS before the one, and after the other's first event, and says that more
    was used than anybody has."""
    asked = [(way, stream) for way in found for stream in (False, True)]

    def done(one: tuple[Way, bool]) -> Lasted:
        return _lasted(streams if one[1] else whole, *one)

    with ThreadPoolExecutor(len(asked) or 1) as pool:
        return list(pool.map(done, asked))


def _lasted(walker: Walker, way: Way, stream: bool) -> Lasted:
    assert way.recorder
    more = STREAMED if stream else {}
    began = time.monotonic()
    status, seen = 0, b""
    wish = {"hang": LONG_SECONDS, "total_tokens": MANY}
    patience = LONG_SECONDS + REQUEST_SECONDS
    with walker.open(way, wish, seconds=patience, **more) as (request_id, answer):
        try:
            status = answer.status_code
            for piece in answer.iter_raw():
                seen += piece
        except httpx.TransportError:
            status = 0
    seconds = time.monotonic() - began
    record = only(walker.stack.records_of(way.recorder, request_id, _ALL), f"record of {way}")
    return Lasted(way, stream, seconds, status, hashlib.sha256(seen).hexdigest() == record.answer)
