"""The window of a limit, as the policy's CRD takes it and Limitador wants it: in seconds."""

from __future__ import annotations

import pytest

from embedded.images.kuadrant.kuadrant_config import limitador_limits
from embedded.images.kuadrant.kuadrant_policies import RATE


@pytest.mark.parametrize(
    ("window", "seconds"),
    [("30s", 30), ("2m", 120), ("1h", 3600), ("1h30m", 5400), ("1m30s", 90), ("1h1m1s", 3661),
     ("1500ms", 1), ("1s500ms", 1)],
)  # fmt: skip
def test_windows_are_gos_durations(window: str, seconds: int) -> None:
    """kuadrant-operator `api/v1/ratelimitpolicy_types.go`, by Go's time.ParseDuration."""
    limits = {"all": {"rates": [{"limit": 3, "window": window}]}}
    policy = {"metadata": {"namespace": "a", "name": "b"}, "spec": {"limits": limits}}
    (found,) = limitador_limits(RATE, "a/route", policy)
    assert (found["max_value"], found["seconds"]) == (3, seconds)
