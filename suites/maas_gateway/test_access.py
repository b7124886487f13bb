"""The AuthPolicy: who is let in, to which model, and what the backend hears of them."""

import json
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import yaml

from fixtures.evidence import BACKEND, CLIENT, Exchange
from fixtures.evidence.requirements import requirement
from fixtures.evidence.verdicts import Decision
from fixtures.found import only, parsed, parsed_yaml, parts
from fixtures.kube import Kube
from fixtures.objects import existing
from fixtures.stack import TIER_PREFIX, Identity, Provider, Stack
from fixtures.stack.grants import granted
from fixtures.stack.local_models import made_beside
from suites.maas_gateway.models import PREMIUM, PRIVATE, SHARED

UserOf = Callable[[str], Identity]
TIERS = ["free", "premium", "enterprise"]


@requirement("MG-8")
def test_token_of_the_audience_is_taken(stack: Stack, alice: Identity) -> None:
    """The gateway's audience, a known account, a model of its tier."""
    stack.chat(SHARED, alice).expect_status(200).expect_backend_received(SHARED.name)


@requirement("MG-8")
@pytest.mark.parametrize("audience", ["", "https://kubernetes.default.svc", "another-gateway-sa"])
def test_other_tokens_are_refused(stack: Stack, audience: str) -> None:
    """None at all, the API server's audience, another gateway's."""
    namespace = "maas-default-gateway-tier-free"
    user = stack.account_token(namespace, audience) if audience else None
    stack.chat(SHARED, user).expect_status(401).expect_no_backend()


@requirement("MG-8")
@pytest.mark.parametrize("scheme", ["", "Token ", "Basic ", "Bearer: ", "BearerX "])
def test_token_of_another_scheme_is_refused(stack: Stack, alice: Identity, scheme: str) -> None:
    """A good token, and not as a bearer's."""
    sent = {"authorization": f"{scheme}{alice.token.reveal()}"}
    exchange = stack.chat(SHARED, headers=sent).expect_status(401).expect_no_backend()
    stack.chat(SHARED, headers={"x-authorization": sent["authorization"]}).expect_status(401)
    stack.chat(SHARED, alice).expect_status(200)
    challenge = exchange.response.headers.get("www-authenticate", "none")
    exchange.expect(CLIENT, challenge.startswith("Bearer"), "a Bearer challenge", challenge)


@requirement("MG-8")
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/models"),
        ("GET", "/maas-api/v1/models"),
        ("POST", "/maas-api/v1/tokens"),
        ("DELETE", "/maas-api/v1/tokens"),
        ("GET", "/maas-api/v1/api-keys"),
        ("GET", "/maas-api/health"),
    ],
)
def test_maas_api_wants_a_token_too(stack: Stack, method: str, path: str) -> None:
    """On its own routes: none, and one of another audience."""
    other = stack.account_token("maas-default-gateway-tier-free", "another-gateway-sa")
    for user in (None, other):
        stack.send(method, path, user).expect_status(401)


@requirement("MG-9")
@pytest.mark.parametrize(
    ("groups", "status", "tier"),
    [
        (["system:authenticated"], 200, "free"),
        (["system:authenticated", "premium-users"], 200, "premium"),
        (["premium-users", "enterprise-users", "system:authenticated"], 200, "enterprise"),
        (["nobody-knows"], 404, None),
        ([], 400, None),
    ],
    ids=["free", "premium", "highest", "none", "empty"],
)
def test_tier_lookup(kube: Kube, groups: list[str], status: int, tier: str | None) -> None:
    """What the AuthPolicy asks maas-api, asked directly."""
    found, text = kube.post_through_service(
        "opendatahub", "maas-api:8080", "/v1/tiers/lookup", json.dumps({"groups": groups}),
        {"content-type": "application/json"},
    )  # fmt: skip
    assert (found, parsed(text, "the tier's lookup").get("tier")) == (status, tier)


@requirement("MG-10")
@pytest.mark.parametrize(
    ("tier", "model"),
    [("free", SHARED), ("premium", SHARED), ("premium", PREMIUM), ("enterprise", PREMIUM)],
    ids=str,
)
def test_allowed_tier_is_served(stack: Stack, user_of: UserOf, tier: str, model: Provider) -> None:
    """200, by the model that was asked."""
    stack.chat(model, user_of(tier)).expect_status(200).expect_backend_received(model.name)


@requirement("MG-11")
def test_other_tier_is_refused(stack: Stack, alice: Identity) -> None:
    """403 with the reason, and the model does not hear of it; what the user may do elsewhere is no
    right to it, before and after."""
    stack.chat(SHARED, alice).expect_status(200)
    exchange = stack.chat(PREMIUM, alice).expect_status(403).expect_no_backend()
    reason = exchange.response.headers.get("x-ext-auth-reason", "none")
    exchange.expect(CLIENT, reason.startswith("not authorized"), "not authorized: …", reason)
    stack.chat(SHARED, alice).expect_status(200)
    stack.chat(PREMIUM, alice).expect_status(403).expect_no_backend()


@requirement("MG-12")
@pytest.mark.parametrize("tier", TIERS)
def test_model_for_nobody(stack: Stack, user_of: UserOf, tier: str) -> None:
    """No tier has RBAC on it."""
    stack.chat(PRIVATE, user_of(tier)).expect_status(403).expect_no_backend()


@requirement("MG-12")
def test_account_of_no_tier(stack: Stack) -> None:
    """A valid token for the audience is not a right to a model."""
    stranger = stack.account_token("conformance-strangers")
    stack.chat(SHARED, stranger).expect_status(403).expect_no_backend()


@requirement("MG-13")
@pytest.mark.parametrize(
    "name",
    ["no-such-model", "facebook-opt-125m-simulate", "premium", "FACEBOOK-OPT-125M-SIMULATED"],
)
def test_unknown_model_is_not_found(stack: Stack, user_of: UserOf, name: str) -> None:
    """No route, no answer; the beginning of a model's name is no model's."""
    path = f"/llm/{name}/v1/chat/completions"
    stack.send("POST", path, user_of("enterprise"), {}).expect_status(404).expect_no_backend()


@requirement("MG-13")
def test_longer_name_is_not_the_models(stack: Stack, user_of: UserOf) -> None:
    """A name that begins like a model's. Kuadrant's predicate is the beginning of a path, so the
    policy refuses it before the router finds no route: 403 or 404, and nobody receives it."""
    path = "/llm/facebook-opt-125m-simulated-2/v1/chat/completions"
    stack.send("POST", path, user_of("enterprise"), {}).expect_refusal(403, 404)


@requirement("MG-14")
@pytest.mark.parametrize("tier", TIERS)
def test_backend_hears_who_asks(stack: Stack, user_of: UserOf, tier: str) -> None:
    """Account name, tier, and groups as a JSON list: at each model of the tier, by several
    operations and methods, with TLS and without."""
    user = user_of(tier)
    for model in (SHARED,) if tier == "free" else (SHARED, PREMIUM):
        expect_heard(stack.chat(model, user).expect_status(200), model, user, tier)
        expect_heard(stack.models(model, user).expect_status(200), model, user, tier)
        body = {"model": model.model, "prompt": "Hello", "input": "Hello", "max_tokens": 10}
        for method, path, tls in (("POST", "/v1/completions", False), ("HEAD", "/v1/models", True),
                                  ("PUT", "/v1/embeddings", False)):  # fmt: skip
            asked = body if method != "HEAD" else None
            exchange = stack.send(method, model.path + path, user, asked, tls=tls)
            expect_heard(exchange, model, user, tier)


def expect_heard(exchange: Exchange, model: Provider, user: Identity, tier: str) -> None:
    """The model was told who asks, once."""
    _, _, namespace, account = parts(user.username, ":", 4, "a ServiceAccount's name")
    exchange.expect_backend_header(model.name, "X-MaaS-Username", account)
    record = exchange.expect_backend_header(model.name, "X-MaaS-Tier", tier)
    groups = only(record.headers.all("x-maas-group"), "X-MaaS-Group")
    found = sorted(parsed(groups, "X-MaaS-Group"))
    wanted = ["system:authenticated", "system:serviceaccounts"]
    wanted.append(f"system:serviceaccounts:{namespace}")
    exchange.expect(BACKEND, found == wanted, f"the groups {wanted}", f"{found}")


@requirement("MG-14")
def test_backend_hears_of_each_at_once(stack: Stack, user_of: UserOf) -> None:
    """Users of every tier at the same time: nobody is taken for another."""
    users = [(tier, user_of(tier)) for tier in TIERS * 5]
    with ThreadPoolExecutor(len(users)) as threads:
        exchanges = list(threads.map(lambda one: stack.chat(SHARED, one[1]), users))
    for (tier, user), exchange in zip(users, exchanges, strict=True):
        exchange.expect_status(200).expect_backend_header(SHARED.name, "X-MaaS-Tier", tier)
        account = user.username.rpartition(":")[2]
        exchange.expect_backend_header(SHARED.name, "X-MaaS-Username", account)


FORGED = {
    "X-MaaS-Username": "root",
    "X-MaaS-Tier": "enterprise",
    "X-MaaS-Group": '["enterprise-users"]',
}


@requirement("MG-15")
def test_forged_identity_does_not_reach_the_backend(stack: Stack, alice: Identity) -> None:
    """Every header has the token's value, once; sent once, twice, or in lower case."""
    once = list(FORGED.items())
    lower = [(name.lower(), value) for name, value in once]
    for forged in (once, lower, once + lower):
        exchange = stack.chat(SHARED, alice, headers=forged).expect_status(200)
        exchange.expect_backend_header(SHARED.name, "X-MaaS-Tier", "free")
        account = alice.username.rpartition(":")[2]
        record = exchange.expect_backend_header(SHARED.name, "X-MaaS-Username", account)
        groups = record.headers.all("x-maas-group")
        exchange.expect(BACKEND, len(groups) == 1, "X-MaaS-Group, once", f"{groups}")
        for value in ("root", "enterprise"):
            exchange.expect_nowhere(record, value, f"the forged {value}")


@requirement("MG-15")
def test_forged_identity_does_not_reach_maas_api(stack: Stack) -> None:
    """The minted token is the caller's own, of the caller's own tier."""
    user = stack.cluster_identity()
    body = {"expiration": "10m"}
    answer = stack.send("POST", "/maas-api/v1/tokens", user, body, FORGED).expect_status(201)
    account = stack.account_of(answer.json["token"])
    assert account[0] == "maas-default-gateway-tier-free"
    assert account[1].startswith("system-serviceaccount-conformance-users")


@requirement("MG-16")
@pytest.mark.parametrize("tier", TIERS)
def test_account_inherits_the_tier_of_its_namespace(
    stack: Stack, user_of: UserOf, tier: str
) -> None:
    """As the gateway sees it: the tier that the backend is told."""
    exchange = stack.chat(SHARED, user_of(tier))
    exchange.expect_backend_header(SHARED.name, "X-MaaS-Tier", tier)


@requirement("MG-17")
@pytest.mark.as_deployed("ConfigMap opendatahub/tier-to-group-mapping")
@pytest.mark.parametrize("tier", ["premium", "enterprise"])
def test_tier_by_group(stack: Stack, tier: str) -> None:
    """tier-to-group-mapping gives the group of these users that tier."""
    user = stack.cluster_identity(f"conformance-{tier}-users")
    token = stack.mint(user).expect_status(201).json["token"]
    assert stack.account_of(token)[0] == f"maas-default-gateway-tier-{tier}"


@requirement("MG-57")
@pytest.mark.parametrize(
    "group",
    ["premium-user", "premium-users-two", "Premium-Users", "premium", "enterprise-users,", "",
     "x" * 4000, "přátelé", "free"],
)  # fmt: skip
def test_group_that_is_no_tiers(kube: Kube, group: str) -> None:
    """Names that begin like a tier's, differ in case, or are odd: not found, and no error."""
    found, text = kube.post_through_service(
        "opendatahub", "maas-api:8080", "/v1/tiers/lookup", json.dumps({"groups": [group]}),
        {"content-type": "application/json"},
    )  # fmt: skip
    assert (found, parsed(text, "the tier's lookup").get("tier")) == (404, None)


@requirement("MG-57")
@pytest.mark.as_deployed("ConfigMap opendatahub/tier-to-group-mapping")
def test_namespace_that_begins_like_a_tiers(stack: Stack) -> None:
    """Its accounts' group begins like one of the premium tier: they are free users."""
    user = stack.cluster_identity("conformance-premium-users-two")
    token = stack.mint(user).expect_status(201).json["token"]
    assert stack.account_of(token)[0] == "maas-default-gateway-tier-free"


@pytest.fixture
def mapped(kube: Kube) -> Iterator[Callable[[str, str], None]]:
    """`mapped(group, tier)` gives a group a tier in tier-to-group-mapping, until the test ends."""
    mapping = existing(kube, "v1", "ConfigMap", "opendatahub", "tier-to-group-mapping")
    before = mapping["data"]["tiers"]

    def store(tiers: str) -> None:
        metadata = {"name": "tier-to-group-mapping", "namespace": "opendatahub"}
        data = {"tiers": tiers}
        kube.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})

    def give(group: str, tier: str) -> None:
        tiers = parsed_yaml(before, "the tiers")
        for one in tiers:
            one["groups"] += [group] if one["name"] == tier else []
        store(yaml.safe_dump(tiers))

    yield give
    store(before)


@requirement("MG-53")
def test_gateway_asks_for_the_tier(
    kube: Kube, stack: Stack, mapped: Callable[[str, str], None]
) -> None:
    """A namespace that nobody has heard of: its group is mapped, then mapped otherwise. Each time
    another account, because the gateway remembers what it was told of one."""
    namespace = f"conformance-{uuid.uuid4().hex[:8]}"
    for tier in ("premium", "enterprise"):
        mapped(f"system:serviceaccounts:{namespace}", tier)
        user = stack.account_token(namespace)
        with granted(kube, user, SHARED.namespace, [name_of(SHARED)]):
            exchange = stack.chat(SHARED, user).expect_status(200)
        exchange.expect_backend_header(SHARED.name, "X-MaaS-Tier", tier)
    kube.delete("v1", "Namespace", "", namespace)


@requirement("MG-54")
def test_what_decides_the_tier(kube: Kube, stack: Stack, decide: Decision) -> None:
    """An account of a namespace that is no tier's, and of a group that is the free tier's as
    everybody is: the gateway's word for its tier, and whether it is limited by it. Beside one of
    the free tier's namespace, who has a tier either way. Authorino's word for none is `<nil>`."""
    namespace = f"conformance-{uuid.uuid4().hex[:8]}"
    user = stack.account_token(namespace)
    with granted(kube, user, SHARED.namespace, [name_of(SHARED)]):
        exchanges = [stack.models(SHARED, user) for _ in range(6)]
    kube.delete("v1", "Namespace", "", namespace)
    member = stack.models(SHARED, stack.account_token(f"{TIER_PREFIX}free"))
    tiers = [
        "".join(one.expect_backend_received(SHARED.name).headers.all("x-maas-tier"))
        for one in (member, exchanges[0])
    ]
    statuses = tuple(exchange.status for exchange in exchanges)
    found: dict[tuple[object, ...], str] = {
        ("free", "free", (200,) * 5 + (429,)): "by_group",
        ("free", "", (200,) * 6): "by_namespace",
        ("free", "<nil>", (200,) * 6): "by_namespace",
    }
    seen = f"tier of a member {tiers[0]!r}, of another {tiers[1]!r}, {list(statuses)}"
    decide(found.get((*tiers, statuses), seen))


def name_of(model: Provider) -> str:
    """The LLMInferenceService's name."""
    return model.path.rpartition("/")[2]


@requirement("MG-18")
@pytest.mark.as_deployed("ConfigMap opendatahub/tier-to-group-mapping")
def test_highest_level_wins(stack: Stack) -> None:
    """In groups of free, premium and enterprise."""
    user = stack.cluster_identity("conformance-double-users")
    token = stack.mint(user).expect_status(201).json["token"]
    assert stack.account_of(token)[0] == "maas-default-gateway-tier-enterprise"


@requirement("MG-36")
@pytest.mark.parametrize(
    ("tier", "visible"),
    [("free", [SHARED]), ("premium", [SHARED, PREMIUM]), ("enterprise", [SHARED, PREMIUM])],
    ids=TIERS,
)
@pytest.mark.parametrize("path", ["/v1/models", "/maas-api/v1/models"])
def test_listing_shows_what_the_caller_may_use(
    stack: Stack, user_of: UserOf, tier: str, visible: list[Provider], path: str
) -> None:
    """The local entries, which have a url, are exactly the caller's, under both of its paths, and
    right after another has seen his own."""
    for other in TIERS:
        if other != tier:
            stack.send("GET", path, user_of(other)).expect_status(200)
    exchange = stack.send("GET", path, user_of(tier)).expect_status(200)
    listed = [entry["id"] for entry in exchange.listed() if "url" in entry]
    found = sorted(model for model in listed if not made_beside(model))
    expected = sorted(model.model for model in visible)
    exchange.expect(CLIENT, found == expected, f"local models {expected}", f"{found}")
