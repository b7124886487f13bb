"""What holds on every way to a model: how long an answer may take, whose word a header is, what
becomes of large questions."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

from fixtures.evidence import BACKEND, CLIENT, HopMismatch, Record, expect, unchanged
from fixtures.evidence.bodies import filled
from fixtures.evidence.requirements import requirement
from fixtures.evidence.verdicts import CLOSED, PRESENT, Decision
from fixtures.found import only, parsed, parts
from fixtures.kube import Kube
from fixtures.stack import TIER_PREFIX, Identity, Sent, Stack
from suites.dual_gateway import conversation
from suites.dual_gateway.vsr import MATHS
from suites.hardening.routes import ROUTER
from suites.hardening.test_identity import FORGED, spellings
from suites.hardening.ways import Walker, Way, expect_on_each, recorders

POLICY = ("kuadrant.io/v1", "AuthPolicy")
EXECUTED = "X-MaaS-Model-Executed"
# Nothing that is true of who asks, who is of the enterprise tier.
LIES = {**FORGED, "X-MaaS-Tier": "premium"}
MORE_LIES = {**LIES, EXECUTED: "the-dearest", "X-MaaS-Subscription": "the-dearest"}
LARGE = 2 << 20  # bytes


def record_of(walker: Walker, way: Way, exchange: Any) -> Record:
    """The one record of a request at the way's recorder."""
    assert way.recorder
    found = walker.stack.records_of(way.recorder, exchange.id)
    exchange.expect(BACKEND, len(found) == 1, f"one request at {way}", f"{len(found)} requests")
    return only(found, "record")


def told(problem: Any) -> Any:
    """A way's problem, of what expects things of an exchange."""

    def found(way: Way) -> str:
        try:
            return str(problem(way) or "")
        except HopMismatch as mismatch:
            broken = mismatch.broken
            return f"expected {broken.expected}, observed {broken.observed}"

    return found


def said_by_policy(kube: Kube, way: Way) -> set[str]:
    """The identity headers that the AuthPolicy of a way sets: its route's, or the gateway's."""
    policies = kube.all(*POLICY)

    def of(kind: str, name: str, namespace: str) -> dict[str, Any] | None:
        for one in policies:
            ref = one["spec"]["targetRef"]
            if (ref["kind"], ref["name"], one["metadata"]["namespace"]) == (kind, name, namespace):
                return one
        return None

    route = way.route
    policy = of("HTTPRoute", route.name, route.namespace)
    policy = policy or of("Gateway", "maas-default-gateway", "openshift-ingress") or {"spec": {}}
    spec = policy["spec"].get("overrides") or policy["spec"].get("defaults") or policy["spec"]
    success = (spec.get("rules") or {}).get("response", {}).get("success", {})
    names = {name.lower() for name in success.get("headers") or {}}
    return {name for name in names if name.startswith("x-maas-")}


def own(user: Identity, model: str) -> dict[str, object]:
    """What the gateway has to say of an enterprise user's account, and of who answers."""
    _, _, namespace, account = parts(user.username, ":", 4, "a ServiceAccount's name")
    groups = {"system:serviceaccounts", f"system:serviceaccounts:{namespace}",
              "system:authenticated"}  # fmt: skip
    return {
        "x-maas-username": account,
        "x-maas-tier": namespace.removeprefix(TIER_PREFIX),
        "x-maas-group": groups,
        EXECUTED.lower(): model,
    }


def is_own(name: str, record: Record, user: Identity) -> bool:
    """Whether a header says what the gateway has to say, once."""
    values = record.headers.all(name)
    wanted = own(user, record.json["model"]).get(name.lower())
    if name.lower() == "x-maas-group" and len(values) == 1:
        groups = parsed(values[0], name)
        return (
            isinstance(groups, list) and len(groups) == len(set(groups)) and set(groups) == wanted
        )
    return values == [wanted]


@requirement("HD-1")
@pytest.mark.parametrize("sent", spellings(LIES).values(), ids=spellings(LIES))
def test_identity_headers_on_every_way(
    kube: Kube, walker: Walker, all_ways: list[Way], sent: Sent
) -> None:
    """Those that the way's policy says: the user's own, each once."""
    said = {way: said_by_policy(kube, way) for way in all_ways}
    asked = [way for way in all_ways if said[way]]

    def problem(way: Way) -> str:
        record = record_of(walker, way, walker.ask(way, headers=sent).expect_status(200))
        wrong = [name for name in sorted(said[way]) if not is_own(name, record, walker.user)]
        return "; ".join(f"{name}: {record.headers.all(name)}" for name in wrong)

    expect_on_each(asked, "the user's own name, tier and groups, each once", told(problem))


def answered(walker: Walker, way: Way, operation: str, sent: Sent) -> Record | None:
    """What the model received of a question that it answered; None where nobody behind the way has
    such an operation."""
    wish = {"usage": {"total_tokens": 1}}
    exchange = walker.ask(way, wish, sent, operation)
    if operation not in way.operations and exchange.status == 404:
        assert way.recorder
        if not walker.stack.records_of(way.recorder, exchange.id):
            return None
    return record_of(walker, way, exchange.expect_status(200))


@requirement("HD-1")
def test_identity_headers_by_every_operation(
    kube: Kube, walker: Walker, all_ways: list[Way]
) -> None:
    """The same by completions and embeddings."""
    said = {way: said_by_policy(kube, way) for way in all_ways}
    asked = [way for way in all_ways if said[way]]

    def problem(way: Way) -> str:
        wrong = []
        for operation in way.questions[1:]:
            if record := answered(walker, way, operation, LIES):
                names = [n for n in sorted(said[way]) if not is_own(n, record, walker.user)]
                wrong += [f"{operation}: {name}: {record.headers.all(name)}" for name in names]
        return "; ".join(wrong)

    expect_on_each(asked, "the user's own name, tier and groups, each once", told(problem))


@requirement("HD-7")
def test_identity_headers_that_nobody_says(
    kube: Kube, walker: Walker, all_ways: list[Way], decide: Decision
) -> None:
    """On each way, by each operation, the names that no policy says: the client's, as he sent it,
    or the gateway's own and right, or none."""
    let_through = []

    def strange(way: Way, record: Record) -> list[str]:
        said, wrong = said_by_policy(kube, way), []
        for name, value in MORE_LIES.items():
            found = record.headers.all(name)
            if name.lower() in said or not found:
                continue
            if found == [value]:
                let_through.append(f"{name} on {way}")
            elif not is_own(name, record, walker.user):
                wrong.append(f"{name}: {found}")
        return wrong

    def problem(way: Way) -> str:
        records = [answered(walker, way, one, MORE_LIES) for one in way.questions]
        return "; ".join(wrong for one in records if one for wrong in strange(way, one))

    expect_on_each(all_ways, "the client's header, the gateway's own, or none", told(problem))
    decide(PRESENT if let_through else CLOSED)


@requirement("HD-63")
def test_whose_system_prompt(
    kube: Kube, walker: Walker, all_ways: list[Way], decide: Decision
) -> None:
    """A client's system prompt, before a question for which a decision has its own."""
    routed = [way for way in all_ways if way.model == ROUTER and not way.shut]
    if not routed:
        pytest.skip("no route leads to a router")
    own, asked = conversation.system("You are a pirate."), conversation.user(MATHS)
    exchange = walker.ask(routed[0], messages=[own, asked]).expect_status(200)
    everywhere = (
        one for each in recorders(kube) for one in walker.stack.records_of(each, exchange.id)
    )
    said = only(everywhere, "record").json["messages"]
    theirs = conversation.system(conversation.prompt_of(kube, "math_decision"))
    found = {
        json.dumps([theirs, asked], sort_keys=True): PRESENT,
        json.dumps([theirs, own, asked], sort_keys=True): CLOSED,
        json.dumps([own, theirs, asked], sort_keys=True): CLOSED,
    }
    decide(found.get(json.dumps(said, sort_keys=True), f"{said}"))


def containers(kube: Kube) -> dict[tuple[str, str], int]:
    """How often each container of the cluster has started anew, by its Pod's uid and its name."""
    return {
        (pod["metadata"]["uid"], f"{pod['metadata']['name']}/{one['name']}"): one["restartCount"]
        for pod in kube.all("v1", "Pod")
        for one in (pod.get("status") or {}).get("containerStatuses") or []
    }


def expect_nobody_started_anew(kube: Kube, before: dict[tuple[str, str], int]) -> None:
    now = containers(kube)
    anew = [key[1] for key, count in now.items() if count > before.get(key, count)]
    expect(not anew, BACKEND, "no container that started anew", f"{anew}")


@requirement("HD-64")
def test_large_questions_on_every_way(kube: Kube, walker: Walker, all_ways: list[Way]) -> None:
    """The model has every byte, or none; and then a small question."""
    before, prompt = containers(kube), filled(LARGE).decode()

    def problem(way: Way) -> None:
        messages = [{"role": "user", "content": prompt}]
        exchange = walker.ask(way, messages=messages)
        if exchange.status == 200:
            unchanged.expect_body_kept(exchange, record_of(walker, way, exchange))
        else:
            refused = 400 <= exchange.status < 500 and way.recorder is not None
            exchange.expect(CLIENT, refused, "200 or 4xx", f"{exchange.status}")
            assert way.recorder
            received = walker.stack.records_of(way.recorder, exchange.id)
            exchange.expect(BACKEND, not received, "no request", f"{len(received)}")
        record_of(walker, way, walker.ask(way).expect_status(200))

    expect_on_each(all_ways, "a large question passed on or refused", told(problem), threads=4)
    expect_nobody_started_anew(kube, before)


@requirement("HD-64")
@pytest.mark.parametrize("path", ["tokens", "api-keys", "tiers/lookup"])
def test_large_bodies_at_maas_api(kube: Kube, stack: Stack, path: str) -> None:
    """What it does not know of a body it leaves out, or refuses; and then an ordinary one."""
    before, user = containers(kube), stack.cluster_identity()
    body = {"expiration": "10m", "name": f"large-{uuid.uuid4().hex[:8]}",
            "groups": ["system:authenticated"], "more": filled(LARGE).decode()}  # fmt: skip
    exchange = stack.send("POST", f"/maas-api/v1/{path}", user, json.dumps(body).encode(),
                          {"content-type": "application/json"})  # fmt: skip
    exchange.expect(CLIENT, exchange.status < 500, "no 5xx", f"{exchange.status}")
    stack.mint(user).expect_status(201)
    expect_nobody_started_anew(kube, before)
