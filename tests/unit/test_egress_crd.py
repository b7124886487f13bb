"""The XBackendDestination CRD is as wg-ai-gateway's own: what it takes, and what it refuses."""

from __future__ import annotations

import pytest
import yaml

from embedded.apiserver.rules import broken_rules
from embedded.apiserver.schema import ObjectSchema
from embedded.images.wg_ai_gateway.envoy_controller import Controller
from manifests import FOLDER
from tests.unit.reconciling import Object, destination

CRD = yaml.safe_load((FOLDER / "platform/base/crds/wg-ai-gateway.yaml").read_text())
SCHEMA = CRD["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
TLS = {
    "mode": "Mutual",
    "sni": "a.test",
    "caBundleRef": [{"group": "", "kind": "Secret", "name": "ca", "namespace": "n"}],
    "insecureSkipVerify": False,
    "clientCertificateRef": {"name": "pair", "namespace": "n"},
    "subjectAltNames": ["a.test"],
}
MCP = {"mcp": {"version": "2025-06-18"}}
CONDITION = {"type": "Available", "status": "True", "reason": "Seen", "message": "",
             "lastTransitionTime": "2026-01-01T00:00:00Z"}  # fmt: skip


def causes(found: Object) -> list[str]:
    """What the API server would refuse of it, by the field's name."""
    schema = ObjectSchema(SCHEMA)
    broken = [*schema.validate(found), *broken_rules(SCHEMA, found, None)]
    return sorted({*schema.unknown_fields(found), *(one["field"] for one in broken)})


def test_what_the_crd_takes() -> None:
    """All that upstream's has; the project's refused most of it with a strict decoding error."""
    full = destination(tls=TLS, protocolOptions=MCP)
    full["spec"]["extensions"] = [{"name": "n", "type": "t", "rawConfig": {"any": ["thing"]}}]
    full["status"] = {"controllers": [{"name": Controller.name, "conditions": [CONDITION]}]}
    assert causes(full) == []
    (port,) = ObjectSchema(SCHEMA).default(full)["spec"]["destination"]["ports"]
    assert port["protocolOptions"]["mcp"]["path"] == "/mcp"
    client = port["tls"]["clientCertificateRef"]
    assert (client["group"], client["kind"]) == ("", "Secret")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"service": {"name": "a", "namespace": "b"}}, "spec.destination"),
        ({"fqdn": None}, "spec.destination"),
        ({"type": "Service", "fqdn": None, "service": {"name": "a"}},
         "spec.destination.service.namespace"),
        ({"ports": []}, "spec.destination.ports"),
    ],
    ids=["both", "neither", "a service of no namespace", "no ports"],
)  # fmt: skip
def test_what_the_crd_refuses(change: Object, field: str) -> None:
    found = destination()
    merged = {**found["spec"]["destination"], **change}
    found["spec"]["destination"] = {k: v for k, v in merged.items() if v is not None}
    assert causes(found) == [field]


def test_the_crd_refuses_conditions_of_no_controller() -> None:
    """Upstream's status is a list of controllers, each with its conditions."""
    found = {**destination(), "status": {"conditions": [CONDITION]}}
    assert causes(found) == ["status.conditions", "status.controllers"]
