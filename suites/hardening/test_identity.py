"""Who asks is said by the gateway, from one token in one place."""

import functools

import pytest

from fixtures.clusters import Access
from fixtures.evidence import BACKEND, CLIENT, expect
from fixtures.evidence.requirements import requirement
from fixtures.evidence.verdicts import CLOSED, PRESENT, Decision
from fixtures.kube import Kube
from fixtures.secrets import Secret
from fixtures.stack import TIER_PREFIX, Identity, Provider, Sent, Stack
from fixtures.waiting import API_CACHE_SECONDS, until
from suites.hardening.wire import Wire
from suites.mixed_providers.providers import LOCAL

FORGED = {"X-MaaS-Username": "root", "X-MaaS-Tier": "enterprise", "X-MaaS-Group": '["admins"]'}


def spellings(forged: dict[str, str]) -> dict[str, Sent]:
    """Ways to send these headers."""
    return {
        "other-letters": [(name.swapcase(), value) for name, value in forged.items()],
        "empty": [(name, "") for name in forged],
        "thrice": [pair for pair in forged.items() for _ in range(3)],
        "empty-first": [p for name, value in forged.items() for p in ((name, ""), (name, value))],
    }


SPELLINGS = spellings(FORGED)


@requirement("HD-1")
@pytest.mark.parametrize("sent", SPELLINGS.values(), ids=SPELLINGS)
def test_identity_headers_are_the_gateways(stack: Stack, alice: Identity, sent: Sent) -> None:
    exchange = stack.chat(LOCAL, alice, headers=sent).expect_status(200)
    account = alice.username.rpartition(":")[2]
    exchange.expect_backend_header(LOCAL.name, "X-MaaS-Username", account)
    record = exchange.expect_backend_header(LOCAL.name, "X-MaaS-Tier", "free")
    groups = record.headers.all("x-maas-group")
    exchange.expect(BACKEND, len(groups) == 1 and "system:" in groups[0], "his own groups", groups)
    for value in ("root", "enterprise", "admins"):
        exchange.expect_nowhere(record, value, f"the forged {value}")


@requirement("HD-1")
def test_identity_headers_after_the_body(
    kube: Kube, access: Access, stack: Stack, alice: Identity
) -> None:
    """The same names as trailers of a chunked request."""
    wire = Wire(kube, access, stack, alice, LOCAL)
    body = wire.body()
    trailers = "".join(f"{name}: {value}|" for name, value in FORGED.items())
    rest = f"Transfer-Encoding: chunked||{len(body):x}|{body}|0|{trailers}|"
    status, received = wire.send(rest)
    seen = [record.headers.all("x-maas-tier") for record in received]
    expect((status, seen) == (200, [["free"]]), BACKEND, "X-MaaS-Tier: free, once", f"{seen}")


@requirement("HD-21")
@pytest.mark.parametrize("sent", SPELLINGS.values(), ids=SPELLINGS)
def test_identity_at_maas_api_is_the_gateways(stack: Stack, sent: Sent) -> None:
    """A token goes to the account and tier of who asks, whoever the client says it is."""
    user = stack.cluster_identity()
    own = stack.account_of(stack.mint(user).expect_status(201).json["token"])
    body = {"expiration": "10m"}
    forged = stack.send("POST", "/maas-api/v1/tokens", user, body, sent).expect_status(201)
    found = stack.account_of(forged.json["token"])
    forged.expect(CLIENT, found == own, f"a token of {own}", f"a token of {found}")
    forged.expect(CLIENT, own[0] == f"{TIER_PREFIX}free", "of the free tier", own[0])


@requirement("HD-5")
def test_scheme_in_other_letters(
    stack: Stack, alice: Identity, external: Provider, decide: Decision
) -> None:
    found = set()
    for scheme in ("bearer", "BEARER"):
        sent = {"authorization": f"{scheme} {alice.token.reveal()}"}
        found.add(stack.send("GET", f"{external.path}/v1/models", headers=sent).status)
    outcomes = {frozenset({200}): "taken", frozenset({401}): "refused"}
    decide(outcomes.get(frozenset(found), f"statuses {found}"))


@requirement("HD-6")
def test_underscores(stack: Stack, alice: Identity, decide: Decision) -> None:
    sent = {"X_MaaS_Tier": "enterprise"}
    exchange = stack.chat(LOCAL, alice, headers=sent)
    if exchange.status == 400:  # Envoy's REJECT_REQUEST
        exchange.expect_no_backend()
        decide("closed")
        return
    record = exchange.expect_status(200).expect_backend_header(LOCAL.name, "X-MaaS-Tier", "free")
    survived = record.headers.all("x_maas_tier")
    decide("present" if survived == ["enterprise"] else "closed" if not survived else "changed")


TOKENS = "/maas-api/v1/tokens"
# Each half of upstream's race goes wrong in about half of the tries; Authorino lets ten requests at
# once to maas-api (HD-35), two of each try.
TRIES = 4


@requirement("HD-47")
def test_revoking_at_once(kube: Kube, stack: Stack, external: Provider, decide: Decision) -> None:
    """Users whom nobody has seen before revoke the first token as soon as they have it; and, when
    all had their turn, mint one as soon as they have revoked again."""
    users = [stack.cluster_identity() for _ in range(TRIES)]
    first = []
    for user in users:
        first.append(Secret(stack.mint(user).expect_status(201).json["token"]))
        stack.send("DELETE", TOKENS, user).expect_status(204)
    kept = [token for token in first if has_account(kube, stack, token)]
    for token in first:
        wanted = 200 if token in kept else 401
        asked = functools.partial(stack.models, external, Identity(token))
        until(
            f"a token to get {wanted}",
            lambda: asked().status,
            lambda seen: seen == wanted,
            API_CACHE_SECONDS,
        )
    second = []
    for user in users:
        stack.send("DELETE", TOKENS, user).expect_status(204)
        second.append(stack.mint(user))
    for minted in (one for one in second if one.status != 500):
        token = Secret(minted.expect_status(201).json["token"])
        stack.models(external, Identity(token)).expect_status(200)
    late = kept or any(one.status == 500 for one in second)
    decide(PRESENT if late else CLOSED)


def has_account(kube: Kube, stack: Stack, token: Secret) -> bool:
    """Whether the account that a token names is still that one: then it is as good as ever."""
    namespace, name = stack.account_of(token.reveal())
    account = kube.get("v1", "ServiceAccount", namespace, name)
    uid = stack.claims(token.reveal())["kubernetes.io"]["serviceaccount"]["uid"]
    return account is not None and account["metadata"]["uid"] == uid
