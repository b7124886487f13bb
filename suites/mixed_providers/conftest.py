"""The providers of the demo and the users that the tests need."""

import shutil
import subprocess
from collections.abc import Iterator

import pytest

from fixtures.clusters import Access
from fixtures.kube import Kube
from fixtures.secrets import Secret
from fixtures.stack import TIER_PREFIX, Identity, Provider, Stack
from suites.mixed_providers.providers import ALL


@pytest.fixture(scope="session")
def stack(kube: Kube, access: Access) -> Iterator[Stack]:
    """The two gateways with the four providers behind them."""
    made = Stack(kube, access, ALL)
    made.wait_in_effect(metered=ALL, first=True)
    yield made
    made.close()


@pytest.fixture
def alice(stack: Stack) -> Identity:
    """A user of the free tier whom nobody has seen before."""
    return stack.free_user()


@pytest.fixture
def heavy_user(stack: Stack) -> Identity:
    """A user of the enterprise tier: fifty requests in two minutes, and tokens enough."""
    return stack.account_token(f"{TIER_PREFIX}enterprise")


@pytest.fixture
def bob(stack: Stack) -> Identity:
    """Another one."""
    return stack.free_user()


@pytest.fixture
def openshift_login() -> Identity:
    """Who is logged in: the token of `oc whoami -t`."""
    assert shutil.which("oc"), "there is no `oc` on PATH to ask who is logged in"
    done = subprocess.run(["oc", "whoami", "-t"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"oc whoami -t: {done.stderr.strip()}; log in with `oc login`"
    return Identity(Secret(done.stdout.strip()))


@pytest.fixture(params=ALL, ids=str)
def provider(request: pytest.FixtureRequest) -> Provider:
    """Each provider in turn."""
    chosen: Provider = request.param
    return chosen
