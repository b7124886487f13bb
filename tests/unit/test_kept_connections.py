"""A route that the egress gateway shows to new connections alone is said to be one."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from fixtures.waiting import WaitTimeout
from suites.external_models import test_backends as backends


class Asking:
    """The MaaS gateway says 404; the egress gateway, on a new connection, `new`."""

    def __init__(self, new: int) -> None:
        self.stack = SimpleNamespace(at_egress=lambda *_, kept: SimpleNamespace(status=new))

    def __call__(self, _: str) -> Any:
        return SimpleNamespace(status=404)


@pytest.mark.parametrize(("new", "is_said"), [(200, True), (404, False)])
def test_who_connects_anew_is_asked(
    monkeypatch: pytest.MonkeyPatch, new: int, is_said: bool
) -> None:
    monkeypatch.setattr(backends, "ENFORCED_SECONDS", 0.1)
    with pytest.raises(WaitTimeout, match="200 at /external/x") as late:
        backends.until_status(cast(backends.Asking, Asking(new)), "/external/x", 200)
    assert ("(HD-46)" in str(late.value)) == is_said
