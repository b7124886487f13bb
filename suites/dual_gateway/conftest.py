"""vSR behind the MaaS gateway, its variants, and users who may use both models, or none."""

import contextlib
from collections.abc import Callable, Iterator

import httpx
import pytest

from fixtures.clusters import Access
from fixtures.clusters.existing.shared import kube_of
from fixtures.disposables import Make
from fixtures.kube import Kube
from fixtures.stack import TIER_PREFIX, Identity, Stack
from fixtures.stack.grants import granted
from fixtures.stack.logs import SEMANTIC_ROUTER
from fixtures.waiting import ENFORCED_SECONDS, IN_A_ROW, WaitTimeout, until
from manifests import FOLDER
from suites.dual_gateway.variants import Variants, policy_of
from suites.dual_gateway.vsr import MODELS, NAMESPACE, Vsr


@pytest.fixture(scope="session")
def stack(kube: Kube, access: Access) -> Iterator[Stack]:
    """The MaaS gateway with both models behind it."""
    made = Stack(kube, access, MODELS, SEMANTIC_ROUTER)
    made.wait_in_effect(first=True)
    yield made
    made.close()


@pytest.fixture
def demo(disposable: Make) -> Iterator[Stack]:
    """The dual gateway, which the test ruins."""
    access = disposable(FOLDER / "dual-gateway" / "overlays" / "document")
    made = Stack(kube_of(access), access, MODELS, SEMANTIC_ROUTER)
    made.wait_in_effect()
    yield made
    made.close()


@pytest.fixture(scope="session")
def vsr(stack: Stack) -> Vsr:
    """vSR by the deployed route and its policy, in effect."""
    made = Vsr(stack)

    def refusal() -> str:
        try:
            return str(made.ask(None).status)
        except httpx.TransportError as error:
            return str(error)

    # One that never refuses is not an error here: the tests say what is wrong with it.
    with contextlib.suppress(WaitTimeout):
        until("vSR to refuse requests without a token", refusal, lambda seen: seen == "401",
              ENFORCED_SECONDS, in_a_row=IN_A_ROW)  # fmt: skip
    return made


@pytest.fixture(scope="session")
def session_variants(kube: Kube, stack: Stack) -> Iterator[Variants]:
    """Variants that many tests use and none breaks."""
    made = Variants(kube, stack)
    yield made
    made.close()


@pytest.fixture(scope="session")
def document_vsr(session_variants: Variants) -> Vsr:
    """vSR under the AuthPolicy that the document prints, whatever is deployed."""
    return session_variants.make(policy_of("document"))


@pytest.fixture(scope="session")
def poc_vsr(session_variants: Variants) -> Vsr:
    """vSR under the AuthPolicy of the POC's repository, whatever is deployed."""
    return session_variants.make(policy_of("poc"))


@pytest.fixture
def variants(kube: Kube, stack: Stack) -> Iterator[Variants]:
    """Variants of one test, to be broken at will."""
    made = Variants(kube, stack)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def member_of(kube: Kube, stack: Stack) -> Iterator[Callable[[str], Identity]]:
    """New users of a tier who may use both models: `member_of("free")`."""
    with contextlib.ExitStack() as rights:

        def member(tier: str) -> Identity:
            user = stack.account_token(TIER_PREFIX + tier)
            rights.enter_context(granted(kube, user, NAMESPACE, ["model-a", "model-b"]))
            return user

        yield member


@pytest.fixture
def alice(member_of: Callable[[str], Identity]) -> Identity:
    """A premium user: twenty requests in two minutes, and tokens enough."""
    return member_of("premium")


@pytest.fixture
def bob(member_of: Callable[[str], Identity]) -> Identity:
    """Another one."""
    return member_of("premium")


@pytest.fixture
def outsider(stack: Stack) -> Identity:
    """A premium user with no right to any model of vSR's."""
    return stack.account_token(f"{TIER_PREFIX}premium")
