"""Under which host a Gateway is asked."""

from types import SimpleNamespace
from typing import Any

import pytest

from fixtures.stack.gateways import endpoint

ACCESS: Any = SimpleNamespace(shifted_ports=False)


class Cluster:
    """One Gateway, and what the cluster says of its domain."""

    def __init__(self, hostname: str, domain: str) -> None:
        listener = {"name": "http", "protocol": "HTTP", "port": 80}
        listener |= {"hostname": hostname} if hostname else {}
        self._gateway = {"metadata": {"name": "g", "namespace": "n"},
                         "spec": {"listeners": [listener]},
                         "status": {"addresses": [{"value": "127.0.0.9"}]}}  # fmt: skip
        self._ingress = {"spec": {"domain": domain}} if domain else None

    def serves(self, version: str, kind: str) -> bool:
        return self._ingress is not None

    def get(self, version: str, kind: str, namespace: str, name: str) -> Any:
        return self._gateway if kind == "Gateway" else self._ingress


@pytest.mark.parametrize(
    ("hostname", "domain", "host"),
    [
        ("ai.example.org", "apps.example.org", "ai.example.org"),
        ("*.example.org", "apps.example.org", "maas.example.org"),
        ("", "apps.example.org", "maas.apps.example.org"),
        ("", "", "127.0.0.9"),
    ],
)
def test_maas_host(hostname: str, domain: str, host: str) -> None:
    """Its listener's, or the documents' maas.<domain>; its address where nobody says either."""
    cluster: Any = Cluster(hostname, domain)
    found = endpoint(cluster, ACCESS, "openshift-ingress", "maas-default-gateway", "http")
    assert (found.host, found.address, found.port) == (host, "127.0.0.9", 80)


def test_other_gateways_are_asked_by_their_address() -> None:
    cluster: Any = Cluster("", "apps.example.org")
    assert endpoint(cluster, ACCESS, "default", "poc-gateway", "http").host == "127.0.0.9"
