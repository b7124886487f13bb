"""Shortly before a window's end: what is a refusal, what a defect, and what says nothing."""

from __future__ import annotations

import time

import httpx
import pytest

from fixtures.evidence import Exchange, HopMismatch, Observatory
from fixtures.stack import windows


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "SHORTLY_SECONDS", 0.1)


def answered(status: int, after: float = 0.0) -> Exchange:
    time.sleep(after)
    response = httpx.Response(status, request=httpx.Request("GET", "https://gateway/v1/models"))
    return Exchange(Observatory(lambda _: [], None), "id", response)


def test_a_refusal_is_what_is_wanted() -> None:
    end = time.monotonic() + 0.3
    asked: list[float] = []

    def ask() -> Exchange:
        asked.append(time.monotonic())
        return answered(429)

    windows.refused_shortly_before(end, [ask, ask])
    assert len(asked) == 2
    assert end - 0.15 < asked[0] < end


def test_who_is_served_too_early_is_a_defect() -> None:
    with pytest.raises(HopMismatch):
        windows.refused_shortly_before(time.monotonic() + 0.3, [lambda: answered(200)])


def test_who_is_served_after_the_window_says_nothing() -> None:
    with pytest.raises(pytest.skip.Exception, match="after the window: too slow a cluster to tell"):
        windows.refused_shortly_before(time.monotonic() + 0.1, [lambda: answered(200, 0.3)])


@pytest.mark.parametrize("status", [401, 500])
def test_another_answer_is_a_defect_however_late(status: int) -> None:
    with pytest.raises(HopMismatch):
        windows.refused_shortly_before(time.monotonic() + 0.1, [lambda: answered(status, 0.3)])
