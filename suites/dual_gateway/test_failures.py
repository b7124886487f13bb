"""vSR down: what a client sees, and what goes on."""

from fixtures.evidence.requirements import requirement
from fixtures.kube import Kube
from fixtures.stack import Identity, Stack
from fixtures.waiting import DEPLOYED_SECONDS, ENFORCED_SECONDS, IN_A_ROW, until
from suites.dual_gateway.variants import Variants, policy_of
from suites.dual_gateway.vsr import MODEL_A, NAMESPACE, Vsr


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


def available(kube: Kube, name: str) -> int:
    """Ready replicas of a Deployment."""
    found = kube.get("apps/v1", "Deployment", NAMESPACE, name) or {}
    return int(found.get("status", {}).get("availableReplicas", 0))
