"""How a request came is the gateways' to say; how it is handled: `test_envoys_own_headers`."""

import pytest

from fixtures.evidence import BACKEND
from fixtures.evidence.requirements import requirement
from fixtures.stack import CHAT, Identity, Provider, Stack

FORGED = "198.51.100.7"  # of nobody: RFC 5737
through = pytest.mark.parametrize("provider", ["two-gateways", "one-gateway"], indirect=True)


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
