"""Steps 1 to 3: class, gateway, policies, and what may attach."""

import copy
from pathlib import Path
from typing import Any

import pytest

from fixtures.evidence.documents import Document
from fixtures.evidence.requirements import requirement
from fixtures.evidence.verdicts import Decision
from fixtures.found import only, parsed_yaml
from fixtures.kube import ApplyError, Kube
from fixtures.objects import conditions, existing
from fixtures.stack import TIER_PREFIX, Stack
from fixtures.stack.local_models import closed_gateway
from fixtures.waiting import ENFORCED_SECONDS, until

GUIDE = Document.read(Path(__file__).parent / "maas-gateway-setup-guide.md")
GATEWAY_API = "gateway.networking.k8s.io/v1"
MAAS = {"name": "maas-default-gateway", "namespace": "openshift-ingress"}


@pytest.fixture
def gateway(kube: Kube) -> dict[str, Any]:
    """The MaaS gateway's object."""
    found = kube.get(GATEWAY_API, "Gateway", MAAS["namespace"], MAAS["name"])
    assert found is not None, "there is no Gateway maas-default-gateway"
    return found


@requirement("MG-1")
def test_gateway_class(kube: Kube) -> None:
    """The built-in controller's class, accepted by it."""
    found = kube.get(GATEWAY_API, "GatewayClass", "", "openshift-default")
    assert found is not None, "there is no GatewayClass openshift-default"
    assert found["spec"]["controllerName"] == "openshift.io/gateway-controller/v1"
    assert conditions(found["status"], "Accepted") == {"Accepted": "True"}


@requirement("MG-2")
def test_gateway_metadata(kube: Kube, gateway: dict[str, Any]) -> None:
    """Labels, by which a query finds it and nothing else, and the class."""
    labels = {
        "app.kubernetes.io/name": "maas",
        "app.kubernetes.io/instance": "maas-default-gateway",
        "app.kubernetes.io/component": "gateway",
    }
    assert labels.items() <= gateway["metadata"]["labels"].items()
    assert gateway["spec"]["gatewayClassName"] == "openshift-default"
    found = kube.all(GATEWAY_API, "Gateway", "", labels)
    assert [(g["metadata"]["namespace"], g["metadata"]["name"]) for g in found] == [
        (MAAS["namespace"], MAAS["name"])
    ]


@requirement("MG-3")
def test_listener_http(gateway: dict[str, Any]) -> None:
    """Port 80, for routes of all namespaces."""
    listener = only(
        (li for li in gateway["spec"]["listeners"] if li["name"] == "http"), "listener http"
    )
    assert (listener["port"], listener["protocol"]) == (80, "HTTP")
    assert listener["allowedRoutes"]["namespaces"]["from"] == "All"


@requirement("MG-4")
def test_gateway_is_programmed(gateway: dict[str, Any]) -> None:
    """Programmed, with an address."""
    seen = conditions(gateway["status"], "Accepted", "Programmed")
    assert seen == {"Accepted": "True", "Programmed": "True"}
    assert gateway["status"]["addresses"]


@requirement("MG-4")
def test_kubectl_prints_the_gateway(kube: Kube, gateway: dict[str, Any]) -> None:
    """The columns of the expected output, and what stands in them."""
    row = kube.row(GATEWAY_API, "Gateway", MAAS["namespace"], MAAS["name"])
    assert list(row)[:5] == ["NAME", "CLASS", "ADDRESS", "PROGRAMMED", "AGE"]
    address = gateway["status"]["addresses"][0]["value"]
    wanted = (MAAS["name"], "openshift-default", address, "True")
    assert tuple(row.values())[:4] == wanted


@requirement("MG-48")
def test_which_listeners(gateway: dict[str, Any], decide: Decision) -> None:
    """Protocols and ports."""
    found = {(li["protocol"], li["port"]) for li in gateway["spec"]["listeners"]}
    outcomes = {
        frozenset({("HTTP", 80), ("HTTPS", 443)}): "http_and_https",
        frozenset({("HTTP", 80)}): "http_alone",
        frozenset({("HTTPS", 443)}): "https_alone",
    }
    decide(outcomes.get(frozenset(found), f"{sorted(found)}"))


@requirement("MG-58")
def test_which_hosts(stack: Stack, decide: Decision) -> None:
    """A listing, of which maas-api's route does not say under which names it is."""
    user = stack.account_token(f"{TIER_PREFIX}premium")
    stack.send("GET", "/v1/models", user).expect_status(200)
    other = {"host": f"other.{stack.host.partition('.')[2]}"}
    found = frozenset(
        stack.send("GET", "/v1/models", user, None, other, tls).status for tls in (True, False)
    )
    outcomes = {frozenset({200}): "others_too", frozenset({404}): "maas_alone"}
    decide(outcomes.get(found, f"{sorted(found)}"))


@requirement("MG-50")
@pytest.mark.parametrize(
    ("api_version", "kind"),
    [
        ("kuadrant.io/v1", "AuthPolicy"),
        ("kuadrant.io/v1", "RateLimitPolicy"),
        ("kuadrant.io/v1alpha1", "TokenRateLimitPolicy"),
    ],
)
def test_policy_kind_is_served(kube: Kube, api_version: str, kind: str) -> None:
    """In the version of the documents, and there is at least MaaS' own."""
    assert kube.serves(api_version, kind)
    assert kube.all(api_version, kind, "openshift-ingress")


def printed(section: str) -> list[dict[str, Any]]:
    """The objects between `<<EOF` and `EOF` in a section of the guide."""
    command = only((t for t in GUIDE.code(section, "bash") if "<<EOF" in t), "here-document")
    text = command.partition("<<EOF\n")[2].partition("EOF\n")[0]
    return [parsed_yaml(one, "the printed objects") for one in text.split("\n---\n")]


@requirement("MG-52")
@pytest.mark.parametrize(
    ("section", "kind"),
    [
        ("Step 1: Create GatewayClass", "GatewayClass"),
        ("Step 2: Create the MaaS Gateway", "Gateway"),
    ],
)
def test_printed_yaml_can_be_applied(kube: Kube, section: str, kind: str) -> None:
    """Word for word, no field refused or dropped; nothing is stored (`--dry-run=server`)."""
    obj = only(printed(section), "printed object")
    taken = kube.apply(obj, dry_run=True)
    assert taken["kind"] == obj["kind"] == kind
    for name, value in obj["spec"].items():
        if name != "listeners":
            assert taken["spec"][name] == value
    wanted = {li["name"]: li for li in obj["spec"].get("listeners", [])}
    found = {li["name"]: li for li in taken["spec"].get("listeners", [])}
    for name, listener in wanted.items():
        assert listener.items() <= found[name].items()


@requirement("MG-45")
def test_where_a_model_names_its_gateway(kube: Kube, decide: Decision) -> None:
    """The printed model, as it is printed and with the gateway under its router."""
    text = only(GUIDE.code("Step 4: Configure Models to Use MaaS Gateway", "yaml"), "example")
    model = parsed_yaml(text, "the printed model")
    model["spec"]["template"] = {}  # the guide leaves it to the reader
    moved = copy.deepcopy(model)
    moved["spec"]["router"]["gateway"] = moved["spec"].pop("gateway")
    kube.apply(moved, dry_run=True)
    try:
        taken = kube.apply(model, dry_run=True)
    except ApplyError as error:
        refused = "spec.gateway" in str(error)
        decide("router_gateway_refs" if refused else str(error))
    else:
        decide("gateway_refs" if "gateway" in taken["spec"] else "router_gateway_refs")


def version_of(kube: Kube) -> tuple[int, ...]:
    """OpenShift's version, from its ClusterVersion: (4, 19, 9)."""
    found = existing(kube, "config.openshift.io/v1", "ClusterVersion", "", "version")
    text = found["status"]["desired"]["version"].partition("-")[0]
    return tuple(int(number) for number in text.split("."))


@requirement("MG-49")
@pytest.mark.capability("openshift")
def test_which_openshift(kube: Kube, decide: Decision) -> None:
    """What the cluster is."""
    version = version_of(kube)
    assert version >= (4, 18), f"OpenShift {version} is older than both documents want"
    decide("new_enough_for_both" if version >= (4, 19, 9) else "for_the_dual_gateway_alone")


@requirement("MG-51")
@pytest.mark.capability("openshift")
def test_class_comes_with_openshift(kube: Kube) -> None:
    """Nobody but the platform has written it, where there is a ClusterVersion."""
    assert version_of(kube) >= (4, 19, 9)
    found = existing(kube, GATEWAY_API, "GatewayClass", "", "openshift-default")
    writers = {entry["manager"] for entry in found["metadata"]["managedFields"]}
    assert not {w for w in writers if w.startswith("kubectl")}, f"written by {sorted(writers)}"


def route(name: str, namespace: str, parent: dict[str, str]) -> dict[str, Any]:
    """A route that redirects one path, and so needs no backend."""
    redirect = {"type": "RequestRedirect", "requestRedirect": {"hostname": "elsewhere.test"}}
    match = {"path": {"type": "PathPrefix", "value": f"/{namespace}"}}
    return {
        "apiVersion": GATEWAY_API,
        "kind": "HTTPRoute",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"parentRefs": [parent], "rules": [{"matches": [match], "filters": [redirect]}]},
    }


def accepted(kube: Kube, namespace: str, name: str) -> tuple[str, str]:
    """(status, reason) of Accepted, once there is one."""

    def look() -> tuple[str, str]:
        found = kube.get(GATEWAY_API, "HTTPRoute", namespace, name) or {}
        for parent in found.get("status", {}).get("parents", []):
            for c in parent.get("conditions", []):
                if c["type"] == "Accepted":
                    return c["status"], c["reason"]
        return "", ""

    return until(f"a status of route {name}", look, lambda seen: seen != ("", ""), ENFORCED_SECONDS)


@requirement("MG-5")
def test_route_of_any_namespace_attaches(kube: Kube, namespace: str) -> None:
    """A namespace that nobody has told the gateway of."""
    kube.apply(route("guest", namespace, MAAS))
    assert accepted(kube, namespace, "guest") == ("True", "Accepted")


@requirement("MG-6")
def test_listener_refuses_a_route(kube: Kube, namespace: str) -> None:
    """A gateway whose listener is for its own namespace."""
    with closed_gateway(kube) as closed:
        kube.apply(route("guest", namespace, closed))
        assert accepted(kube, namespace, "guest") == ("False", "NotAllowedByListeners")


@requirement("MG-7")
@pytest.mark.at_rest
@pytest.mark.parametrize(
    ("api_version", "kind", "name"),
    [
        ("kuadrant.io/v1", "AuthPolicy", "gateway-auth-policy"),
        ("kuadrant.io/v1", "RateLimitPolicy", "gateway-rate-limits"),
        ("kuadrant.io/v1alpha1", "TokenRateLimitPolicy", "gateway-token-rate-limits"),
    ],
)
def test_policy_is_enforced(kube: Kube, api_version: str, kind: str, name: str) -> None:
    """On the MaaS gateway, Accepted and Enforced; for a moment it may not be, while routes come
    and go."""

    def look() -> tuple[dict[str, Any], dict[str, str]]:
        found = existing(kube, api_version, kind, "openshift-ingress", name)
        return found["spec"]["targetRef"], conditions(found["status"])

    enforced = {"Accepted": "True", "Enforced": "True"}
    target, _ = until(f"{name} to be enforced", look, lambda seen: seen[1] == enforced,
                      ENFORCED_SECONDS)  # fmt: skip
    assert (target["kind"], target["name"]) == ("Gateway", "maas-default-gateway")
