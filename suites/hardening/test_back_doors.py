"""Ways around the MaaS gateway, and what its users may do beside asking models."""

from __future__ import annotations

import json
import ssl
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from fixtures.clusters import Access
from fixtures.evidence import CLIENT, MAAS, expect
from fixtures.evidence.requirements import requirement
from fixtures.kube import Kube
from fixtures.secrets import Secret
from fixtures.stack import TIER_PREFIX, Stack
from fixtures.stack.bearer import Bearer
from fixtures.stack.gateways import MAAS_GATEWAY, endpoint
from fixtures.stack.leading import Target, key_of, name_of, services_of
from fixtures.stack.surface import entrances, of_a_test
from suites.dual_gateway.test_doors import BY_GATEWAY, BY_THEMSELVES
from suites.hardening.test_identity import has_account
from suites.hardening.test_keys import API_KEYS
from suites.hardening.wire import connect

Object = dict[str, Any]
TIERS = ("free", "premium", "enterprise")
WITHIN = ("ClusterIP", "ExternalName")


def behind(kube: Kube) -> list[Object]:
    """Pods that the MaaS gateway's routes lead to, but for those of other gateways, which are
    public by their nature."""
    named = {
        (one.route.partition("/")[0], name)
        for one in entrances(kube)
        if one.gateway == MAAS_GATEWAY
        for name in one.backends
    }
    selectors = [
        (one["metadata"]["namespace"], one["spec"]["selector"])
        for one in kube.all("v1", "Service")
        if key_of(one) in named and one["spec"].get("selector") and not of_a_gateway(one)
    ]
    return [
        pod for namespace, labels in selectors for pod in kube.all("v1", "Pod", namespace, labels)
    ]


def of_a_gateway(obj: Object) -> bool:
    return "Gateway" in [ref["kind"] for ref in obj["metadata"].get("ownerReferences") or []]


def routes(kube: Kube) -> Iterator[tuple[Object, bool]]:
    """What can lead to a Service, and whether it hangs on the MaaS gateway alone."""
    for version, kind in [*BY_GATEWAY, *BY_THEMSELVES]:
        for one in kube.all(version, kind) if kube.serves(version, kind) else []:
            parents = [
                (ref.get("namespace", one["metadata"]["namespace"]), ref["name"])
                for ref in one["spec"].get("parentRefs") or []
            ]
            if not of_a_test(one):
                yield one, bool(parents) and all(parent == MAAS_GATEWAY for parent in parents)


@requirement("HD-107")
def test_what_is_behind_has_no_other_way_in(kube: Kube) -> None:
    """maas-api, models and the router: no Service of their Pods is public, and no route of another
    gateway leads there, by whatever name."""
    pods = behind(kube)
    services = [one for one in services_of(kube, pods) if not of_a_test(one)]
    expect(bool(services), MAAS, "Services behind the MaaS gateway", "none")
    shown = [
        f"{name_of(one)}: {one['spec'].get('type')}"
        for one in services
        if one["spec"].get("type", "ClusterIP") not in WITHIN or one["spec"].get("externalIPs")
    ]
    target = Target.of(services).through(kube, pods)
    shown += [name_of(one) for one, is_ours in routes(kube)
              if not is_ours and target.is_named_by(one)]  # fmt: skip
    expect(not shown, MAAS, "no other way to what is behind it", "; ".join(shown))


# What nobody may do who uses models: read what is hidden, become another, alter what rules him.
HIDDEN = {"secrets", "serviceaccounts/token", "pods/exec", "pods/attach", "pods/portforward",
          "pods/ephemeralcontainers", "pods/log", "*",
          # the API server's own way to what is behind the gateway
          "pods/proxy", "services/proxy", "nodes/proxy"}  # fmt: skip
RULING = {"", "*", "apps", "batch", "autoscaling", "policy", "rbac.authorization.k8s.io",
          "admissionregistration.k8s.io", "apiextensions.k8s.io", "certificates.k8s.io",
          "networking.k8s.io", "gateway.networking.k8s.io", "route.openshift.io",
          "extensions.istio.io", "networking.istio.io", "security.istio.io", "kuadrant.io",
          "authorino.kuadrant.io", "operator.authorino.kuadrant.io", "limitador.kuadrant.io",
          "serving.kserve.io", "ainetworking.prototype.x-k8s.io"}  # fmt: skip
ALTERING = {"create", "update", "patch", "delete", "deletecollection", "*"}
POSING = {"impersonate", "escalate", "bind"}
# Which scopes a token has is for its user to narrow, on OpenShift (system:scope-impersonation).
SCOPES = {"userextras/scopes.authorization.openshift.io"}
# Whose objects say who is let in, what is put into requests, and where they go: keys among it.
TELLING = {"apps", "batch", "gateway.networking.k8s.io", "extensions.istio.io",
           "networking.istio.io", "security.istio.io", "kuadrant.io", "authorino.kuadrant.io",
           "operator.authorino.kuadrant.io", "limitador.kuadrant.io", "serving.kserve.io",
           "ainetworking.prototype.x-k8s.io"}  # fmt: skip
INSIDE = {"pods", "configmaps", "replicationcontrollers", "podtemplates"}
READING = {"get", "list", "watch"}
_TOLD = 3


def too_much(rule: Object) -> bool:
    """Whether a rule of a SelfSubjectRulesReview gives more than the use of models. A ConfigMap
    that is public by its name is nobody's secret."""
    verbs, resources = set(rule["verbs"]), set(rule.get("resources") or [])
    groups = set(rule.get("apiGroups") or [])
    named = bool(rule.get("resourceNames"))
    reads = verbs & READING and (groups & TELLING or (resources & INSIDE and not named))
    poses = verbs & POSING and resources != SCOPES
    return bool(resources & HIDDEN or (verbs & ALTERING and groups & RULING) or reads or poses)


@requirement("HD-108")
@pytest.mark.parametrize("tier", TIERS)
def test_accounts_of_tiers_may_use_models_alone(
    kube: Kube, access: Access, stack: Stack, tier: str
) -> None:
    """In each namespace, by a token of such an account for the API server."""
    user, found = stack.cluster_identity(f"{TIER_PREFIX}{tier}"), []
    with Bearer(access.kubeconfig, user.token) as bearer:
        for one in kube.all("v1", "Namespace"):
            name = one["metadata"]["name"]
            rules = [] if name.startswith("conformance-") else bearer.rules(name)
            found += [f"{name}: {rule}" for rule in rules if too_much(rule)]
    expect(not found, MAAS, f"no more than models for the tier {tier}", f"{found[:_TOLD]}")


@requirement("HD-108")
def test_tokens_for_models_are_none_for_the_cluster(access: Access, stack: Stack) -> None:
    """Not for the API server, for which users' own are."""
    user = stack.cluster_identity()
    minted = Secret(stack.mint(user).expect_status(201).json["token"])
    with Bearer(access.kubeconfig, user.token) as own, Bearer(access.kubeconfig, minted) as other:
        found = (own.status(), other.status())
    expect(found == (200, 401), MAAS, "200 for his own token, 401 for the minted one", f"{found}")


@requirement("HD-106")
def test_old_tls_is_refused(kube: Kube, access: Access) -> None:
    """TLS 1.0 and 1.1 (RFC 8996), by the gateway's word and not for want of a client that speaks
    them; and 1.2 is spoken."""
    target = endpoint(kube, access, *MAAS_GATEWAY, "https")
    with connect(target, access, newest=ssl.TLSVersion.TLSv1_2) as connection:
        expect(connection.version() == "TLSv1.2", CLIENT, "TLSv1.2", f"{connection.version()}")
    for version in (ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1):
        try:
            with connect(target, access, newest=version) as connection:
                expect(False, CLIENT, f"no {version.name}", str(connection.version()))
        except (ssl.SSLEOFError, ConnectionError):
            continue
        except ssl.SSLError as error:
            if "ALERT" not in (error.reason or ""):
                pytest.skip(f"nobody here can ask for {version.name}: {error.reason}")


@requirement("HD-21")
def test_maas_api_does_it_for_who_asks(kube: Kube, stack: Stack) -> None:
    """Who says that he is somebody else lists, makes and ends what is his own."""
    owner, other = stack.cluster_identity(), stack.cluster_identity()
    lie = {"X-MaaS-Username": owner.username, "X-MaaS-Group": json.dumps(["tier-premium-users"])}
    token = Secret(stack.mint(owner).expect_status(201).json["token"])
    names = [f"key-{uuid.uuid4().hex[:8]}" for _ in range(2)]
    for who, name, headers in ((owner, names[0], {}), (other, names[1], lie)):
        body = {"name": name, "expiration": "1h"}
        made = stack.send("POST", API_KEYS, who, body, headers).expect_status(201)
        account = stack.account_of(made.json["token"])
        minted = stack.account_of(stack.mint(who).expect_status(201).json["token"])
        made.expect(CLIENT, account == minted, f"a key of {minted}", f"a key of {account}")
    for who, name, headers in ((owner, names[0], {}), (other, names[1], lie)):
        listed = stack.send("GET", API_KEYS, who, headers=headers).expect_status(200)
        found = [one["name"] for one in listed.json]
        listed.expect(CLIENT, found == [name], f"the key {name} alone", f"{found}")
    stack.send("DELETE", "/maas-api/v1/tokens", other, headers=lie).expect_status(204)
    expect(has_account(kube, stack, token), MAAS, "the account of who did not ask", "none")
    listed = stack.send("GET", API_KEYS, owner).expect_status(200)
    is_there = [one["name"] for one in listed.json] == [names[0]]
    listed.expect(CLIENT, is_there, "his key as before", f"{listed.json}")
