"""The gateway, and who asks it."""

from collections.abc import Iterator

import pytest

from fixtures.clusters import Access
from fixtures.kube import Kube
from fixtures.stack import Identity, Stack


@pytest.fixture(scope="session")
def stack(kube: Kube, access: Access) -> Iterator[Stack]:
    made = Stack(kube, access, [])
    yield made
    made.close()


@pytest.fixture
def alice(stack: Stack) -> Identity:
    return stack.free_user()
