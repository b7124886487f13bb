"""Where in an answer the wasm-shim looks for the usage.

Upstream: Kuadrant/wasm-shim v0.11.1 `src/filter/kuadrant_filter.rs`; from v0.12.0 on
`src/kuadrant/pipeline/tasks/token_usage.rs` and its `event_parser`.
"""

from __future__ import annotations

import re

_FRAME_END = re.compile(r"\r\n\r\n|\n\n")
_LINE_END = re.compile(r"\r\n|\n|\r(?=.)", re.DOTALL)  # of a last \r the next piece decides


class WholeBody:
    """Collects an answer that is one JSON object."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def feed(self, chunk: bytes) -> None:
        self._pieces.append(chunk)

    def last_with_usage(self) -> bytes:
        """All of it."""
        return b"".join(self._pieces)


class SseUsage:
    """0.11: what comes just before `[DONE]`, which has to be the last there is at some time."""

    def __init__(self) -> None:
        self._rest = ""
        self._found = ""
        self._lost = False

    def feed(self, chunk: bytes) -> None:
        """A piece that ends within a letter is the end of looking: upstream gives up there."""
        if self._found or self._lost:
            return
        try:
            self._rest += chunk.decode()
        except UnicodeDecodeError:
            self._lost = True
            return
        *frames, rest = _FRAME_END.split(self._rest)
        if not frames:
            return
        if len(frames) > 1 and _data(frames[-1]) == "[DONE]":
            self._found = _data(frames[-2])
        self._rest = f"{frames[-1]}\n\n{rest}"

    def last_with_usage(self) -> bytes:
        """The data of that event, or b"" if there was none."""
        return self._found.encode()


class LastEventButOne(SseUsage):
    """From 0.12 on: the last event but one that has data, whatever the last is."""

    def __init__(self) -> None:
        super().__init__()
        self._event = ""
        self._events = ["", ""]

    def feed(self, chunk: bytes) -> None:
        """A piece that ends within a letter is left out."""
        try:
            self._rest += chunk.decode()
        except UnicodeDecodeError:
            return
        *lines, self._rest = _LINE_END.split(self._rest)
        for line in lines:
            self._line(line)

    def _line(self, line: str) -> None:
        name, _, value = line.partition(":")
        if name == "data":
            self._event += ("\n" if self._event else "") + value.removeprefix(" ")
        elif not line and self._event:
            self._events = [self._events[1], self._event]
            self._event = ""

    def last_with_usage(self) -> bytes:
        return self._events[0].encode()


def _data(frame: str) -> str:
    lines = [line.removesuffix("\r") for line in frame.split("\n")]
    found = [line.removeprefix("data:") for line in lines if line.startswith("data:")]
    return "\n".join(one.removeprefix(" ") for one in found)
