"""vSR down: what a client sees, and what goes on."""

import pytest

from fixtures.evidence.requirements import requirement
from fixtures.kube import Kube
from fixtures.stack import TIER_PREFIX, Identity, Stack
from fixtures.stack.grants import granted
from fixtures.waiting import DEPLOYED_SECONDS, ENFORCED_SECONDS, IN_A_ROW, until
from suites.dual_gateway.variants import Variants, policy_of
from suites.dual_gateway.vsr import MODEL_A, MODELS, NAMESPACE, SERVICE, Vsr

TOKENS = "/maas-api/v1/tokens"


def until_answered(vsr: Vsr, user: Identity, status: int) -> None:
    """Ask until this is the answer, several times in a row."""
    until(f"{status} from vSR", lambda: vsr.ask(user).status, lambda seen: seen == status,
          ENFORCED_SECONDS, in_a_row=IN_A_ROW)  # fmt: skip


@requirement("DG-32")
def test_vsr_down_and_up_again(
    kube: Kube, stack: Stack, variants: Variants, alice: Identity, outsider: Identity
) -> None:
    """A router of this test's own is scaled to nothing, and back."""
    name = variants.router()
    vsr = variants.make(policy_of("poc"), name)  # no limits: it is asked until it answers
    vsr.ask(outsider).expect_status(200)
    kube.scale(NAMESPACE, name, 0)
    until_answered(vsr, outsider, 503)
    stack.chat(MODEL_A, alice).expect_status(200).expect_backend_received(MODEL_A.name)
    stack.models(MODEL_A, alice).expect_status(200)
    stack.mint(stack.cluster_identity()).expect_status(201)
    vsr.ask(None).expect_status(401)
    kube.scale(NAMESPACE, name, 1)
    until("the router's Pod to be ready", lambda: available(kube, name), bool, DEPLOYED_SECONDS)
    until_answered(vsr, outsider, 200)


@requirement("DG-58")
@pytest.mark.disposable
@pytest.mark.capability("disposable_clusters")
def test_the_deployed_vsr_down_and_up_again(demo: Stack) -> None:
    """All of MaaS but `/v1/chat` goes on without any vSR: models, listings, tokens and keys."""
    user, vsr = demo.account_token(f"{TIER_PREFIX}enterprise"), Vsr(demo)
    with granted(demo.kube, user, NAMESPACE, ["model-a", "model-b"]):
        until_answered(vsr, user, 200)
        demo.kube.scale(NAMESPACE, SERVICE, 0)
        until_answered(vsr, user, 503)
        for model in MODELS:
            demo.chat(model, user).expect_status(200).expect_backend_received(model.name)
            demo.models(model, user).expect_status(200)
        found = demo.send("GET", "/v1/models", user).expect_status(200).listed()
        assert {one.name for one in MODELS} <= {entry["id"] for entry in found}
        someone = demo.cluster_identity()
        demo.mint(someone).expect_status(201)
        demo.send("DELETE", TOKENS, someone).expect_status(204)
        vsr.ask(None).expect_status(401)
        demo.kube.scale(NAMESPACE, SERVICE, 1)
        until_answered(vsr, user, 200)


def available(kube: Kube, name: str) -> int:
    """Ready replicas of a Deployment."""
    found = kube.get("apps/v1", "Deployment", NAMESPACE, name) or {}
    return int(found.get("status", {}).get("availableReplicas", 0))
