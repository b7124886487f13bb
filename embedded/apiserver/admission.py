"""Defaults and checks of built-in kinds that their schemas cannot say.

Upstream: `k8s.io/kubernetes/pkg/apis/*/v1/defaults.go`, `pkg/apis/*/validation`, and the
ServiceAccount admission plugin.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from embedded.apiserver import status
from embedded.apiserver.resources import Resource
from embedded.apiserver.selectors import matches_labels
from embedded.apiserver.store import Store

Object = dict[str, Any]
Admitter = Callable[[Store, Resource, Object, "Object | None"], None]

_SUBDOMAIN = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
_SUBDOMAIN_TEXT = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or "
    "'.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used "
    f"for validation is '{_SUBDOMAIN}')"
)
TOKEN_MOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"


def name_errors(resource: Resource, obj: Object) -> list[status.Cause]:
    """Errors of `metadata.name`."""
    name = obj["metadata"].get("name", "")
    if not name:
        text = "Required value: name or generateName is required"
        return [{"reason": "FieldValueRequired", "message": text, "field": "metadata.name"}]
    # RBAC names are path segments, and may hold colons.
    free = resource.group == "rbac.authorization.k8s.io"
    valid = re.fullmatch(r"[^/%]+" if free else _SUBDOMAIN, name)
    if valid and len(name) <= 253:
        return []
    text = f'Invalid value: "{name}": {_SUBDOMAIN_TEXT}'
    return [{"reason": "FieldValueInvalid", "message": text, "field": "metadata.name"}]


def field_errors(resource: Resource, obj: Object, old: Object | None) -> list[status.Cause]:
    """Errors that no schema knows of."""
    if resource.id == ("", "services"):
        return _port_errors(obj)
    if resource.id != ("apps", "deployments"):
        return []
    selector, template = obj["spec"].get("selector"), obj["spec"].get("template", {})
    labels = (template.get("metadata") or {}).get("labels") or {}
    causes = []
    if not matches_labels(selector, labels):
        causes.append(
            {
                "reason": "FieldValueInvalid",
                "field": "spec.template.metadata.labels",
                "message": f"Invalid value: {labels}: `selector` does not match template `labels`",
            }
        )
    if old and old["spec"].get("selector") != selector:
        text = f"Invalid value: {selector}: field is immutable"
        causes.append({"reason": "FieldValueInvalid", "field": "spec.selector", "message": text})
    return causes


def _port_errors(service: Object) -> list[status.Cause]:
    """`pkg/apis/core/validation`, validateServicePort."""
    return [
        {
            "reason": "FieldValueInvalid",
            "field": f"spec.ports[{place}].port",
            "message": f"Invalid value: {one['port']}: must be between 1 and 65535, inclusive",
        }
        for place, one in enumerate(service["spec"].get("ports") or [])
        if not 1 <= one["port"] <= 65535
    ]


def defaults(store: Store, resource: Resource, obj: Object, old: Object | None) -> None:
    """The static defaults of built-in kinds."""
    del store
    spec = obj.get("spec") or {}
    match resource.id:
        case ("", "pods"):
            _pod_spec(spec)
            if old is None:
                obj["status"] = {"phase": "Pending"}  # pkg/registry/core/pod/strategy.go
        case ("apps", "deployments"):
            spec.setdefault("replicas", 1)
            spec.setdefault("strategy", {"type": "RollingUpdate"})
            if "template" in spec:
                _pod_spec(spec["template"].setdefault("spec", {}))
        case ("", "services"):
            spec.setdefault("type", "ClusterIP")
            spec.setdefault("sessionAffinity", "None")
            for port in spec.get("ports", []):
                port.setdefault("protocol", "TCP")
                port.setdefault("targetPort", port.get("port"))
        case ("", "secrets"):
            obj.setdefault("type", "Opaque")
            _string_data(obj)
        case ("", "namespaces"):
            labels = obj["metadata"].setdefault("labels", {})
            labels["kubernetes.io/metadata.name"] = obj["metadata"]["name"]
            obj["spec"] = {"finalizers": ["kubernetes"]}
            obj.setdefault("status", {"phase": "Active"})
        case ("apiextensions.k8s.io", "customresourcedefinitions"):
            _crd_status(obj)


def _string_data(secret: Object) -> None:
    import base64

    for name, value in secret.pop("stringData", {}).items():
        secret.setdefault("data", {})[name] = base64.b64encode(value.encode()).decode()


def _pod_spec(spec: Object) -> None:
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("dnsPolicy", "ClusterFirst")
    spec.setdefault("terminationGracePeriodSeconds", 30)
    spec.setdefault("serviceAccountName", "default")
    for container in spec.get("containers", []) + spec.get("initContainers", []):
        container.setdefault("imagePullPolicy", "IfNotPresent")
        for port in container.get("ports", []):
            port.setdefault("protocol", "TCP")
        for kind in ("livenessProbe", "readinessProbe", "startupProbe"):
            if probe := container.get(kind):
                probe.setdefault("periodSeconds", 10)
                probe.setdefault("timeoutSeconds", 1)
                probe.setdefault("failureThreshold", 3)
                probe.setdefault("successThreshold", 1)


def _crd_status(crd: Object) -> None:
    names = {"kind": "", "plural": "", **crd["spec"].get("names", {})}
    names.setdefault("singular", names["kind"].lower())
    names.setdefault("listKind", names["kind"] + "List")
    stamp = {"lastTransitionTime": crd["metadata"]["creationTimestamp"], "status": "True"}
    crd["status"] = {
        "acceptedNames": names,
        "storedVersions": [v["name"] for v in crd["spec"].get("versions", []) if v.get("storage")],
        "conditions": [
            {
                "type": "NamesAccepted",
                "reason": "NoConflicts",
                "message": "no conflicts found",
                **stamp,
            },
            {
                "type": "Established",
                "reason": "InitialNamesAccepted",
                "message": "the initial names have been accepted",
                **stamp,
            },
        ],
    }


def service_account(store: Store, resource: Resource, obj: Object, old: Object | None) -> None:
    """A Pod runs as an existing ServiceAccount and mounts its token."""
    if resource.id != ("", "pods") or old is not None:
        return
    spec, namespace = obj["spec"], obj["metadata"]["namespace"]
    name = spec["serviceAccountName"]
    account = store.get(("", "serviceaccounts"), (namespace, name))
    if account is None:
        why = f"error looking up service account {namespace}/{name}: serviceaccount " + (
            f'"{name}" not found'
        )
        raise status.forbidden("pods", "", obj["metadata"].get("name", ""), why)
    if not spec.get("automountServiceAccountToken", True):
        return
    volume = "kube-api-access"
    sources = [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {
            "configMap": {
                "name": "kube-root-ca.crt",
                "items": [{"key": "ca.crt", "path": "ca.crt"}],
            }
        },
        {
            "downwardAPI": {
                "items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]
            }
        },
    ]
    spec.setdefault("volumes", []).append({"name": volume, "projected": {"sources": sources}})
    for container in spec.get("containers", []):
        mounts = container.setdefault("volumeMounts", [])
        if all(mount["mountPath"] != TOKEN_MOUNT for mount in mounts):
            mounts.append({"name": volume, "mountPath": TOKEN_MOUNT, "readOnly": True})
