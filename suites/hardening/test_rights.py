"""Whose right is a right to a model: that of who has it, to that model, and to use it."""

from __future__ import annotations

import uuid
from contextlib import ExitStack

import pytest

from fixtures.evidence import BACKEND, MAAS, Exchange, expect
from fixtures.evidence.requirements import requirement
from fixtures.kube import Kube
from fixtures.stack import AUDIENCE, CHAT, TIER_PREFIX, Identity, Stack
from fixtures.stack.grants import granted
from fixtures.stack.surface import of_a_test
from suites.hardening.routes import MODEL, model_routes
from suites.maas_gateway.models import PREMIUM, SHARED

STRANGERS, ELSEWHERE = "conformance-strangers", "conformance-elsewhere"
VERBS = ["get", "list", "watch", "create", "update", "patch", "delete", "use", "POST", "head"]
# What a right says that is not quite the right to use a model, beside its namespace.
NEARLY: dict[str, dict[str, list[str]]] = {
    "to-do-else": {"verbs": VERBS},
    "to-another-kind": {"resources": ["inferenceservices", "llminferenceserviceconfigs", "models"]},
    "to-a-part": {"resources": ["llminferenceservices/status", "llminferenceservices/scale"]},
    "of-another-group": {"apiGroups": ["", "apps", "serving.knative.dev"]},
}
LONG = "/v1/models?x=" + "a" * 600


def models_by_namespace(kube: Kube) -> dict[str, list[str]]:
    """Those that the MaaS gateway has a route to."""
    paths, found = {one.path for one in model_routes(kube)}, dict[str, list[str]]()
    for model in kube.all(*MODEL):
        namespace, name = model["metadata"]["namespace"], model["metadata"]["name"]
        if f"/{namespace}/{name}" in paths and not of_a_test(model):
            found.setdefault(namespace, []).append(name)
    return found


def names_beside(names: list[str]) -> list[str]:
    """Which begin like these, end like these, or are these in capitals, and are none of them."""
    beside = [one for name in names for one in (name[:-1], name.rpartition("-")[0], f"{name}-2",
                                                 name[1:], name.upper(), "*")]  # fmt: skip
    return sorted(set(beside) - {*names, ""})


def let_in(stack: Stack, user: Identity, models: dict[str, list[str]]) -> list[str]:
    """The models that a user may use by a listing or a chat; each refusal is 403."""
    found = []
    body = {"model": "any", "messages": [{"role": "user", "content": "Hello"}]}
    for path in [f"/{namespace}/{name}" for namespace, names in models.items() for name in names]:
        for exchange in (
            stack.send("GET", f"{path}/v1/models", user),
            stack.send("POST", path + CHAT, user, body),
        ):
            if exchange.status != 403 or exchange.records:
                found.append(f"{exchange.sent_path}: {exchange.status}")
    return found


@requirement("HD-110")
def test_a_right_is_to_use_that_model(kube: Kube, stack: Stack) -> None:
    """Who has nearly the right to each model, in every way at once, may use none; with it, each."""
    models, user = models_by_namespace(kube), stack.account_token(STRANGERS)
    expect(bool(models), MAAS, "routes to models", "none")
    kube.namespace(ELSEWHERE)
    with ExitStack() as rights:
        for namespace, names in models.items():
            rights.enter_context(granted(kube, user, ELSEWHERE, names))
            rights.enter_context(granted(kube, user, namespace, names_beside(names)))
            for other in NEARLY.values():
                rights.enter_context(granted(kube, user, namespace, names, **other))
        found = let_in(stack, user, models)
        expect(not found, MAAS, "403 for each model, and nothing at it", "; ".join(found))
        for namespace, names in models.items():
            rights.enter_context(granted(kube, user, namespace, names))
            for name in names:
                stack.send("GET", f"/{namespace}/{name}/v1/models", user).expect_status(200)


def named(kube: Kube, stack: Stack, tier: str, name: str) -> Identity:
    """A user of a tier by the name of his account."""
    namespace = f"{TIER_PREFIX}{tier}"
    kube.service_account(namespace, name)
    username = f"system:serviceaccount:{namespace}:{name}"
    return Identity(kube.token(namespace, name, [AUDIENCE]), username)


# Of a premium user's account and a free one's: what each has behind the same name, and who asks
# first.
ALIKE = {
    "namesakes": ("", "", "premium"),
    "namesakes-free-first": ("", "", "free"),
    "longer": ("", "-x", "premium"),
    "shorter": ("-x", "", "premium"),
}


def expect_told(exchange: Exchange, tier: str, user: Identity) -> None:
    """The model that every tier may use hears of the user's own tier and name."""
    exchange.expect_status(200).expect_backend_header(SHARED.name, "X-MaaS-Tier", tier)
    account = user.username.rpartition(":")[2]
    record = exchange.expect_backend_header(SHARED.name, "X-MaaS-Username", account)
    groups = "".join(record.headers.all("x-maas-group"))
    exchange.expect(BACKEND, f"{TIER_PREFIX}{tier}" in groups, f"the {tier} tier's group", groups)


@requirement("HD-111")
@pytest.mark.parametrize(("premium", "free", "first"), ALIKE.values(), ids=ALIKE)
def test_what_is_remembered_is_of_one_user(
    kube: Kube, stack: Stack, premium: str, free: str, first: str
) -> None:
    """One after the other, by the same questions: his own tier, and his own rights."""
    name = f"user-{uuid.uuid4().hex[:12]}"
    users = {
        tier: named(kube, stack, tier, name + more)
        for tier, more in (("premium", premium), ("free", free))
    }
    for tier in (first, *({*users} - {first})):
        user = users[tier]
        expect_told(stack.chat(SHARED, user), tier, user)
        for exchange in (
            stack.chat(PREMIUM, user),
            stack.send("GET", PREMIUM.path + LONG, user),
            stack.models(PREMIUM, user),
        ):
            if tier == "premium":
                exchange.expect_status(200).expect_backend_received(PREMIUM.name)
            else:
                exchange.expect_status(403).expect_no_backend()
