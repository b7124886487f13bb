"""Which calls of the Kubernetes API are tried again, and which never."""

from __future__ import annotations

import json
from typing import Any

import pytest
from kubernetes.client.exceptions import ApiException
from urllib3 import HTTPResponse
from urllib3.exceptions import MaxRetryError, NewConnectionError, ProtocolError

from fixtures import again
from fixtures.again import LOG_IN, TRIES, Again, by_environment, own_refusal

SERVER = "https://api.example"
PODS = f"{SERVER}/api/v1/namespaces/llm/pods"
REVIEW = f"{SERVER}/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
TOKEN = f"{SERVER}/api/v1/namespaces/llm/serviceaccounts/user/token"
SERVICE = f"{SERVER}/api/v1/namespaces/llm/services/model:8000/proxy/v1/chat/completions"
STATUS = json.dumps({"kind": "Status", "apiVersion": "v1", "message": "leader changed"}).encode()
RESET = ProtocolError("Connection aborted.", ConnectionResetError(104, "reset by peer"))


class Pool:
    """Answers so once, and then well."""

    def __init__(self, first: Any) -> None:
        self._first, self.asked = first, 0

    def request(self, _: str, __: str, **___: Any) -> HTTPResponse:
        self.asked += 1
        if self.asked > 1:
            return HTTPResponse(b"{}", status=200)
        if isinstance(self._first, Exception):
            raise self._first
        return HTTPResponse(self._first[1], status=self._first[0], headers=self._first[2])


@pytest.fixture(autouse=True)
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses, which nobody waits for."""
    found: list[float] = []
    monkeypatch.setattr("tenacity.nap.time.sleep", found.append)
    return found


def answer(status: int, body: bytes = STATUS, **headers: str) -> tuple[int, bytes, dict[str, str]]:
    return status, body, {name.replace("_", "-"): value for name, value in headers.items()}


@pytest.mark.parametrize(
    ("method", "url", "first"),
    [
        ("GET", PODS, answer(500)),
        ("PATCH", PODS, answer(503)),
        ("DELETE", PODS, answer(504)),
        ("POST", PODS, answer(429)),
        ("POST", PODS, answer(503, retry_after="1")),
        ("POST", f"{PODS}?dryRun=All", answer(500)),
        ("POST", REVIEW, answer(500)),
        ("POST", TOKEN, answer(500)),
        ("POST", SERVICE, answer(500)),
        ("POST", SERVICE, answer(429)),
        ("GET", SERVICE, answer(500)),
        ("GET", PODS, RESET),
        ("POST", REVIEW, RESET),
        ("POST", SERVICE, RESET),
    ],
)
def test_it_is_tried_again(method: str, url: str, first: Any) -> None:
    pool = Pool(first)
    assert Again(pool).request(method, url).status == 200
    assert pool.asked == 2


@pytest.mark.parametrize(
    ("method", "url", "first"),
    [
        ("POST", PODS, answer(500)),
        ("GET", PODS, answer(401)),
        ("GET", PODS, answer(404)),
        ("GET", PODS, answer(501)),
        ("GET", SERVICE, answer(401)),
        ("GET", SERVICE, answer(503)),
        ("GET", SERVICE, answer(500, b'{"error": "a Pod\'s"}')),
        ("POST", SERVICE, answer(429, b"too many")),
        ("POST", SERVICE, answer(500, b"[]")),
    ],
)
def test_its_answer_stands(method: str, url: str, first: Any) -> None:
    pool = Pool(first)
    assert Again(pool).request(method, url).status == first[0]
    assert pool.asked == 1


@pytest.mark.parametrize(
    ("method", "error"),
    [("POST", RESET), ("GET", NewConnectionError(Pool(None), "refused"))],  # type: ignore[arg-type]
    ids=["an object may be made twice", "nobody is there"],
)
def test_its_error_stands(method: str, error: Exception) -> None:
    with pytest.raises(type(error)):
        Again(Pool(error)).request(method, PODS)


@pytest.mark.parametrize(("asked", "waits"), [("7", 7.0), ("3600", again.LONGEST_SECONDS)])
def test_the_server_says_when(slept: list[float], asked: str, waits: float) -> None:
    Again(Pool(answer(429, retry_after=asked))).request("GET", PODS)
    assert slept == [waits]


def test_it_ends() -> None:
    """What was seen last is the outcome."""

    class Never(Pool):
        def request(self, *more: Any, **words: Any) -> HTTPResponse:
            self.asked += 1
            return HTTPResponse(STATUS, status=500)

    pool = Never(None)
    assert Again(pool).request("GET", PODS).status == 500
    assert pool.asked == TRIES


@pytest.mark.parametrize(
    ("status", "body", "mine"),
    [
        (401, STATUS, True), (429, STATUS, True), (500, STATUS, True),
        (502, STATUS, False), (503, STATUS, False), (401, b"{}", False), (500, b"<html>", False),
    ],
)  # fmt: skip
def test_whose_refusal_it_is(status: int, body: bytes, mine: bool) -> None:
    """A provider's own 401 is what tests ask for; the API server's says that the login is over."""
    assert own_refusal(HTTPResponse(body, status=status)) is mine


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ApiException(401), LOG_IN),
        (ApiException(403), ""),
        (ApiException(404), ""),
        (ApiException(409), ""),
        (ApiException(429, "Too Many"), f"the API server answered 429, {TRIES} times: Too Many"),
        (ApiException(503, "Away"), f"the API server answered 503, {TRIES} times: Away"),
        (RESET, "the API server does not answer: ('Connection aborted.', ConnectionResetError"),
        (MaxRetryError(Pool(None), PODS, RESET), "the API server does not answer: ('Connection"),  # type: ignore[arg-type]
        (AssertionError("red"), ""),
        (ConnectionResetError("of a gateway"), ""),
    ],
)  # fmt: skip
def test_whose_fault_it_is(error: Exception, said: str) -> None:
    found = by_environment(error)
    assert found.startswith(said) if said else found == ""
