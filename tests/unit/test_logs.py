"""A line is missing from a proxy's log only when that of a later request is there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from fixtures import waiting
from fixtures.evidence import access_log
from fixtures.stack import logs

FIRST, MARK = "conformance-1", "conformance-mark"


def line(request_id: str) -> str:
    return (
        f'[2026-02-25T10:00:00.000Z] "GET /x HTTP/1.1" 200 - 0 0 1 1 "-" '
        f'"{access_log.agent(request_id)}" "6d9f" "poc.example" "127.0.0.9:8000"\n'
    )


class Flushing:
    """A cluster whose inner gateway writes its log when it has been asked so often."""

    def __init__(self, texts: list[str]) -> None:
        self.texts = texts

    def logs(self, *_: Any) -> str:
        return self.texts.pop(0) if len(self.texts) > 1 else self.texts[0]


class Nothing:
    capabilities: frozenset[str] = frozenset()
    log_seconds = 0.0


def looked(texts: list[str], straight: Callable[[], str] | None = lambda: MARK) -> access_log.Seen:
    kube: Any = Flushing(texts)
    access: Any = Nothing()
    return logs.Logs(kube, access, logs.EGRESS_GATEWAY, straight).inner(FIRST, True)


def test_what_is_written_late_is_seen() -> None:
    late = line(FIRST) + line(MARK)
    assert len(looked(["", "", "", late]).lines) == 1


def test_what_is_not_there_when_a_later_one_is() -> None:
    seen = looked(["", line(MARK)])
    assert (seen.lines, seen.untold) == ([], "")


def unmarked() -> str:
    raise httpx.ConnectError("no way there")


@pytest.mark.parametrize("straight", [None, unmarked, lambda: ""], ids=["none", "broken", "no-id"])
def test_no_way_straight_there(straight: Callable[[], str] | None) -> None:
    """What the log says by itself."""
    assert looked([line("conformance-2")], straight).untold == ""
    assert "no line" in looked([""], straight).untold


def test_a_log_that_never_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is proved, and it is waited for once."""
    monkeypatch.setattr(logs, "FLUSHED_SECONDS", 0.2)
    asked: list[str] = []

    def straight() -> str:
        asked.append(MARK)
        return MARK

    kube: Any = Flushing([line("conformance-2")])
    access: Any = Nothing()
    read = logs.Logs(kube, access, logs.EGRESS_GATEWAY, straight)
    for _ in range(2):
        assert "straight to it is not in its access log" in read.inner(FIRST, True).untold
    assert asked == [MARK]
    assert waiting.FLUSHED_SECONDS > 10  # Envoy's default
