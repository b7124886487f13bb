"""maas-api's tokens: minting, expiration, revocation."""

import time
from typing import Any

import pytest

from fixtures.evidence import CLIENT
from fixtures.kube import Kube
from fixtures.requirements import requirement
from fixtures.secrets import Secret
from fixtures.stack import AUDIENCE, Identity, Stack
from fixtures.verdicts import Decision
from suites.maas_gateway.models import SHARED

TOKENS = "/maas-api/v1/tokens"


@requirement("MG-38")
def test_minted_token(stack: Stack) -> None:
    """Every field, and claims that agree with them."""
    user = stack.cluster_identity()
    before = int(time.time())
    body = stack.mint(user, "10m").expect_status(201).json
    assert set(body) == {"token", "expiration", "expiresAt", "issuedAt", "jti"}
    claims = stack.claims(body["token"])
    assert claims["aud"] == [AUDIENCE]
    assert (claims["exp"], claims["iat"], claims["jti"]) == (
        body["expiresAt"],
        body["issuedAt"],
        body["jti"],
    )
    assert before <= body["issuedAt"] <= time.time() + 1
    namespace, account = stack.account_of(body["token"])
    assert namespace == "maas-default-gateway-tier-free"
    assert len(account) <= 63
    stack.chat(SHARED, Identity(Secret(body["token"]))).expect_status(200)


@requirement("MG-39")
@pytest.mark.parametrize(
    ("expiration", "seconds", "shown"),
    [("10m", 600, "10m0s"), ("1h30m", 5400, "1h30m0s"), (900, 900, "15m0s"),
     (None, 14400, "4h0m0s")],
)  # fmt: skip
def test_expiration_is_honoured(
    stack: Stack, expiration: str | int | None, seconds: int, shown: str
) -> None:
    """As a duration, a number of seconds, and by default."""
    body = None if expiration is None else {"expiration": expiration}
    answer = stack.send("POST", TOKENS, stack.cluster_identity(), body).expect_status(201).json
    assert answer["expiration"] == shown
    assert answer["expiresAt"] - answer["issuedAt"] == seconds


@requirement("MG-40")
@pytest.mark.parametrize(
    ("expiration", "provided"),
    [("5m", "5m0s"), ("9m59s", "9m59s"), (599, "9m59s"), ("0s", None), ("-10m", None),
     (0, None), ("ten minutes", None), ("10", None), ("10x", None)],
)  # fmt: skip
def test_wrong_expiration_is_refused(
    stack: Stack, expiration: str | int, provided: str | None
) -> None:
    """400 with the reason; what was provided when it was merely too short."""
    body = {"expiration": expiration}
    exchange = stack.send("POST", TOKENS, stack.cluster_identity(), body).expect_status(400)
    found = exchange.json
    exchange.expect(CLIENT, bool(found.get("error")), "an error text", found)
    assert found.get("provided_expiration") == provided


def review(kube: Kube, token: str) -> dict[str, Any]:
    """What TokenReview says of a token for the gateway's audience."""
    spec = {"token": token, "audiences": [AUDIENCE]}
    return kube.create_review("authentication.k8s.io/v1", "TokenReview", spec)


@requirement("MG-41")
def test_revocation(stack: Stack, kube: Kube) -> None:
    """All of the user's tokens are void; a new one is good."""
    user = stack.cluster_identity()
    tokens = [stack.mint(user).expect_status(201).json["token"] for _ in range(2)]
    assert [review(kube, token)["authenticated"] for token in tokens] == [True, True]
    stack.send("DELETE", TOKENS, user).expect_status(204)
    assert [review(kube, token).get("authenticated", False) for token in tokens] == [False, False]
    for token in tokens:
        stack.chat(SHARED, Identity(Secret(token))).expect_status(401).expect_no_backend()
    fresh = stack.mint(user).expect_status(201).json["token"]
    stack.chat(SHARED, Identity(Secret(fresh))).expect_status(200)


@requirement("MG-42")
def test_how_long_a_revoked_token_is_let_in(stack: Stack, kube: Kube, decide: Decision) -> None:
    """A token that the gateway has seen before it was revoked.

    The suite does not wait for ten minutes: it holds the cache's time to live against the
    AuthPolicy, and looks at what the next request gets.
    """
    policy = kube.get("kuadrant.io/v1", "AuthPolicy", "openshift-ingress", "gateway-auth-policy")
    assert policy is not None
    cache = policy["spec"]["rules"]["authentication"]["service-accounts"]["cache"]
    assert cache["ttl"] == 600
    user = stack.cluster_identity()
    token = Identity(Secret(stack.mint(user).expect_status(201).json["token"]))
    stack.chat(SHARED, token).expect_status(200)
    stack.send("DELETE", TOKENS, user).expect_status(204)
    status = stack.chat(SHARED, token).status
    decide({200: "until_cache_expires", 401: "at_once"}.get(status, str(status)))
