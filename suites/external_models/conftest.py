"""The quickstart's gateways and simulator, users, a local model, and backends to play with."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fixtures.clusters import Access
from fixtures.clusters.existing.shared import kube_of
from fixtures.kube import Kube
from fixtures.stack import TIER_PREFIX, Identity, Provider, Stack
from fixtures.stack.grants import granted
from fixtures.stack.local_models import local_model
from manifests import FOLDER
from suites.external_models.backends import SIMULATOR, SIMULATOR_NAMESPACE, Backends

QUICKSTART = FOLDER / "external-models" / "overlays" / "recording"


@pytest.fixture(scope="session")
def stack(kube: Kube, access: Access) -> Iterator[Stack]:
    """The MaaS gateway, the bridge and the egress gateway with the simulator behind it."""
    made = Stack(kube, access, [SIMULATOR])
    made.wait_in_effect(first=True)
    yield made
    made.close()


@pytest.fixture
def alice(stack: Stack) -> Identity:
    """An enterprise user: fifty requests in two minutes, and tokens enough."""
    return stack.account_token(f"{TIER_PREFIX}enterprise")


@pytest.fixture
def free_user(stack: Stack) -> Identity:
    """A free user whom nobody has seen before."""
    return stack.account_token(f"{TIER_PREFIX}free")


@pytest.fixture(scope="session")
def local(kube: Kube) -> Iterator[Provider]:
    """A local model on the MaaS gateway that nobody may use yet."""
    with local_model(kube, SIMULATOR_NAMESPACE) as made:
        yield made


@pytest.fixture
def member(kube: Kube, local: Provider, alice: Identity) -> Iterator[Identity]:
    """Alice, with the right to the local model."""
    with granted(kube, alice, SIMULATOR_NAMESPACE, [local.name]):
        yield alice


@pytest.fixture
def backends(kube: Kube) -> Iterator[Backends]:
    """Backends of one test."""
    made = Backends(kube)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def quickstart(disposable: Callable[[Path], Access]) -> Iterator[Stack]:
    """The quickstart, which the test ruins."""
    access = disposable(QUICKSTART)
    made = Stack(kube_of(access), access, [SIMULATOR])
    made.wait_in_effect()
    yield made
    made.close()
