"""What is installed on a Kind cluster, step by step: charts and CRDs of the table's modules.

Charts are rendered by Helm and adjusted where a machine of two cores needs it (requests, probes
that wait ten seconds), then applied as every other object of the suite is.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from kind import kserve
from kind.components import Module, Table
from kind.images.tools import run

Object = dict[str, Any]
CONTROLLER = "openshift.io/gateway-controller/v1"
CLASS = "openshift-default"
OPERATOR_CPU = "400m"
TIMEOUT = "5s"  # of Kuadrant's services, whose 100 ms two busy cores miss now and then
# What the suite reads of the MaaS gateway's log; Istio's own format has no header of ours.
ACCESS_LOG = {
    "time": "%START_TIME%",
    "request_id": "%REQ(X-REQUEST-ID)%",
    "conformance_id": "%REQ(X-CONFORMANCE-ID)%",
    "method": "%REQ(:METHOD)%",
    "received_path": "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
    "sent_path": "%REQ(:PATH)%",
    "host": "%REQ(:AUTHORITY)%",
    "code": "%RESPONSE_CODE%",
    "details": "%RESPONSE_CODE_DETAILS%",
    "flags": "%RESPONSE_FLAGS%",
    "route": "%ROUTE_NAME%",
    "upstream": "%UPSTREAM_HOST%",
    "cluster": "%UPSTREAM_CLUSTER_RAW%",
}
ISTIOD: Object = {
    "global": {
        "hub": "docker.io/istio",
        "imagePullPolicy": "IfNotPresent",
        "proxy": {"resources": {"requests": {"cpu": "10m", "memory": "64Mi"}}},
    },
    "autoscaleEnabled": False,
    "resources": {"requests": {"cpu": "10m", "memory": "128Mi"}},
    "telemetry": {"enabled": False},
    "env": {
        "PILOT_ENABLE_METADATA_EXCHANGE": "false",
        "PILOT_GATEWAY_API_CONTROLLER_NAME": CONTROLLER,
        "PILOT_GATEWAY_API_DEFAULT_GATEWAYCLASS_NAME": CLASS,
    },
    "meshConfig": {
        "accessLogFile": "/dev/stdout",
        "accessLogEncoding": "JSON",
        "accessLogFormat": json.dumps(ACCESS_LOG),
    },
}
_KUADRANT_ENV = {
    "ISTIO_GATEWAY_CONTROLLER_NAMES": CONTROLLER,
    "WITH_EXTENSIONS": "false",
    "AUTH_SERVICE_TIMEOUT": TIMEOUT,
    "RATELIMIT_SERVICE_TIMEOUT": TIMEOUT,
    "RATELIMIT_CHECK_SERVICE_TIMEOUT": TIMEOUT,
    "RATELIMIT_REPORT_SERVICE_TIMEOUT": TIMEOUT,
}


@dataclass(frozen=True)
class Step:
    """A part of the platform: its objects, made when they are wanted."""

    name: str
    objects: Callable[[], list[Object]]


Source = Callable[[Module], Path]


def steps(table: Table, helm: Path, source: Source, webhooks: kserve.Pair) -> list[Step]:
    """The charts' part of the platform, in order; `manifests/platform/kind` comes after it.

    `source` gives the folder of a module's charts and CRDs; `webhooks` is the certificate for
    `kserve.HOST`.
    """
    modules = table.modules

    def chart(module: str, path: str, namespace: str, values: Object) -> list[Object]:
        folder = source(modules[module]) / path
        return [_adjusted(obj) for obj in _render(helm, folder, namespace, values)]

    def istio() -> list[Object]:
        charts = "manifests/charts"
        values = {
            **ISTIOD,
            "global": {**ISTIOD["global"], "tag": table.tag("docker.io/istio/pilot")},
        }
        return [
            _namespace("istio-system"),
            *chart("istio", f"{charts}/base", "istio-system", {}),
            *chart("istio", f"{charts}/istio-control/istio-discovery", "istio-system", values),
        ]

    def kuadrant() -> list[Object]:
        found = [_namespace("kuadrant-system")]
        for name in ("authorino-operator", "limitador-operator"):
            found += chart(name, f"charts/{name}", "kuadrant-system", {})
        path = "charts/kuadrant-operator"
        return found + chart("kuadrant", path, "kuadrant-system", {})

    return [
        Step(
            f"Gateway API {modules['gateway-api'].version}",
            lambda: _crds(source(modules["gateway-api"])),
        ),
        Step(f"MetalLB {modules['metallb'].version}", lambda: _metallb(source(modules["metallb"]))),
        Step(f"Istio {table.tag('docker.io/istio/pilot')}", istio),
        Step(f"Kuadrant {modules['kuadrant'].version}", kuadrant),
        Step(
            f"KServe {modules['kserve'].version}",
            lambda: [
                _namespace(kserve.NAMESPACE),
                *kserve.objects(modules["kserve"], modules["lws"], source, chart, webhooks),
            ],
        ),
    ]


def _namespace(name: str) -> Object:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def _load(path: Path) -> list[Object]:
    return [one for one in yaml.load_all(path.read_text(), Loader=yaml.CSafeLoader) if one]


def _crds(source: Path) -> list[Object]:
    folder = source / "config" / "crd" / "standard"
    found = [obj for path in sorted(folder.glob("*.yaml")) for obj in _load(path)]
    return [obj for obj in found if obj["kind"] == "CustomResourceDefinition"]


def _metallb(source: Path) -> list[Object]:
    """Its controller alone: nobody outside the node has to be told of the addresses."""
    found = _load(source / "config" / "manifests" / "metallb-native.yaml")
    return [_adjusted(obj) for obj in found if obj["kind"] != "DaemonSet"]


def _render(helm: Path, folder: Path, namespace: str, values: Object) -> list[Object]:
    """A chart's objects. Its dependencies are charts of the table too, and are left out here."""
    with tempfile.TemporaryDirectory() as scratch:
        chart = Path(scratch) / folder.name
        shutil.copytree(folder, chart, copy_function=shutil.copyfile)
        for path in chart.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)
        chart.chmod(0o755)
        about = yaml.safe_load((chart / "Chart.yaml").read_text())
        about.pop("dependencies", None)
        about["version"] = str(about.get("version") or "0.0.0")
        (chart / "Chart.yaml").write_text(yaml.safe_dump(about))
        given = Path(scratch) / "values.yaml"
        given.write_text(yaml.safe_dump(values))
        command: list[str | Path] = [helm, "template", folder.name, chart, "--namespace", namespace]
        text = run([*command, "--include-crds", "--values", given])
    found = [one for one in yaml.load_all(text, Loader=yaml.CSafeLoader) if one]
    for obj in found:
        _in_namespace(obj, namespace)
    return found


_CLUSTER_WIDE = {
    "ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "GatewayClass", "Namespace",
    "MutatingWebhookConfiguration", "PriorityClass", "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding", "ValidatingWebhookConfiguration",
}  # fmt: skip


def _in_namespace(obj: Object, namespace: str) -> None:
    if obj["kind"] not in _CLUSTER_WIDE:
        obj["metadata"].setdefault("namespace", namespace)


def _adjusted(obj: Object) -> Object:
    """A Deployment that starts quickly on two cores; Kuadrant's knows our GatewayClass."""
    if obj["kind"] != "Deployment":
        return obj
    for container in obj["spec"]["template"]["spec"]["containers"]:
        # The limits stay: Kuadrant's operator writes its WasmPlugin anew without end where a policy
        # has several limits (their order changes), and would take a core for it.
        resources = container.setdefault("resources", {})
        resources["requests"] = {"cpu": "10m", "memory": "32Mi"}
        if "cpu" in resources.get("limits", {}):
            resources["limits"]["cpu"] = OPERATOR_CPU
        for probe in ("readinessProbe", "livenessProbe"):
            if probe in container:
                container[probe] |= {"initialDelaySeconds": 1, "periodSeconds": 2}
                container[probe]["failureThreshold"] = 30
        if obj["metadata"]["name"] == "kuadrant-operator-controller-manager":
            env = [{"name": name, "value": value} for name, value in _KUADRANT_ENV.items()]
            container["env"] = [*container.get("env", []), *env]
    return obj
