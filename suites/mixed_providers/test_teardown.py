"""The document's teardown."""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from fixtures.clusters import Access
from fixtures.clusters.existing.shared import kube_of
from fixtures.evidence.requirements import requirement
from fixtures.kube import Kube
from fixtures.stack import Identity, Stack
from fixtures.stack.gateways import MAAS_GATEWAY
from fixtures.stack.surface import entrances
from fixtures.stack.teardown import addresses, answering, delete_file, left
from fixtures.waiting import ENFORCED_SECONDS, REMOVED_SECONDS, until
from manifests import FOLDER, identity, render
from suites.mixed_providers.providers import ALL, EXTERNAL

pytestmark = [pytest.mark.disposable, pytest.mark.capability("disposable_clusters")]
ROUTE = ("gateway.networking.k8s.io/v1", "HTTPRoute")
DEMO = FOLDER / "mixed-providers" / "overlays" / "recording"
FILES = ["bridge", "routes", "backends", "anthropic-simulator", "openai-simulator",
         "external-model-registry"]  # fmt: skip
LISTENING = [("external-models", "openai-simulator"), ("external-models", "anthropic-simulator"),
             ("llm", "facebook-opt-125m-simulated-kserve-workload-svc")]  # fmt: skip


@pytest.fixture
def demo(disposable: Callable[[Path], Access]) -> Iterator[Stack]:
    """The demo, to be torn down, and no other document's route in whose prefix its paths are."""
    access = disposable(DEMO)
    made = Stack(kube_of(access), access, ALL)
    for route in wider(made.kube):
        made.kube.delete(*ROUTE, *route)
    made.wait_in_effect()
    yield made
    made.close()


def wider(kube: Kube) -> set[tuple[str, str]]:
    """(namespace, name) of the routes of the MaaS gateway that would have the external providers'
    requests, did the demo not have longer prefixes."""
    own = {identity(one)[2:] for one in render(DEMO)}
    found = {
        (namespace, name)
        for one in entrances(kube)
        for namespace, _, name in [one.route.partition("/")]
        if one.gateway == MAAS_GATEWAY and one.path.rstrip("/")
        and any(provider.path.startswith(one.path) for provider in EXTERNAL)
    }  # fmt: skip
    return found - own


def listed(stack: Stack, user: Identity) -> list[str] | int:
    """The ids of the listing, whose data are null without any; or the status if there is none."""
    exchange = stack.send("GET", "/v1/models", user)
    if exchange.status != 200:
        return exchange.status
    return [entry["id"] for entry in exchange.listed()]


@requirement("MP-65")
def test_teardown(demo: Stack) -> None:
    """The printed files in their order, then the namespace; MaaS goes on."""
    kube, user = demo.kube, demo.account_token("maas-default-gateway-tier-enterprise")
    listening = addresses(kube, LISTENING)
    assert len(listening) >= 2 * len(LISTENING), f"not everything listened before: {listening}"
    gone = []
    for name in FILES:
        gone += delete_file(kube, FOLDER / "mixed-providers" / "base" / f"{name}.yaml")
        assert demo.mint(demo.cluster_identity()).status == 201
    kube.delete("v1", "Namespace", "", "llm")
    gone.append({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "llm"}})
    until("nothing to be left", lambda: left(kube, gone), lambda found: not found,
          REMOVED_SECONDS)  # fmt: skip
    until("nobody to listen", lambda: answering(kube, listening), lambda found: not found,
          REMOVED_SECONDS)  # fmt: skip

    def statuses() -> set[str]:
        try:
            return {str(demo.models(one, user).status) for one in EXTERNAL}
        except httpx.TransportError as error:
            return {str(error)}

    until("the external paths to be nobody's", statuses, lambda seen: seen == {"404"},
          ENFORCED_SECONDS, in_a_row=2)  # fmt: skip
    until("an empty listing", lambda: listed(demo, user), lambda seen: seen == [],
          ENFORCED_SECONDS)  # fmt: skip
    for one in EXTERNAL:  # and it is the MaaS gateway that says so
        demo.models(one, user).expect_status(404).expect_no_inner()
