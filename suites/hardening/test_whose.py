"""Whose key and whose name a request has: on every way to a model, by every operation, on every
listener, over every version of HTTP, and of users of every tier."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import httpx
import pytest

from fixtures.clusters import Access
from fixtures.evidence import BACKEND, ID_HEADER, Record, expect
from fixtures.evidence.requirements import requirement
from fixtures.kube import Kube
from fixtures.stack import CHAT, Provider, Stack
from fixtures.stack.gateways import MAAS_GATEWAY, client, endpoint
from suites.hardening.test_askers import came
from suites.hardening.test_every_way import LIES, answered, is_own, said_by_policy, told
from suites.hardening.test_identity import FORGED
from suites.hardening.ways import Walker, Way, expect_on_each, member_of, recorders
from suites.mixed_providers.operations import each
from suites.mixed_providers.providers import EXTERNAL

CLIENTS = "sk-of-the-client"


def wrong_keys(record: Record) -> str:
    """What is wrong with the keys that a backend was sent: its own once, if it has one, and no
    other provider's anywhere."""
    own = [one for one in EXTERNAL if record.backend == place(one)]
    shown = f"{record.headers.text} {record.path} {record.body}"
    found = [one for one in EXTERNAL if one.key.reveal() in shown]
    wrong = [f"the key of {one}" for one in found if one not in own]
    wrong += [f"no key of {one}" for one in own if one not in found]
    for one in own:
        values = record.headers.all(one.key_header)
        if len(values) != 1 or not values[0].endswith(one.key.reveal()):
            wrong.append(f"{len(values)} under {one.key_header}, or another's")
    return f"{record.method} {record.path} at {record.backend}: {wrong}" if wrong else ""


def place(provider: Provider) -> str:
    """The name of a provider's recorder."""
    return f"{provider.namespace}/{provider.service.partition(':')[0]}"


def asked_of(way: Way) -> Provider:
    """What is asked for on a way."""
    return Provider(str(way), way.model, way.route.path, "", way.route.namespace, "")


@requirement("HD-109")
def test_keys_are_their_providers_alone(kube: Kube, walker: Walker, all_ways: list[Way]) -> None:
    """By every operation and method, on both listeners: whoever receives it."""
    there = recorders(kube)

    def problem(way: Way) -> str:
        together = f"conformance-{uuid.uuid4()}"
        for _ in each(walker.stack, asked_of(way), walker.user, {ID_HEADER: together}):
            pass
        received = [one for backend in there for one in walker.stack.records_of(backend, together)]
        expect(bool(received), BACKEND, f"requests of {way}", "none")
        return "; ".join(filter(None, map(wrong_keys, received)))

    expect_on_each(all_ways, "each provider's own key, and no other's", told(problem))


@pytest.fixture
def gateways(kube: Kube, access: Access) -> Iterator[dict[str, httpx.Client]]:
    """Clients of the MaaS gateway, by how they ask: over HTTP/2 one after the other."""
    with (
        client(endpoint(kube, access, *MAAS_GATEWAY, "http"), access) as plain,
        client(endpoint(kube, access, *MAAS_GATEWAY, "https"), access, http2=True) as modern,
    ):
        yield {"without TLS": plain, "over HTTP/2": modern}


def asked_otherwise(
    walker: Walker, way: Way, gateways: dict[str, httpx.Client]
) -> Iterator[tuple[str, Record]]:
    """What the model has of a chat, by how it was asked, of a client who says who he is, and brings
    a key."""
    said = {**LIES, "X-Provider-Api-Key": CLIENTS}
    for how, gateway in gateways.items():
        yield how, came(gateway, walker, way, {}, said).record


@requirement("HD-1")
def test_identity_however_it_is_asked(
    kube: Kube, walker: Walker, all_ways: list[Way], gateways: dict[str, httpx.Client]
) -> None:
    """Without TLS and over HTTP/2."""
    said = {way: said_by_policy(kube, way) for way in all_ways}
    asked = [way for way in all_ways if said[way]]

    def problem(way: Way) -> str:
        return "; ".join(
            f"{how}: {name}: {record.headers.all(name)}"
            for how, record in asked_otherwise(walker, way, gateways)
            for name in sorted(said[way])
            if not is_own(name, record, walker.user)
        )

    expect_on_each(asked, "the user's own name, tier and groups", told(problem), 1)


@requirement("HD-109")
def test_keys_however_it_is_asked(
    walker: Walker, all_ways: list[Way], gateways: dict[str, httpx.Client]
) -> None:
    """Without TLS and over HTTP/2."""

    def problem(way: Way) -> str:
        found = asked_otherwise(walker, way, gateways)
        return "; ".join(f"{how}: {wrong}" for how, one in found if (wrong := wrong_keys(one)))

    expect_on_each(all_ways, "each provider's own key, and no other's", told(problem), 1)


@requirement("HD-1")
@pytest.mark.parametrize("tier", ["free", "premium"])
def test_each_tier_is_told_on_every_way(
    kube: Kube, stack: Stack, all_ways: list[Way], tier: str
) -> None:
    """By chats, completions and embeddings, of a client who says that his tier is another; that of
    enterprise users is told by all that is asked of ways."""
    said = {way: said_by_policy(kube, way) for way in all_ways}
    asked = [way for way in all_ways if said[way]]
    with member_of(kube, stack, tier) as user:
        walker = Walker(stack, user)

        def problem(way: Way) -> str:
            wrong = []
            for operation in (CHAT, *way.questions[1:]):
                if record := answered(walker, way, operation, FORGED):
                    names = [n for n in sorted(said[way]) if not is_own(n, record, user)]
                    wrong += [f"{operation}: {name}: {record.headers.all(name)}" for name in names]
            return "; ".join(wrong)

        expect_on_each(asked, f"the name, tier and groups of a {tier} user", told(problem))
