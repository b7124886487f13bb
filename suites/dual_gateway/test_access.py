"""Who is let in to /v1/chat/*, and that nobody else reaches vSR."""

import pytest

from fixtures.clusters import Access
from fixtures.evidence import CLIENT
from fixtures.evidence.requirements import requirement
from fixtures.kube import Kube
from fixtures.secrets import Secret
from fixtures.stack import CHAT, TIER_PREFIX, Identity, Stack
from fixtures.stack.grants import granted
from fixtures.stack.tokens import expired
from fixtures.waiting import ENFORCED_SECONDS, IN_A_ROW, until
from suites.dual_gateway.variants import KUADRANT, Variants, policy_of
from suites.dual_gateway.vsr import MATHS, MODEL_A, NAMESPACE, Vsr


@requirement("DG-10")
def test_minted_token_opens_vsr(kube: Kube, stack: Stack, vsr: Vsr) -> None:
    """Steps 1 to 8 of the flow, as a newcomer does them."""
    token = stack.mint(stack.cluster_identity(), "10m").expect_status(201).json["token"]
    user = Identity(Secret(token), stack.claims(token)["sub"])
    with granted(kube, user, NAMESPACE, ["model-a", "model-b"]):
        vsr.ask(user, MATHS).expect_status(200).expect_backend_received(MODEL_A.name)


@requirement("DG-12")
@pytest.mark.parametrize(("method", "path"), [("POST", CHAT), ("GET", CHAT), ("POST", "/v1/chat")])
def test_no_token_is_refused(vsr: Vsr, method: str, path: str) -> None:
    """401 with a challenge, and neither vSR nor a model hears of it."""
    exchange = vsr.send(method, path, None, {"model": "auto"}).expect_status(401)
    challenge = exchange.response.headers.get("www-authenticate", "none")
    exchange.expect(CLIENT, challenge.startswith("Bearer"), "a Bearer challenge", challenge)
    exchange.expect_no_backend().expect_no_inner()


@requirement("DG-12")
def test_no_token_is_refused_in_plain_http(vsr: Vsr) -> None:
    """The route is on the other listener too, and so is its policy."""
    exchange = vsr.send("POST", CHAT, None, {"model": "auto"}, tls=False)
    exchange.expect_refusal(401, 404).expect_no_inner()


@requirement("DG-13")
@pytest.mark.parametrize("audience", ["https://kubernetes.default.svc", "another-gateway-sa"])
def test_other_audience_is_refused(stack: Stack, vsr: Vsr, audience: str) -> None:
    """An account of the free tier, and a token made for somebody else."""
    user = stack.account_token(f"{TIER_PREFIX}free", audience)
    vsr.ask(user).expect_status(401).expect_no_backend().expect_no_inner()


@requirement("DG-14")
@pytest.mark.capability("token_signing_key")
def test_expired_token_is_refused(vsr: Vsr, access: Access, alice: Identity) -> None:
    """A token of a known user, well signed, that expired a minute ago."""
    vsr.ask(expired(alice, access)).expect_status(401).expect_no_backend().expect_no_inner()


@requirement("DG-15")
@pytest.mark.parametrize(
    "text", ["garbage", "eyJhbGciOiJub25lIn0.e30.", "a b"], ids=["garbage", "unsigned", "two words"]
)
def test_garbage_is_refused(vsr: Vsr, text: str) -> None:
    """A bearer that is no token at all, or an unsigned one."""
    user = Identity(Secret(text))
    vsr.ask(user).expect_status(401).expect_no_backend().expect_no_inner()


@requirement("DG-33")
def test_without_the_policy_it_is_closed(kube: Kube, variants: Variants, alice: Identity) -> None:
    """The Gateway's policy takes over, and asks for the right to a model chat in v1."""
    open_ = variants.make(policy_of("document"))
    open_.ask(alice).expect_status(200)
    kube.delete(KUADRANT, "AuthPolicy", NAMESPACE, open_.variant)
    closed = until(
        "the route to be closed",
        lambda: open_.ask(open_.stack.free_user()),  # a new one each time: none has used its limit
        lambda seen: seen.status != 200,
        ENFORCED_SECONDS,
        in_a_row=IN_A_ROW,
    )
    closed.expect_status(403).expect_no_backend().expect_no_inner()
    open_.ask(None).expect_status(401).expect_no_backend().expect_no_inner()


@requirement("DG-33")
def test_with_a_broken_policy_it_is_closed(variants: Variants) -> None:
    """An expression that does not compile lets nobody in, and the policy does not look in force."""
    policy = policy_of("document")
    identity = policy["spec"]["rules"]["response"]["success"]["filters"]["identity"]["json"]
    identity["properties"]["tier"]["expression"] = "auth.identity.("
    broken = variants.create(policy)
    closed = until(
        "the route to be there",  # until then the deployed one answers
        lambda: broken.ask(broken.stack.free_user()),
        lambda seen: seen.status != 200,
        ENFORCED_SECONDS,
        in_a_row=IN_A_ROW,
    )
    for exchange in (closed, broken.ask(None)):
        exchange.expect_status(404).expect_no_backend().expect_no_inner()
    assert variants.status_of(broken.variant)["Enforced"] == "False"
