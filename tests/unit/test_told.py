"""What a run that has to turn requirements red need not ask any more."""

from types import SimpleNamespace
from typing import Any

import pytest

from reports.collected import BROKEN
from tests.mutants import told


@pytest.fixture(autouse=True)
def _nothing_is_red(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(told, "_red", set())


def reported(failed: bool, *ids: str, **properties: Any) -> Any:
    found = [("requirements", list(ids)), *properties.items()]
    return SimpleNamespace(failed=failed, user_properties=found)


def is_asked(*ids: str) -> bool:
    item: Any = SimpleNamespace(iter_markers=lambda _: [pytest.mark.requirement(*ids).mark])
    try:
        told.pytest_runtest_setup(item)
    except pytest.skip.Exception:
        return False
    return True


def test_what_is_red_is_not_asked_again() -> None:
    told.pytest_runtest_logreport(reported(True, "X-1"))
    assert [is_asked("X-1"), is_asked("X-2"), is_asked("X-1", "X-2"), is_asked()] == [
        False, True, True, True,
    ]  # fmt: skip


def test_what_passed_or_was_broken_off_is_asked() -> None:
    told.pytest_runtest_logreport(reported(False, "X-1"))
    told.pytest_runtest_logreport(reported(True, "X-1", **{BROKEN: "no API server"}))
    told.pytest_runtest_logreport(SimpleNamespace(failed=True, user_properties=[]))  # type: ignore[arg-type]
    assert is_asked("X-1")
