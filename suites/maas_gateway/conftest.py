"""Users of each tier, fresh for each test, and the two gateways."""

from collections.abc import Callable, Iterator

import httpx
import pytest

from fixtures.clusters import Access
from fixtures.kube import Kube
from fixtures.stack import TIER_PREFIX, Identity, Stack
from fixtures.stack.gateways import client, endpoint
from suites.maas_gateway.models import ALL, PREMIUM, SHARED


@pytest.fixture(scope="session")
def stack(kube: Kube, access: Access) -> Iterator[Stack]:
    """The MaaS gateway with the models behind it."""
    made = Stack(kube, access, ALL)
    made.wait_in_effect([SHARED, PREMIUM], metered=[SHARED], first=True)
    yield made
    made.close()


@pytest.fixture(scope="session")
def default_gateway(kube: Kube, access: Access) -> Iterator[httpx.Client]:
    """KServe's default gateway."""
    target = endpoint(kube, access, "kserve", "kserve-ingress-gateway", "http")
    with client(target, access) as made:
        yield made


@pytest.fixture
def user_of(stack: Stack) -> Callable[[str], Identity]:
    """A new user of a tier: `user_of("premium")`."""
    return lambda tier: stack.account_token(TIER_PREFIX + tier)


@pytest.fixture
def alice(user_of: Callable[[str], Identity]) -> Identity:
    """A free user whom nobody has seen before."""
    return user_of("free")


@pytest.fixture
def bob(user_of: Callable[[str], Identity]) -> Identity:
    """Another one."""
    return user_of("free")
