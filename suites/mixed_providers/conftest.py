"""The providers of the demo and the users that the tests need."""

from collections.abc import Iterator

import pytest

from fixtures.clusters import Access
from fixtures.kube import Kube
from fixtures.stack import Identity, Provider, Stack
from suites.mixed_providers.providers import ALL


@pytest.fixture(scope="session")
def stack(kube: Kube, access: Access) -> Iterator[Stack]:
    """The two gateways with the four providers behind them."""
    made = Stack(kube, access, ALL)
    made.wait_in_effect()
    yield made
    made.close()


@pytest.fixture
def alice(stack: Stack) -> Identity:
    """A user of the free tier whom nobody has seen before."""
    return stack.free_user()


@pytest.fixture
def bob(stack: Stack) -> Identity:
    """Another one."""
    return stack.free_user()


@pytest.fixture(params=ALL, ids=str)
def provider(request: pytest.FixtureRequest) -> Provider:
    """Each provider in turn."""
    return request.param
