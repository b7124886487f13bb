"""The whole demo's gateway, with the models of two documents behind it."""

import contextlib
from collections import Counter
from collections.abc import Iterator

import pytest

from fixtures.clusters import Access
from fixtures.clusters.existing.shared import kube_of
from fixtures.disposables import Lasting, Make
from fixtures.kube import Kube
from fixtures.stack import TIER_PREFIX, Identity, Provider, Stack
from manifests import FOLDER
from suites.hardening.everywhere import Asker
from suites.hardening.moments import Whole
from suites.hardening.own import OwnRoute, own_gateway, own_route
from suites.hardening.served import INSTEAD, Chosen, choose
from suites.hardening.ways import Walker, Way, member_of, recorders, ways
from suites.maas_gateway.models import PREMIUM
from suites.mixed_providers.providers import ALL, EXTERNAL, LOCAL


@pytest.fixture(scope="session")
def stack(kube: Kube, access: Access) -> Iterator[Stack]:
    """The MaaS gateway with every provider, and the model that free users may not use."""
    made = Stack(kube, access, [*ALL, PREMIUM])
    made.wait_in_effect([*ALL, PREMIUM], metered=[LOCAL], first=True)
    yield made
    made.close()


@pytest.fixture(scope="session")
def chosen(stack: Stack) -> Chosen:
    """Who stands for the providers behind the egress gateway, its tokens seen to be counted."""
    found = choose(stack, EXTERNAL)
    stack.wait_in_effect([found.provider], metered=[found.provider])
    return found


@pytest.fixture
def external(request: pytest.FixtureRequest, chosen: Chosen) -> Provider:
    """A provider behind the egress gateway, whichever is served; the reports say which if it is
    not the first."""
    if chosen.why:
        request.node.user_properties.append((INSTEAD, chosen.why))
    return chosen.provider


@pytest.fixture
def provider(request: pytest.FixtureRequest, external: Provider) -> Provider:
    """By the way to it: through both gateways, or through the MaaS gateway alone."""
    return {"two-gateways": external, "one-gateway": LOCAL}[request.param]


@contextlib.contextmanager
def _demo(disposable: Make) -> Iterator[Stack]:
    access = disposable(FOLDER / "mixed-providers" / "overlays" / "recording")
    made = Stack(kube_of(access), access, ALL)
    made.wait_in_effect(ALL)
    yield made
    made.close()


@pytest.fixture
def demo(lasting: Lasting) -> Stack:
    """The demo with recorders, in a cluster of its own, seen in effect."""
    return lasting.of(_demo)


@contextlib.contextmanager
def _whole(disposable: Make) -> Iterator[Whole]:
    access = disposable(FOLDER / "conformance")
    kube = kube_of(access)
    made = Stack(kube, access, recorders(kube))
    made.wait_in_effect([*ALL, PREMIUM])
    yield Whole.of(kube, access, made)
    made.close()


@pytest.fixture
def whole(lasting: Lasting) -> Whole:
    """Everything that the documents deploy, in a cluster of its own, seen in effect."""
    return lasting.of(_whole)


@pytest.fixture
def alice(stack: Stack) -> Identity:
    """A free user whom nobody has seen before."""
    return stack.account_token(f"{TIER_PREFIX}free")


@pytest.fixture
def heavy_user(stack: Stack) -> Identity:
    """An enterprise user: fifty requests in two minutes, and tokens enough."""
    return stack.account_token(f"{TIER_PREFIX}enterprise")


@pytest.fixture
def member(kube: Kube, stack: Stack) -> Iterator[Identity]:
    """An enterprise user who may use every model."""
    with member_of(kube, stack) as user:
        yield user


@pytest.fixture
def walker(stack: Stack, member: Identity) -> Walker:
    """The same, on every way to a recorder."""
    return Walker(stack, member)


@pytest.fixture(scope="module")
def talker(kube: Kube, stack: Stack) -> Iterator[Walker]:
    """Another one, of whom a module's tests speak together."""
    with member_of(kube, stack) as user:
        yield Walker(stack, user)


@pytest.fixture(scope="module")
def other_talker(kube: Kube, stack: Stack) -> Iterator[Walker]:
    """One more of these, who asks for streams."""
    with member_of(kube, stack) as user:
        yield Walker(stack, user)


@pytest.fixture
def neighbour(kube: Kube, stack: Stack) -> Iterator[Walker]:
    """Another one."""
    with member_of(kube, stack) as user:
        yield Walker(stack, user)


@pytest.fixture(scope="session")
def all_ways(kube: Kube, stack: Stack) -> list[Way]:
    """Every way to a recording model, seen to lead there."""
    with member_of(kube, stack) as user:
        return ways(kube, Walker(stack, user))


@pytest.fixture
def asker(kube: Kube, access: Access, stack: Stack, tried: Counter[str]) -> Iterator[Asker]:
    made = Asker(kube, access, stack, tried)
    yield made
    made.close()


@pytest.fixture
def own(kube: Kube, stack: Stack) -> Iterator[OwnRoute]:
    """A namespace for a route of the test's own."""
    with own_route(kube, stack) as made:
        yield made


@pytest.fixture(params=["route", "gateway"])
def target(
    request: pytest.FixtureRequest, kube: Kube, access: Access, stack: Stack
) -> Iterator[OwnRoute]:
    """The same by what its policies are for: the route, or a Gateway of its own."""
    made = {"route": own_route(kube, stack), "gateway": own_gateway(kube, access, stack)}
    with made[request.param] as own:
        yield own
