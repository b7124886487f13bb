"""What `make kind-images` says, and that it does two things at a time."""

from __future__ import annotations

import threading

import pytest

from kind import KindError
from kind.images.tools import side_by_side, step


def test_a_step_alone_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with step("build kind"):
        pass
    assert capsys.readouterr().err == "build kind … 0.0 s\n"


def test_steps_side_by_side_have_lines_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    with step("build kind"):
        with step("bootstrap Debian"):
            pass
        with pytest.raises(KindError), step("build helm"):
            raise KindError("no Go")
    assert capsys.readouterr().err.splitlines() == [
        "build kind …", "bootstrap Debian … 0.0 s", "build helm … failed", "build kind: 0.0 s",
    ]  # fmt: skip


def test_two_jobs_at_a_time() -> None:
    """Each waits for the other; a third would wait for ever."""
    both = threading.Barrier(2, timeout=10)
    side_by_side([both.wait, both.wait])


def test_nothing_is_begun_after_a_failure() -> None:
    begun: list[int] = []
    other = threading.Event()

    def fails() -> None:
        raise KindError("no disk")

    def job(number: int) -> None:
        begun.append(number)
        other.wait(0.2)

    with pytest.raises(KindError, match="no disk"):
        side_by_side([lambda: job(0), fails, *(lambda n=n: job(n) for n in range(1, 20))])
    assert len(begun) < 5
