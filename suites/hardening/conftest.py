"""The whole demo's gateway, with the models of two documents behind it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fixtures.clusters import Access
from fixtures.kube import Kube
from fixtures.stack import TIER_PREFIX, Identity, Stack
from manifests import FOLDER
from suites.hardening.everywhere import Asker
from suites.maas_gateway.models import PREMIUM
from suites.mixed_providers.providers import ALL, LOCAL, OPENAI


@pytest.fixture(scope="session")
def stack(kube: Kube, access: Access) -> Iterator[Stack]:
    """The MaaS gateway with every provider, and the model that free users may not use."""
    made = Stack(kube, access, [*ALL, PREMIUM])
    made.wait_in_effect([*ALL, PREMIUM], metered=[LOCAL, OPENAI])
    yield made
    made.close()


@pytest.fixture
def demo(disposable: Callable[[Path], Access]) -> Iterator[Stack]:
    """The demo with recorders, in a cluster of its own, seen in effect."""
    access = disposable(FOLDER / "mixed-providers" / "overlays" / "recording")
    made = Stack(Kube(access.kubeconfig), access, ALL)
    made.wait_in_effect(ALL)
    yield made
    made.close()


@pytest.fixture
def alice(stack: Stack) -> Identity:
    """A free user whom nobody has seen before."""
    return stack.account_token(f"{TIER_PREFIX}free")


@pytest.fixture
def heavy_user(stack: Stack) -> Identity:
    """An enterprise user: fifty requests in two minutes, and tokens enough."""
    return stack.account_token(f"{TIER_PREFIX}enterprise")


@pytest.fixture
def asker(kube: Kube, access: Access, stack: Stack) -> Iterator[Asker]:
    made = Asker(kube, access, stack)
    yield made
    made.close()
