"""The headers by which Envoys tell each other how to handle a request, from a client."""

import pytest

from fixtures.evidence import BACKEND, CLIENT
from fixtures.evidence.requirements import requirement
from fixtures.stack import Identity, Provider, Stack, Wish
from suites.hardening.test_crowds import at_once
from suites.hardening.test_way import through

RETRIES = {"x-envoy-max-retries": "3"}
# What would have the same question asked again, and the answer on which it would.
AGAIN: dict[str, tuple[dict[str, str], Wish]] = {
    "on-errors": ({"x-envoy-retry-on": "5xx"}, {"status": 503}),
    "on-statuses": (
        {"x-envoy-retry-on": "retriable-status-codes", "x-envoy-retriable-status-codes": "503"},
        {"status": 503},
    ),
    "on-headers": (
        {"x-envoy-retry-on": "retriable-headers", "x-envoy-retriable-header-names": "x-again"},
        {"status": 503, "headers": [["x-again", "yes"]]},
    ),
    # Not `unavailable` or `cancelled`: for these Istio's own routes ask again, whoever asks.
    "on-grpc": (
        {"x-envoy-retry-grpc-on": "internal"},
        {"status": 503, "headers": [["grpc-status", "13"]]},
    ),
    "on-limits": ({"x-envoy-retry-on": "envoy-ratelimited,retriable-4xx"}, {"status": 409}),
}  # fmt: skip
HANGS_SECONDS, CUT_MILLISECONDS = 1, "200"
# What would end an answer that takes longer, or have it asked for once more beside.
CUT: dict[str, dict[str, str]] = {
    "whole": {"x-envoy-upstream-rq-timeout-ms": CUT_MILLISECONDS},
    "each-try": {"x-envoy-upstream-rq-per-try-timeout-ms": CUT_MILLISECONDS},
    "expected": {"x-envoy-expected-rq-timeout-ms": CUT_MILLISECONDS},
    "stream": {"x-envoy-upstream-stream-duration-ms": CUT_MILLISECONDS},
    "hedged": {
        "x-envoy-hedge-on-per-try-timeout": "true",
        "x-envoy-upstream-rq-per-try-timeout-ms": CUT_MILLISECONDS,
        "x-envoy-retry-on": "5xx",
    },
}
# What an Envoy passes on to the model, and does not obey: served by whom it was, all the same.
PASSED = {
    "x-envoy-attempt-count": "77",
    "x-envoy-degraded": "true",
    "x-envoy-immediate-health-check-fail": "true",
    "x-envoy-is-timeout-retry": "true",
    "x-envoy-original-dst-host": "198.51.100.7:7777",
    "x-envoy-overloaded": "true",
    "x-envoy-peer-metadata": "forged",
    "x-envoy-peer-metadata-id": "forged",
    "x-envoy-ratelimited": "true",
}
# What Envoys believe of each other beside: as it is forged, it is nowhere.
FORGED = {
    "x-envoy-decorator-operation": "forged.example/*",
    "x-envoy-downstream-service-cluster": "forged-cluster",
    "x-envoy-downstream-service-node": "forged-node",
    "x-envoy-expected-rq-timeout-ms": "77777",
    "x-envoy-external-address": "198.51.100.7",
    "x-envoy-force-trace": "true",
    "x-envoy-hedge-on-per-try-timeout": "true",
    "x-envoy-internal": "true",
    "x-envoy-ip-tags": "forged-tag",
    "x-envoy-max-retries": "7",
    "x-envoy-original-host": "forged.example",
    "x-envoy-original-path": "/forged",
    "x-envoy-original-url": "https://forged.example/",
    "x-envoy-retriable-header-names": "x-forged",
    "x-envoy-retriable-status-codes": "777",
    "x-envoy-retry-grpc-on": "cancelled",
    "x-envoy-retry-on": "5xx",
    "x-envoy-upstream-alt-stat-name": "forged",
    "x-envoy-upstream-rq-per-try-timeout-ms": "77777",
    "x-envoy-upstream-rq-timeout-ms": "77777",
    "x-envoy-upstream-stream-duration-ms": "77777",
}


@requirement("HD-42")
@through
@pytest.mark.parametrize(("sent", "wish"), AGAIN.values(), ids=AGAIN)
def test_client_has_nobody_asked_again(
    stack: Stack, heavy_user: Identity, provider: Provider, sent: dict[str, str], wish: Wish
) -> None:
    exchange = stack.chat(provider, heavy_user, headers=RETRIES | sent, recorder=wish)
    exchange.expect_status(int(wish["status"])).expect_backend_received(provider.name)


@requirement("HD-42")
@through
def test_client_cuts_no_answer_short(
    stack: Stack, heavy_user: Identity, provider: Provider
) -> None:
    """All of them side by side."""
    wish, sent = {"hang": HANGS_SECONDS}, list(CUT.values())
    answers = at_once(
        len(sent),
        lambda number: stack.chat(provider, heavy_user, RETRIES | sent[number], recorder=wish),
    )
    for exchange in answers:
        exchange.expect_status(200).expect_backend_received(provider.name)


@requirement("HD-42")
@through
@pytest.mark.parametrize("name", FORGED)
def test_client_speaks_for_no_envoy(
    stack: Stack, heavy_user: Identity, provider: Provider, name: str
) -> None:
    exchange = stack.chat(provider, heavy_user, headers={name: FORGED[name]})
    record = exchange.expect_status(200).expect_backend_received(provider.name)
    found = record.headers.all(name)
    exchange.expect(BACKEND, FORGED[name] not in found, f"no {name} of the client's", f"{found}")
    told = exchange.response.headers.get(name, "nothing")
    exchange.expect(CLIENT, told != FORGED[name], f"no {name} of the client's", told)


@requirement("HD-42")
@through
def test_what_is_passed_on_is_not_obeyed(
    stack: Stack, heavy_user: Identity, provider: Provider
) -> None:
    """Each by itself, and then a question without any."""
    for sent in (*({name: value} for name, value in PASSED.items()), PASSED, {}):
        exchange = stack.chat(provider, heavy_user, headers=sent).expect_status(200)
        exchange.expect_backend_received(provider.name)
