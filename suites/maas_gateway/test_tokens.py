"""maas-api's tokens: minting, expiration, revocation."""

import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from fixtures.evidence import CLIENT
from fixtures.evidence.requirements import requirement
from fixtures.evidence.verdicts import Decision
from fixtures.found import parts
from fixtures.kube import Kube
from fixtures.objects import existing
from fixtures.secrets import Secret
from fixtures.stack import AUDIENCE, Identity, Stack
from fixtures.waiting import (
    API_CACHE_SECONDS,
    ENFORCED_SECONDS,
    IN_A_ROW,
    until,
    wait_until,
)
from suites.maas_gateway.models import SHARED

TOKENS = "/maas-api/v1/tokens"
SHORT_TTL = 5  # seconds


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
    """All of the user's tokens are void and nobody else's; a new one is good."""
    user = stack.cluster_identity()
    other = stack.mint(stack.cluster_identity()).expect_status(201).json["token"]
    tokens = [stack.mint(user).expect_status(201).json["token"] for _ in range(2)]
    assert len(set(tokens)) == 2, "the same token twice"
    assert [review(kube, token)["authenticated"] for token in tokens] == [True, True]
    stack.send("DELETE", TOKENS, user).expect_status(204)
    until(
        "both tokens to be refused by TokenReview",
        lambda: [review(kube, token).get("authenticated", False) for token in tokens],
        lambda seen: seen == [False, False],
        API_CACHE_SECONDS,
    )
    for token in tokens:
        stack.chat(SHARED, Identity(Secret(token))).expect_status(401).expect_no_backend()
    assert review(kube, other)["authenticated"] is True
    stack.chat(SHARED, Identity(Secret(other))).expect_status(200)
    fresh = stack.mint(user).expect_status(201).json["token"]
    stack.chat(SHARED, Identity(Secret(fresh))).expect_status(200)


@requirement("MG-42")
@pytest.mark.window(API_CACHE_SECONDS)
def test_how_long_a_revoked_token_is_let_in(stack: Stack, decide: Decision) -> None:
    """A token that the gateway has seen before it was revoked.

    The suite does not wait for ten minutes: it looks at what the next request gets, and one after
    the API server has forgotten the token. MG-44 looks at the end of the cache.
    """
    user = stack.cluster_identity()
    token = Identity(Secret(stack.mint(user).expect_status(201).json["token"]))
    stack.chat(SHARED, token).expect_status(200)
    stack.send("DELETE", TOKENS, user).expect_status(204)
    revoked = time.monotonic()
    at_once = stack.models(SHARED, token).status
    wait_until(revoked + API_CACHE_SECONDS)
    later = stack.models(SHARED, token).status
    found = {
        (401, 401): "at_once",
        (200, 401): "api_server_only",
        (200, 200): "until_cache_expires",
    }
    decide(found.get((at_once, later), f"{at_once}, then {later}"))


@requirement("MG-44")
def test_deployed_cache_is_ten_minutes(kube: Kube) -> None:
    """The guide's policy on the MaaS gateway."""
    cache = gateway_policy(kube)["rules"]["authentication"]["service-accounts"]["cache"]
    assert cache["ttl"] == 600


def gateway_policy(kube: Kube) -> dict[str, Any]:
    """The spec of gateway-auth-policy."""
    identity = ("kuadrant.io/v1", "AuthPolicy", "openshift-ingress", "gateway-auth-policy")
    spec: dict[str, Any] = existing(kube, *identity)["spec"]
    return spec


@pytest.fixture
def short_cache(kube: Kube) -> Iterator[str]:
    """The path of a second route to a model, under the gateway's AuthPolicy but for its cache,
    which is short, and for the right to a model, which its path names none."""
    name = f"conformance-{uuid.uuid4().hex[:8]}"
    authentication = gateway_policy(kube)["rules"]["authentication"]
    authentication["service-accounts"]["cache"]["ttl"] = SHORT_TTL
    target = {"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": name}
    policy = {
        "apiVersion": "kuadrant.io/v1",
        "kind": "AuthPolicy",
        "metadata": {"name": name, "namespace": SHARED.namespace},
        "spec": {"targetRef": target, "rules": {"authentication": authentication}},
    }
    rewrite = {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}
    _, service, port = parts(SHARED.service, ":", 3, "a Service over TLS")
    rule = {
        "matches": [{"path": {"type": "PathPrefix", "value": f"/{name}"}}],
        "filters": [{"type": "URLRewrite", "urlRewrite": {"path": rewrite}}],
        "backendRefs": [{"name": service, "port": int(port)}],
    }
    parent = {"name": "maas-default-gateway", "namespace": "openshift-ingress"}
    route = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": name, "namespace": SHARED.namespace},
        "spec": {"parentRefs": [parent], "rules": [rule]},
    }
    try:
        kube.wait_done([kube.apply(route), kube.apply(policy)])
        yield f"/{name}"
    finally:
        kube.delete("kuadrant.io/v1", "AuthPolicy", SHARED.namespace, name)
        kube.delete("gateway.networking.k8s.io/v1", "HTTPRoute", SHARED.namespace, name)


@requirement("MG-44")
@pytest.mark.window(API_CACHE_SECONDS)
def test_cached_identity_ends(stack: Stack, short_cache: str) -> None:
    """Remembered while the cache lives, asked about anew afterwards."""
    path = f"{short_cache}/v1/models"
    until("the policy to be in effect", lambda: stack.send("GET", path).status,
          lambda seen: seen == 401, ENFORCED_SECONDS, in_a_row=IN_A_ROW)  # fmt: skip
    user = stack.cluster_identity()
    token = Identity(Secret(stack.mint(user).expect_status(201).json["token"]))
    began = time.monotonic()
    stack.send("GET", path, token).expect_status(200)
    cached = time.monotonic()  # remembered between `began` and now
    stack.send("DELETE", TOKENS, user).expect_status(204)
    remembered = stack.send("GET", path, token)
    if time.monotonic() < began + SHORT_TTL:  # on a machine that is not too slow to see it
        remembered.expect_status(200)
    wait_until(cached + SHORT_TTL + 1)
    # What the gateway asks in the API server's ten seconds is remembered once more.
    ended = until(
        "the token to be refused",
        lambda: stack.send("GET", path, token),
        lambda seen: seen.status != 200,
        API_CACHE_SECONDS + SHORT_TTL,
        every=0.5,
    )
    ended.expect_status(401).expect_no_backend()
