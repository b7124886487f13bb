"""Writes builtin_schemas.json: OpenAPI schemas of the built-in kinds.

`python -m embedded.apiserver.generate` derives them from the models of the installed
`kubernetes` client, which are themselves generated from Kubernetes' OpenAPI document.
The client itself is too slow to import for a cluster that is up in seconds.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

TARGET = Path(__file__).with_name("builtin_schemas.json")

KINDS = [
    "V1Pod", "V1Service", "V1ConfigMap", "V1Secret", "V1ServiceAccount", "V1Namespace", "V1Node",
    "CoreV1Event", "V1Endpoints", "V1Deployment", "V1ReplicaSet", "V1EndpointSlice", "V1Role",
    "V1ClusterRole", "V1RoleBinding", "V1ClusterRoleBinding", "V1CustomResourceDefinition",
    "V1Lease", "V1PersistentVolumeClaim", "V1Job", "V1Scale",
]  # fmt: skip

# `patchMergeKey` in the Go types; the client's models do not carry it.
MERGE_KEYS = {
    "V1Container": ["name"], "V1EnvVar": ["name"], "V1Volume": ["name"],
    "V1VolumeMount": ["mountPath"], "V1ContainerPort": ["containerPort"],
    "V1ServicePort": ["port"], "V1LocalObjectReference": ["name"], "V1ObjectReference": ["name"],
    "V1OwnerReference": ["uid"], "V1HostAlias": ["ip"], "V1PodCondition": ["type"],
    "V1DeploymentCondition": ["type"], "V1Condition": ["type"], "V1NamespaceCondition": ["type"],
    "V1NodeCondition": ["type"], "V1ReplicaSetCondition": ["type"],
    "V1EphemeralContainer": ["name"],
}  # fmt: skip
INT_OR_STRING = {"x-kubernetes-int-or-string": True}
# The fields of that type, which the client's models have as any object.
PORTS = {"port", "targetPort", "maxSurge", "maxUnavailable"}
QUANTITIES = {"additionalProperties": INT_OR_STRING, "type": "object"}
SCALARS: dict[str, dict[str, Any]] = {
    "str": {"type": "string"},
    "bytes": {"type": "string", "format": "byte"},
    "int": {"type": "integer"},
    "bool": {"type": "boolean"},
    "float": {"type": "number"},
    "datetime": {"type": "string", "format": "date-time"},
    "object": {"x-kubernetes-preserve-unknown-fields": True},
}


def _type_schema(type_name: str, needed: set[str]) -> dict[str, Any]:
    if type_name in SCALARS:
        return dict(SCALARS[type_name])
    if inner := re.fullmatch(r"[Ll]ist\[(.+)\]", type_name):
        schema = {"type": "array", "items": _type_schema(inner[1], needed)}
        if keys := MERGE_KEYS.get(inner[1]):
            schema |= {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": keys}
        return schema
    if inner := re.fullmatch(r"[Dd]ict[(\[]str, (.+)[)\]]", type_name):
        return {"type": "object", "additionalProperties": _type_schema(inner[1], needed)}
    needed.add(type_name)
    return {"$ref": type_name}


def _model_schema(name: str, needed: set[str]) -> dict[str, Any]:
    from kubernetes.client import models

    model = getattr(models, name)
    properties = {
        model.attribute_map[attribute]: _type_schema(type_name, needed)
        for attribute, type_name in model.openapi_types.items()
    }
    for field in PORTS & properties.keys():
        if properties[field] == SCALARS["object"]:
            properties[field] = dict(INT_OR_STRING)
    if name in ("V1ResourceRequirements", "V1VolumeResourceRequirements"):
        properties |= {"limits": QUANTITIES, "requests": QUANTITIES}
    required = sorted(
        model.attribute_map[attribute]
        for attribute, field in model.model_fields.items()
        if field.is_required() and attribute in model.attribute_map
    )
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    if name == "V1JSONSchemaProps":
        return {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    if name == "V1ObjectMeta":
        properties["finalizers"] |= {"x-kubernetes-list-type": "set"}
    return schema | ({"required": required} if required else {})


def schemas() -> dict[str, Any]:
    """Schema by model name, with references by model name."""
    done: dict[str, Any] = {}
    needed = set(KINDS)
    while missing := sorted(needed - done.keys()):
        for name in missing:
            done[name] = _model_schema(name, needed)
    return dict(sorted(done.items()))


def render() -> str:
    """The text of the file."""
    lines = [f"{json.dumps(k)}: {json.dumps(v, sort_keys=True)}" for k, v in schemas().items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    TARGET.write_text(render())
