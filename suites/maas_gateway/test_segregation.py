"""Opt-in: which gateway serves which model, and that one gateway's trouble is its own."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from fixtures.clusters import Access
from fixtures.clusters.existing.shared import kube_of
from fixtures.evidence import CLIENT, ID_HEADER, expect
from fixtures.evidence.requirements import requirement
from fixtures.evidence.verdicts import Decision
from fixtures.kube import Kube
from fixtures.objects import existing
from fixtures.stack import CHAT, TIER_PREFIX, WISH_HEADER, Identity, Provider, Stack
from fixtures.stack.gateways import client, endpoint
from fixtures.stack.grants import granted
from fixtures.stack.local_models import local_model
from fixtures.waiting import DEPLOYED_SECONDS, ENFORCED_SECONDS, IN_A_ROW, until
from manifests import FOLDER
from suites.maas_gateway.models import ALL, PREMIUM, SHARED, STANDARD

UserOf = Callable[[str], Identity]
Object = dict[str, Any]
GATEWAY_API, KUADRANT = "gateway.networking.k8s.io/v1", "kuadrant.io/v1"
MAAS = ("openshift-ingress", "maas-default-gateway")
DEFAULT = ("kserve", "kserve-ingress-gateway")
DEMO = FOLDER / "maas-gateway" / "overlays" / "with-demo"
HELLO = {"model": STANDARD.model, "messages": [{"role": "user", "content": "Hello"}]}


@requirement("MG-33")
def test_opted_in_model_is_behind_the_policies(
    stack: Stack, user_of: UserOf, default_gateway: httpx.Client
) -> None:
    """MaaS asks for a token; the default gateway does not know the model."""
    stack.chat(PREMIUM).expect_status(401).expect_no_backend()
    stack.chat(PREMIUM, user_of("premium")).expect_status(200)
    answer = default_gateway.get(f"{PREMIUM.path}/v1/models")
    assert answer.status_code == 404


@pytest.fixture
def login(stack: Stack) -> dict[str, str]:
    """What a user of the cluster would send to a gateway that asks who it is: no MaaS token."""
    return {"authorization": f"Bearer {stack.cluster_identity().token.reveal()}"}


@requirement("MG-34")
def test_standard_model_has_no_policies(
    stack: Stack, default_gateway: httpx.Client, login: dict[str, str]
) -> None:
    """No MaaS token, and far more requests and tokens than any tier has."""
    request_id = f"conformance-{uuid.uuid4()}"
    url, wish = f"{STANDARD.path}{CHAT}", {WISH_HEADER: '{"total_tokens": 200000}'}
    headers = {ID_HEADER: request_id, **wish, **login}
    statuses = {
        default_gateway.post(url, json=HELLO, headers=headers).status_code for _ in range(60)
    }
    assert statuses == {200}
    received = [record.backend for record in stack.records(request_id)]
    assert received == [STANDARD.name] * 60


@requirement("MG-43")
def test_whether_the_default_gateway_authenticates(
    stack: Stack, default_gateway: httpx.Client, login: dict[str, str], decide: Decision
) -> None:
    """The same request without a token, with one that is none, and with a login."""
    url, garbage = f"{STANDARD.path}/v1/models", {"authorization": "Bearer garbage"}
    assert default_gateway.get(url, headers=login).status_code == 200
    seen = tuple(default_gateway.get(url, headers=h).status_code for h in ({}, garbage))
    found: dict[tuple[int, ...], str] = {
        (200, 200): "none",
        (401, 401): "required",
        (403, 401): "required",
    }
    decide(found.get(seen, f"{seen}"))


@requirement("MG-35")
@pytest.mark.parametrize("tier", ["free", "premium", "enterprise"])
def test_standard_model_is_not_on_maas(stack: Stack, user_of: UserOf, tier: str) -> None:
    """The MaaS gateway has no route to it."""
    stack.chat(STANDARD, user_of(tier)).expect_status(404).expect_no_backend()


# -- two teams, and a model that moves ------------------------------------------------------------


@dataclass(frozen=True)
class Team:
    """A gateway of a team's own, with the team's model behind it."""

    gateway: httpx.Client
    model: Provider

    def ask(self, model: Provider) -> tuple[int, str]:
        """(status, request id) of a question to a model at this team's gateway."""
        request_id = f"conformance-{uuid.uuid4()}"
        answer = self.gateway.get(f"{model.path}/v1/models", headers={ID_HEADER: request_id})
        return answer.status_code, request_id


@contextmanager
def team(kube: Kube, access: Access) -> Iterator[Team]:
    """A team with its gateway in a namespace of its own, both up."""
    namespace = f"conformance-{uuid.uuid4().hex[:8]}"
    listener = {"name": "http", "port": 80, "protocol": "HTTP",
                "allowedRoutes": {"namespaces": {"from": "All"}}}  # fmt: skip
    gateway = {
        "apiVersion": GATEWAY_API,
        "kind": "Gateway",
        "metadata": {"name": "team", "namespace": namespace},
        "spec": {"gatewayClassName": "openshift-default", "listeners": [listener]},
    }
    kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    try:
        kube.wait_done([kube.apply(gateway)])
        ref = {"name": "team", "namespace": namespace}
        with local_model(kube, SHARED.namespace, gateways=[ref], only=True) as model:
            target = endpoint(kube, access, namespace, "team", "http")
            with client(target, access) as http:
                yield Team(http, model)
    finally:
        kube.delete("v1", "Namespace", "", namespace)


@requirement("MG-46")
def test_two_teams(kube: Kube, access: Access, stack: Stack, user_of: UserOf) -> None:
    """Each gateway serves its own team's model, and knows neither the other's nor MaaS'."""
    with ExitStack() as teams:
        red, blue = (teams.enter_context(team(kube, access)) for _ in range(2))
        observer = Stack(kube, access, [red.model, blue.model])
        teams.callback(observer.close)
        for one in (red, blue):
            until("the team's route", lambda one=one: one.ask(one.model)[0],  # type: ignore[misc]
                  lambda seen: seen == 200, ENFORCED_SECONDS, in_a_row=IN_A_ROW)  # fmt: skip
        for one, other in ((red, blue), (blue, red)) * 3:
            status, request_id = one.ask(one.model)
            received = [record.backend for record in observer.records(request_id)]
            assert (status, received) == (200, [one.model.name])
            assert [one.ask(model)[0] for model in (other.model, SHARED)] == [404, 404]
            assert stack.chat(one.model, user_of("enterprise")).status == 404


@requirement("MG-47")
def test_model_moves_to_maas(
    kube: Kube, stack: Stack, user_of: UserOf, default_gateway: httpx.Client
) -> None:
    """Without a pause in its Pod, nobody gets an error of the gateways' meanwhile, and who has been
    asked for a token once is asked for one from then on."""
    user = user_of("enterprise")
    with (
        local_model(kube, SHARED.namespace, only=True) as model,
        granted(kube, user, model.namespace, [model.name]),
    ):
        pods = pods_of(kube, model)
        seen: list[tuple[int, int, int]] = []

        def ask() -> tuple[int, int, int]:
            """(at the default gateway, at MaaS without a token, at MaaS with one)."""
            plain = default_gateway.get(f"{model.path}/v1/models").status_code
            found = (plain, stack.models(model).status, stack.models(model, user).status)
            seen.append(found)
            return found

        until("the default gateway to serve it", ask, lambda found: found == (200, 404, 404),
              ENFORCED_SECONDS, every=0.3)  # fmt: skip
        seen.clear()
        gateway = {"name": MAAS[1], "namespace": MAAS[0]}
        kube.merge("serving.kserve.io/v1alpha1", "LLMInferenceService", model.namespace, model.name,
                   {"spec": {"router": {"gateway": {"refs": [gateway]}}}})  # fmt: skip
        until("MaaS to serve it", ask, lambda found: found == (404, 401, 200), ENFORCED_SECONDS,
              in_a_row=3, every=0.3)  # fmt: skip
        errors = [found for found in seen if max(found) >= 500]
        expect(errors == [], CLIENT, "no 5xx of the default gateway, or of MaaS'", f"{errors}")
        strangers = [at_maas for _, at_maas, _ in seen]
        once_refused = strangers[strangers.index(401) :]
        expect(set(once_refused) == {401}, CLIENT,
               "401 for ever for who has no token, once it was (before that, HD-82)",
               f"{strangers}")  # fmt: skip
        assert pods_of(kube, model) == pods


def pods_of(kube: Kube, model: Provider) -> set[str]:
    """The uids of a model's Pods."""
    labels = {"app.kubernetes.io/name": model.name}
    return {pod["metadata"]["uid"] for pod in kube.all("v1", "Pod", model.namespace, labels)}


# -- trouble --------------------------------------------------------------------------------------


@dataclass
class Pair:
    """The MaaS gateway and the default one, in a cluster that the test ruins."""

    stack: Stack
    default: httpx.Client
    user: Identity

    @property
    def kube(self) -> Kube:
        return self.stack.kube

    def maas_serves(self) -> None:
        """With its policies: a user is let in, nobody is not, and a free user is limited."""
        self.stack.models(SHARED, self.user).expect_status(200)
        self.stack.models(SHARED).expect_status(401)
        free = self.stack.account_token(f"{TIER_PREFIX}free")
        statuses = [self.stack.models(SHARED, free).status for _ in range(6)]
        assert statuses == [200] * 5 + [429]

    def default_serves(self) -> None:
        assert self.default.get(f"{STANDARD.path}/v1/models").status_code == 200


@pytest.fixture
def pair(disposable: Callable[[Path], Access]) -> Iterator[Pair]:
    """Both gateways with a model behind each, seen serving."""
    access = disposable(DEMO)
    kube = kube_of(access)
    stack = Stack(kube, access, ALL)
    stack.wait_in_effect([SHARED])
    with client(endpoint(kube, access, *DEFAULT, "http"), access) as default:
        made = Pair(stack, default, stack.account_token(f"{TIER_PREFIX}enterprise"))
        made.maas_serves()
        made.default_serves()
        yield made
    stack.close()


def scaled(kube: Kube, gateway: tuple[str, str], replicas: int) -> None:
    """Give a gateway so many Envoys, and wait for it."""
    namespace, name = gateway
    deployment = f"{name}-openshift-default"
    kube.scale(namespace, deployment, replicas)
    labels = {"gateway.networking.k8s.io/gateway-name": name}

    def ready() -> tuple[int, int]:
        found = existing(kube, "apps/v1", "Deployment", namespace, deployment)["status"]
        return len(kube.all("v1", "Pod", namespace, labels)), found.get("readyReplicas", 0)

    until(f"{replicas} Envoys of {name}", ready, lambda seen: seen == (replicas, replicas),
          DEPLOYED_SECONDS)  # fmt: skip


def refuses(ask: Callable[[], object]) -> None:
    """Nobody answers any more."""
    with pytest.raises(httpx.TransportError):
        ask()


@requirement("MG-37")
@pytest.mark.disposable
@pytest.mark.capability("disposable_clusters")
def test_gateway_without_its_envoy(pair: Pair) -> None:
    """First MaaS' own is gone, then the default gateway's; each time the other one serves."""
    scaled(pair.kube, MAAS, 0)
    refuses(lambda: pair.stack.models(SHARED))
    pair.default_serves()
    scaled(pair.kube, MAAS, 1)
    pair.stack.wait_in_effect([SHARED])
    scaled(pair.kube, DEFAULT, 0)
    refuses(lambda: pair.default.get(f"{STANDARD.path}/v1/models"))
    pair.maas_serves()
    scaled(pair.kube, DEFAULT, 1)


def until_not_enforced(kube: Kube, namespace: str, name: str) -> None:
    """As upstream shows a policy whose expressions are none: Accepted, and not Enforced."""

    def conditions_of() -> dict[str, str]:
        found = existing(kube, KUADRANT, "RateLimitPolicy", namespace, name)
        return {c["type"]: c["status"] for c in found.get("status", {}).get("conditions", [])}

    wanted = {"Accepted": "True", "Enforced": "False"}
    until(f"{name} not to be enforced", conditions_of, lambda seen: seen == wanted,
          ENFORCED_SECONDS)  # fmt: skip


@requirement("MG-37")
@pytest.mark.disposable
@pytest.mark.capability("disposable_clusters")
def test_gateway_with_an_invalid_policy(pair: Pair) -> None:
    """First the default gateway gets a policy that does not compile, then MaaS' own stops to."""
    broken = {"rates": [{"limit": 1, "window": "1m"}], "when": [{"predicate": "request.=="}]}
    namespace, name = DEFAULT
    policy = {
        "apiVersion": KUADRANT,
        "kind": "RateLimitPolicy",
        "metadata": {"name": "broken", "namespace": namespace},
        "spec": {
            "targetRef": {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": name},
            "limits": {"x": broken},
        },
    }
    pair.kube.apply(policy)
    until_not_enforced(pair.kube, namespace, "broken")
    pair.maas_serves()
    pair.default_serves()
    pair.kube.delete(KUADRANT, "RateLimitPolicy", namespace, "broken")
    pair.kube.merge(KUADRANT, "RateLimitPolicy", MAAS[0], "gateway-rate-limits",
                    {"spec": {"limits": {"free": broken}}})  # fmt: skip
    until_not_enforced(pair.kube, MAAS[0], "gateway-rate-limits")
    pair.default_serves()
    pair.stack.models(SHARED).expect_status(401)  # the other policies stay in force
