"""Who is sent which provider's key behind the MaaS gateway: nobody, unless he brings it."""

import uuid
from collections.abc import Iterator

import pytest

from fixtures.clusters import Access
from fixtures.evidence import BACKEND, EGRESS, ID_HEADER, expect
from fixtures.evidence.requirements import requirement
from fixtures.kube import Kube
from fixtures.stack import CHAT, USERS, Provider, Stack
from fixtures.stack.gateways import endpoint
from fixtures.stack.pods import Inside, ask_from_inside
from suites.hardening.everywhere import QUESTION
from suites.hardening.routes import ROUTE
from suites.hardening.ways import recorders
from suites.mixed_providers.operations import OPERATIONS, WITH_BODY
from suites.mixed_providers.providers import EXTERNAL

EGRESS_GATEWAY = ("default", "poc-gateway")


@pytest.fixture
def egress(kube: Kube, access: Access) -> str:
    """The egress gateway's own URL."""
    target = endpoint(kube, access, *EGRESS_GATEWAY, "http")
    return f"http://{target.address}:{target.port}"


def keys(provider: Provider) -> Iterator[tuple[str, dict[str, str], int]]:
    """What a client may bring along for a provider, whose key it is, and what comes of it."""
    scheme = "Bearer " if provider.key_header == "Authorization" else ""
    yield "no key", {}, 401
    for one in EXTERNAL:
        header = {provider.key_header: scheme + one.key.reveal()}
        yield f"{one}'s key", header, 200 if one is provider else 401


def bases(kube: Kube) -> list[str]:
    """What stands before OpenAI's part of the paths of its routes, whoever made them."""
    found = set()
    for route in kube.all(*ROUTE):
        namespace = route["metadata"]["namespace"]
        parents = [(one.get("namespace", namespace), one["name"])
                   for one in route["spec"].get("parentRefs") or []]  # fmt: skip
        if EGRESS_GATEWAY in parents:
            for rule in route["spec"].get("rules") or []:
                for match in rule.get("matches") or [{}]:
                    path = (match.get("path") or {}).get("value", "/")
                    found.add(path.partition("/v1/")[0].rstrip("/"))
    return sorted(found)


@requirement("HD-28")
def test_each_provider_takes_its_own_key_alone(kube: Kube, egress: str) -> None:
    """The egress gateway passes on what it is given, and each provider asks for its own."""
    asked, wanted = [], {}
    for provider in EXTERNAL:
        message = {"role": "user", "content": "Hello"}
        body = {"model": provider.model, "messages": [message], "max_tokens": 10}
        for whose, header, status in keys(provider):
            wanted[f"{provider} with {whose}"] = status
            asked.append(Inside("POST", f"{egress}{provider.egress_path}{CHAT}", header, body))
    answers = ask_from_inside(kube, USERS, asked)
    found = {what: status for what, (status, _) in zip(wanted, answers, strict=True)}
    wrong = {what: status for what, status in found.items() if status != wanted[what]}
    expect(not wrong, BACKEND, "200 for its own key, and 401", f"{wrong}")


@requirement("HD-28")
def test_no_backend_is_sent_a_key(kube: Kube, stack: Stack, egress: str) -> None:
    """By every route of the egress gateway and every operation: without a key, whoever is behind it
    receives none."""
    paths = bases(kube)
    ids = {path: f"conformance-{uuid.uuid4()}" for path in paths}
    ask_from_inside(kube, USERS, [
        Inside(method, f"{egress}{path}{operation}", {ID_HEADER: ids[path]},
               QUESTION if method in WITH_BODY else None)
        for path in paths for method, operation, _ in OPERATIONS
    ])  # fmt: skip
    there = recorders(kube)
    seen = {
        path: [record for one in there for record in stack.records_of(one, ids[path])]
        for path in paths
    }
    received = {path for path, records in seen.items() if records}
    expected = {one.egress_path for one in EXTERNAL if not stack.is_real(one)}
    expect(received >= expected, EGRESS, f"requests at {sorted(expected)}", f"{sorted(received)}")
    leaks = {
        f"{one}'s key at {record.backend} by {path}"
        for path, records in seen.items()
        for record in records
        for one in EXTERNAL
        if one.key.reveal() in record.headers.text
    }
    expect(not leaks, BACKEND, "no provider's key", f"{sorted(leaks)}")
