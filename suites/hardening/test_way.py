"""How a request came, and how it is handled, is the gateways' to say."""

import pytest

from fixtures.evidence import BACKEND
from fixtures.evidence.requirements import requirement
from fixtures.stack import CHAT, Identity, Provider, Stack
from suites.mixed_providers.providers import LOCAL, OPENAI

FORGED = "198.51.100.7"  # of nobody: RFC 5737
AGAIN = {
    "on-errors": {"x-envoy-retry-on": "5xx", "x-envoy-max-retries": "3"},
    "on-statuses": {
        "x-envoy-retry-on": "retriable-status-codes",
        "x-envoy-retriable-status-codes": "503",
    },
}
HANGS_SECONDS, CUT_MILLISECONDS = 1, "200"

through = pytest.mark.parametrize("provider", [OPENAI, LOCAL], ids=["two-gateways", "one-gateway"])


@requirement("HD-41")
@through
@pytest.mark.parametrize("tls", [True, False], ids=["https", "http"])
def test_way_is_the_gateways(stack: Stack, alice: Identity, provider: Provider, tls: bool) -> None:
    """Its scheme and the address that the gateway saw, beside a client's who says otherwise."""
    came, other = ("https", "http") if tls else ("http", "https")
    claimed = {
        "x-forwarded-proto": other, "x-forwarded-for": FORGED, "x-envoy-external-address": FORGED,
    }  # fmt: skip
    body = {"model": provider.model, "messages": [{"role": "user", "content": "Hi"}]}
    exchange = stack.send("POST", provider.path + CHAT, alice, body, claimed, tls=tls)
    exchange.expect_status(200)
    record = exchange.expect_backend_header(provider.name, "x-forwarded-proto", came)
    for name in ("x-forwarded-for", "x-envoy-external-address"):
        last = record.headers.get(name, "none").rpartition(",")[2].strip()
        exchange.expect(BACKEND, last != FORGED, f"{name}: ends with what the gateway saw", last)
    seen = record.headers.all("x-forwarded-for")
    exchange.expect(BACKEND, bool(seen), "X-Forwarded-For says whence the request came", "nothing")


@requirement("HD-42")
@through
@pytest.mark.parametrize("sent", AGAIN.values(), ids=AGAIN)
def test_client_has_nobody_asked_again(
    stack: Stack, heavy_user: Identity, provider: Provider, sent: dict[str, str]
) -> None:
    exchange = stack.chat(provider, heavy_user, headers=sent, recorder={"status": 503})
    exchange.expect_status(503).expect_backend_received(provider.name)


@requirement("HD-42")
@through
def test_client_cuts_no_answer_short(
    stack: Stack, heavy_user: Identity, provider: Provider
) -> None:
    sent = {"x-envoy-upstream-rq-timeout-ms": CUT_MILLISECONDS}
    wish = {"hang": HANGS_SECONDS}
    exchange = stack.chat(provider, heavy_user, headers=sent, recorder=wish)
    exchange.expect_status(200).expect_backend_received(provider.name)
