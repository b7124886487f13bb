"""Who is let in, and that nobody else reaches a backend."""

import pytest

from fixtures.clusters import Access
from fixtures.evidence import CLIENT
from fixtures.evidence.requirements import requirement
from fixtures.evidence.verdicts import Decision
from fixtures.kube import Kube
from fixtures.secrets import Secret
from fixtures.stack import AUDIENCE, Identity, Provider, Stack
from fixtures.stack.tokens import expired
from suites.mixed_providers.providers import ALL, LOCAL, OPENAI


@requirement("MP-9")
def test_cluster_identity_is_exchanged_for_a_token(stack: Stack) -> None:
    """maas-api answers 201 with a token of the asked life for the gateway's audience."""
    answer = stack.mint(stack.cluster_identity(), "10m").expect_status(201)
    body = answer.json
    claims = Stack.claims(body["token"])
    assert claims["aud"] == [AUDIENCE]
    assert claims["kubernetes.io"]["namespace"] == "maas-default-gateway-tier-free"
    assert body["expiration"] == "10m0s"
    assert body["expiresAt"] - body["issuedAt"] == 600
    assert (body["expiresAt"], body["jti"]) == (claims["exp"], claims["jti"])


@requirement("MP-55")
@pytest.mark.capability("openshift_login")
def test_openshift_login_is_exchanged(stack: Stack, openshift_login: Identity) -> None:
    """The document's own way in: the token of `oc whoami -t`."""
    answer = stack.mint(openshift_login, "10m").expect_status(201)
    assert stack.claims(answer.json["token"])["aud"] == [AUDIENCE]


@requirement("MP-20")
def test_one_token_is_good_for_every_provider(stack: Stack, alice: Identity) -> None:
    """The same token gets 200 from all four."""
    for provider in ALL:
        stack.chat(provider, alice).expect_status(200)


@requirement("MP-17", "MP-25")
@pytest.mark.parametrize("operation", ["chat", "models"])
def test_no_token_is_refused(stack: Stack, provider: Provider, operation: str) -> None:
    """401 with a challenge, and no backend receives anything."""
    exchange = getattr(stack, operation)(provider).expect_status(401)
    challenge = exchange.response.headers.get("www-authenticate", "none")
    exchange.expect(CLIENT, challenge.startswith("Bearer"), "a Bearer challenge", challenge)
    exchange.expect_no_backend()


@requirement("MP-17", "MP-25")
def test_no_token_is_refused_in_plain_http(stack: Stack, provider: Provider) -> None:
    """The other listener asks for one too."""
    exchange = stack.send("GET", f"{provider.path}/v1/models", tls=False)
    exchange.expect_status(401).expect_no_backend()


@requirement("MP-22")
@pytest.mark.capability("token_signing_key")
def test_expired_token_is_refused(
    stack: Stack, access: Access, alice: Identity, provider: Provider
) -> None:
    """A token of a known user, well signed, that expired a minute ago."""
    stack.chat(provider, expired(alice, access)).expect_status(401).expect_no_backend()


@requirement("MP-23", "MP-25")
@pytest.mark.parametrize("audience", ["https://kubernetes.default.svc", "another-gateway-sa"])
def test_token_for_another_audience_is_refused(
    stack: Stack, provider: Provider, audience: str
) -> None:
    """A valid token of a free ServiceAccount that was not made for this gateway."""
    user = stack.account_token("maas-default-gateway-tier-free", audience)
    stack.chat(provider, user).expect_status(401).expect_no_backend()


@requirement("MP-24", "MP-25")
@pytest.mark.parametrize(
    "text", ["garbage", "eyJhbGciOiJub25lIn0.e30.", "a b"], ids=["garbage", "unsigned", "two words"]
)
def test_garbage_is_refused(stack: Stack, provider: Provider, text: str) -> None:
    """A bearer that is no token at all, or an unsigned one."""
    stack.chat(provider, Identity(Secret(text))).expect_status(401).expect_no_backend()


@requirement("MP-39", "MP-25")
def test_local_model_wants_the_right_to_use_it(stack: Stack) -> None:
    """403 for a ServiceAccount with the right audience and no RBAC on the model."""
    stranger = stack.account_token("conformance-strangers")
    stack.chat(LOCAL, stranger).expect_status(403).expect_no_backend()


@requirement("MP-63")
def test_which_policy_guards_the_local_model(
    kube: Kube, stack: Stack, alice: Identity, decide: Decision
) -> None:
    """Whose header the workload gets: X-MaaS-Tier is the gateway's policy's alone; and whether a
    policy names the route. A bridge's own policy sends none."""
    policies = kube.all("kuadrant.io/v1", "AuthPolicy")
    targets = {(p["spec"]["targetRef"]["kind"], p["spec"]["targetRef"]["name"]) for p in policies}
    own = ("HTTPRoute", f"{LOCAL.path.rpartition('/')[2]}-kserve-route") in targets
    record = stack.chat(LOCAL, alice).expect_status(200).expect_backend_received(LOCAL.name)
    told = record.headers.all("x-maas-tier")
    bridged = stack.chat(OPENAI, alice).expect_status(200).expect_backend_received(OPENAI.name)
    assert bridged.headers.all("x-maas-tier") == []
    found = {(False, 1): "gateway", (True, 0): "route"}
    decide(found.get((own, len(told)), f"own policy: {own}, X-MaaS-Tier: {told}"))
