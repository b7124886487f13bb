"""What Authorino had no time for is asked again, and nothing else is."""

from typing import Any

import httpx
import pytest

from fixtures import stack as module
from fixtures.evidence import ID_HEADER
from fixtures.stack import Stack

HURRIED = (
    "client rate limiter Wait returned an error: rate: Wait(n=1) would exceed context deadline"
)


class Gateway:
    """Answers with these statuses and reasons, the last again and again."""

    def __init__(self, *answers: tuple[int, str]) -> None:
        self._answers = list(answers)
        self.ids: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.ids.append(request.headers[ID_HEADER])
        status, reason = self._answers[0] if len(self._answers) == 1 else self._answers.pop(0)
        return httpx.Response(status, headers={"x-ext-auth-reason": reason})


def sent(gateway: Gateway, **more: Any) -> int:
    made: Any = Stack.__new__(Stack)
    made._observatory, made._real = None, []
    made.https = httpx.Client(transport=httpx.MockTransport(gateway), base_url="https://gateway")
    return int(made.send("GET", "/v1/models", **more).status)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.01)
    monkeypatch.setattr(module, "ENFORCED_SECONDS", 0.2)


CUT_OFF = [
    HURRIED,
    "context deadline exceeded",
    'Post "https://10.96.0.1:443/apis/authentication.k8s.io/v1/tokenreviews": context canceled',
]


@pytest.mark.parametrize("reason", CUT_OFF)
def test_it_is_asked_again_under_another_id(reason: str) -> None:
    gateway = Gateway((401, reason), (403, reason), (200, ""))
    assert sent(gateway) == 200
    assert len(set(gateway.ids)) == 3


@pytest.mark.parametrize("reason", ["credential not found", "not authenticated", ""])
@pytest.mark.parametrize("status", [401, 500])
def test_other_refusals_stand(status: int, reason: str) -> None:
    gateway = Gateway((status, reason), (200, ""))
    assert sent(gateway) == status
    assert len(gateway.ids) == 1


def test_who_is_not_patient_has_his_answer() -> None:
    assert sent(Gateway((401, HURRIED), (200, "")), patient=False) == 401


def test_patience_ends() -> None:
    """An Authorino that never has time is no success."""
    gateway = Gateway((401, HURRIED))
    assert sent(gateway) == 401
    assert len(gateway.ids) > 1
