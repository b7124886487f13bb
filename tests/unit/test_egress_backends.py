"""Where wg-ai-gateway's backendRefs lead, with TLS or without; observed of the real controller with
the same objects, if a case does not say otherwise."""

from __future__ import annotations

import base64

import pytest

from embedded.images.wg_ai_gateway.envoy_controller import DEMO, MENDED, UPSTREAM
from embedded.shared.xds import CLUSTER, LISTENER
from tests.unit.egress import Seen, ref, rule
from tests.unit.reconciling import HOST, Object, destination, made


@pytest.fixture(autouse=True)
def pod(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POD_NAMESPACE", "ai-gateway-system")


# -- backends ---------------------------------------------------------------------------

SERVICE = made("Service", "web", spec={"ports": [{"port": 8000, "targetPort": 8080},
                                                 {"port": 81, "targetPort": "named"}]})  # fmt: skip


@pytest.mark.parametrize(
    ("refs", "reason"),
    [
        ([ref()], ""),
        ([ref(group="example.com")], ""),
        ([ref("web", "Service")], ""),
        ([ref("web", "Service", port=81)], "ResolvedRefs"),
        ([ref(kind="XBackendDestination")], "UnsupportedValue"),
        ([ref("nobody")], "BackendNotFound"),
        ([ref("nobody", "Service")], "BackendNotFound"),
        ([ref(port=9999)], "ResolvedRefs"),
        ([ref(port=None)], "ResolvedRefs"),
        ([ref(weight=0)], "UnsupportedValue"),
        ([ref(weight=0, port=9999), ref()], ""),
        ([], "UnsupportedValue"),
    ],
    ids=["good", "of any group", "a service", "by a named port", "by the CRD's own kind", "nobody",
         "no such service", "no such port", "no port", "of weight 0", "weight 0 beside", "none"],
)  # fmt: skip
def test_what_resolves(refs: list[Object], reason: str) -> None:
    """And with which reason what does not; then the rule answers 500."""
    seen = Seen(rule(*refs), services=[SERVICE])
    assert seen.resolved == (("False", reason) if reason else ("True", "ResolvedRefs"))
    assert ("direct_response" in seen.routes[0]) is bool(reason)


@pytest.mark.parametrize("generation", [DEMO, UPSTREAM, MENDED])
def test_one_missing_backend_of_two(generation: str) -> None:
    """All requests get 500; as Gateway API has it, that backend's share of them."""
    seen = Seen(rule(ref(weight=3), ref("nobody")), generation=generation)
    assert seen.resolved == ("False", "BackendNotFound")
    if generation == UPSTREAM:
        chain = seen.resource(LISTENER)[0]["filter_chains"][0]["filters"][0]["typed_config"]
        (found,) = chain["route_config"]["virtual_hosts"][0]["routes"]
    else:
        (found,) = seen.routes
    if generation != MENDED:
        assert found["direct_response"] == {"status": 500}
        assert seen.clusters == {}
        return
    clusters = found["route"]["weighted_clusters"]["clusters"]
    assert [(one["name"], one["weight"]) for one in clusters] == [
        ("default-good-8000", 3), ("no-such-backend", 1)
    ]  # fmt: skip
    assert found["route"]["cluster_not_found_response_code"] == "INTERNAL_SERVER_ERROR"
    assert list(seen.clusters) == ["default-good-8000"]


def slices(name: str) -> Object:
    found = made("EndpointSlice", name, endpoints=[{"addresses": ["10.0.0.1"]}])
    found["metadata"]["labels"] = {"kubernetes.io/service-name": name}
    return found


@pytest.mark.parametrize(
    ("kind", "name", "cluster"),
    [("Service", "web", "default-synsvc-web-8080"), ("Backend", "good", "default-good-8000")],
)
def test_services_lead_nowhere(kind: str, name: str, cluster: str) -> None:
    """Their endpoints are looked up under a name that nobody has, a Service's or a destination's
    of type Service; that is how the name can be had (read, not observed)."""
    objects = {"services": [SERVICE], "xbackenddestinations": [destination(kind="Service")]}
    found = Seen(rule(ref(name, kind)), endpointslices=[slices("web")], **objects).clusters
    assert found[cluster]["load_assignment"]["endpoints"][0]["lb_endpoints"] == []
    looked_for = cluster.removeprefix("default-").rpartition("-")[0]
    found = Seen(rule(ref(name, kind)), endpointslices=[slices(looked_for)], **objects).clusters
    assert len(found[cluster]["load_assignment"]["endpoints"][0]["lb_endpoints"]) == 1


def test_every_port_has_a_cluster_and_speaks_http_1() -> None:
    """`protocol: HTTP2` too; one is found by DNS, and asked for patiently."""
    more = destination(protocol="HTTP2")
    more["spec"]["destination"]["ports"].append({"number": 9000, "protocol": "HTTP"})
    found = Seen(rule(ref()), xbackenddestinations=[more]).clusters
    assert list(found) == ["default-good-8000", "default-good-9000"]
    for one in found.values():
        assert (one["type"], one["connect_timeout"]) == ("LOGICAL_DNS", "5s")
        assert "typed_extension_protocol_options" not in one


# -- TLS --------------------------------------------------------------------------------


def secret(name: str, **data: str) -> Object:
    encoded = {k.replace("_", "."): base64.b64encode(v.encode()).decode() for k, v in data.items()}
    return made("Secret", name, data=encoded)


SECRETS = [secret("ca", ca_crt="CA"), secret("pair", tls_crt="CERT", tls_key="KEY")]
CA = {"group": "", "kind": "ConfigMap", "name": "ca"}  # whatever kind: a Secret
PAIR = {"name": "pair"}
CLIENT = [{"certificate_chain": {"inline_string": "CERT"}, "private_key": {"inline_string": "KEY"}}]


@pytest.mark.parametrize(
    ("tls", "sni", "common"),
    [
        ({"mode": "Simple"}, HOST, {}),
        ({"mode": "Simple", "sni": "other.test"}, "other.test", {}),
        ({"mode": "Simple", "insecureSkipVerify": True}, HOST,
         {"validation_context": {"trust_chain_verification": "ACCEPT_UNTRUSTED"}}),
        ({"mode": "Simple", "caBundleRef": [CA, {**CA, "name": "pair"}]}, HOST,
         {"validation_context": {"trusted_ca": {"inline_string": "CACERT"}}}),
        ({"mode": "Simple", "subjectAltNames": ["n"]}, HOST,
         {"validation_context": {"match_typed_subject_alt_names": [
             {"san_type": "DNS", "matcher": {"exact": "n"}}]}}),
        ({"mode": "Mutual", "clientCertificateRef": PAIR}, HOST, {"tls_certificates": CLIENT}),
        ({"mode": "Simple", "clientCertificateRef": PAIR}, HOST, {}),
    ],
    ids=["simple", "sni", "unverified", "authorities", "names", "mutual", "not mutual"],
)  # fmt: skip
def test_tls_to_a_destination(tls: Object, sni: str, common: Object) -> None:
    """A certificate is verified where it says by what, and not otherwise (read, and Envoy's
    configuration seen)."""
    given = [destination(tls=tls)]
    found = Seen(rule(ref()), xbackenddestinations=given, secrets=SECRETS).clusters
    context = found["default-good-8000"]["transport_socket"]["typed_config"]
    assert context["sni"] == sni
    assert context["common_tls_context"] == {"alpn_protocols": ["http/1.1"], **common}


def test_no_tls() -> None:
    found = Seen(rule(ref()), xbackenddestinations=[destination(tls={"mode": "None"})]).clusters
    assert "transport_socket" not in found["default-good-8000"]


def test_a_missing_secret_stops_everything_of_its_gateway() -> None:
    """Its Envoy runs, and gets nothing new; the Gateway says why, its routes nothing."""
    given = [destination(tls={"mode": "Simple", "caBundleRef": [CA]})]
    seen = Seen(rule(ref()), xbackenddestinations=given)
    assert seen.resource(CLUSTER) == []
    assert ("deployments", "default", "envoy-gw") in seen.writes.applied
    assert ("httproutes", "r") not in seen.writes.statuses
    (programmed,) = [c for c in seen.status("gateways", "gw")["conditions"]
                     if c["type"] == "Programmed"]  # fmt: skip
    assert (programmed["status"], programmed["reason"]) == ("False", "TranslationError")
    assert "Secret default/ca" in programmed["message"]


def test_mended_a_missing_secret_stops_its_share() -> None:
    """And nothing else of the Gateway."""
    given = [destination(), destination("odd", tls={"mode": "Simple", "caBundleRef": [CA]})]
    seen = Seen(rule(ref(weight=3), ref("odd")), generation=MENDED, xbackenddestinations=given)
    assert set(seen.clusters) == {"default-good-8000"}
    (programmed,) = [c for c in seen.status("gateways", "gw")["conditions"]
                     if c["type"] == "Programmed"]  # fmt: skip
    assert programmed["status"] == "True"
