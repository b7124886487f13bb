"""Discovery documents, aggregated and not, and the OpenAPI that kubectl asks for.

Upstream: `k8s.io/apiserver/pkg/endpoints/discovery` and `…/aggregated`. The OpenAPI v3
documents hold paths with their query parameters, from which kubectl learns that the
server validates fields; they hold no schemas, so `kubectl explain` is left out.
"""

from __future__ import annotations

from typing import Any

from embedded.apiserver.resources import STANDARD_VERBS, Registry, Resource

Object = dict[str, Any]
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
OPENAPI_V2 = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
VERSION = {
    "major": "1",
    "minor": "33",
    "gitVersion": "v1.33.0-embedded",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "1970-01-01T00:00:00Z",
    "goVersion": "",
    "compiler": "",
    "platform": "linux/amd64",
}
_SUB_VERBS = {"log": ["get"], "token": ["create"], "eviction": ["create"], "finalize": ["update"]}
_SUB_KINDS = {
    "token": ("authentication.k8s.io", "v1", "TokenRequest"),
    "scale": ("autoscaling", "v1", "Scale"),
    "eviction": ("policy", "v1", "Eviction"),
}


def api_versions() -> Object:
    return {"kind": "APIVersions", "apiVersion": "v1", "versions": ["v1"]}


def _group(group: str, versions: list[str]) -> Object:
    named = [{"groupVersion": f"{group}/{v}", "version": v} for v in versions]
    return {"name": group, "versions": named, "preferredVersion": named[0]}


def group_list(registry: Registry) -> Object:
    groups = [_group(g, list(v)) for g, v in registry.groups().items() if g]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def group(registry: Registry, name: str) -> Object | None:
    versions = registry.groups().get(name)
    if not name or versions is None:
        return None
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(name, list(versions))}


def resource_list(registry: Registry, group_name: str, version: str) -> Object | None:
    """The APIResourceList of one group version, or None."""
    found = registry.groups().get(group_name, {}).get(version)
    if found is None:
        return None
    entries: list[Object] = []
    for resource in found:
        entry = {
            "name": resource.plural,
            "singularName": resource.singular,
            "namespaced": resource.namespaced,
            "kind": resource.kind,
            "verbs": resource.verbs,
        }
        if resource.short_names:
            entry["shortNames"] = list(resource.short_names)
        if resource.categories:
            entry["categories"] = list(resource.categories)
        entries.append(entry)
        for sub in resource.subresources:
            sub_group, sub_version, kind = _sub_kind(resource, version, sub)
            entries.append(
                {
                    "name": f"{resource.plural}/{sub}",
                    "singularName": "",
                    "namespaced": resource.namespaced,
                    "kind": kind,
                    "verbs": _sub_verbs(sub),
                    **({"group": sub_group, "version": sub_version} if sub in _SUB_KINDS else {}),
                }
            )
    group_version = f"{group_name}/{version}" if group_name else version
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": group_version,
        "resources": entries,
    }


def _sub_kind(resource: Resource, version: str, sub: str) -> tuple[str, str, str]:
    return _SUB_KINDS.get(sub, (resource.group, version, resource.kind))


def _sub_verbs(sub: str) -> list[str]:
    return _SUB_VERBS.get(sub, ["get", "patch", "update"])


def aggregated(registry: Registry, core: bool) -> Object:
    """`/api` (core) or `/apis` in one document, as kubectl prefers it."""
    items = []
    for name, versions in registry.groups().items():
        if (name == "") != core:
            continue
        items.append(
            {
                "metadata": {"name": name} if name else {},
                "versions": [
                    {
                        "version": version,
                        "freshness": "Current",
                        "resources": [_discovered(r, version) for r in resources],
                    }
                    for version, resources in versions.items()
                ],
            }
        )
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": items,
    }


def _discovered(resource: Resource, version: str) -> Object:
    entry: Object = {
        "resource": resource.plural,
        "responseKind": _kind(resource.group, version, resource.kind),
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular,
        "verbs": resource.verbs,
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    if resource.subresources:
        entry["subresources"] = [
            {
                "subresource": sub,
                "responseKind": _kind(*_sub_kind(resource, version, sub)),
                "verbs": _sub_verbs(sub),
            }
            for sub in resource.subresources
        ]
    return entry


def _kind(group_name: str, version: str, kind: str) -> Object:
    return {"group": group_name, "version": version, "kind": kind}


def openapi_index(registry: Registry) -> Object:
    paths = {}
    for group_name, versions in registry.groups().items():
        for version in versions:
            path = f"apis/{group_name}/{version}" if group_name else f"api/{version}"
            paths[path] = {"serverRelativeURL": f"/openapi/v3/{path}"}
    return {"paths": paths}


def openapi(registry: Registry, group_name: str, version: str) -> Object | None:
    """The OpenAPI v3 document of one group version, or None."""
    found = registry.groups().get(group_name, {}).get(version)
    if found is None:
        return None
    prefix = f"/apis/{group_name}/{version}" if group_name else f"/api/{version}"
    parameters = [
        {"name": name, "in": "query", "schema": {"type": "string"}}
        for name in ("dryRun", "fieldManager", "fieldValidation", "force")
    ]
    paths = {}
    for resource in found:
        if set(resource.verbs) != set(STANDARD_VERBS):
            continue
        kind = _kind(group_name, version, resource.kind)
        scope = "/namespaces/{namespace}" if resource.namespaced else ""
        collection = f"{prefix}{scope}/{resource.plural}"

        def operation(action: str, kind: Object = kind) -> Object:
            return {
                "x-kubernetes-action": action,
                "x-kubernetes-group-version-kind": kind,
                "parameters": parameters,
                "responses": {"200": {"description": "OK"}},
            }

        paths[collection] = {"post": operation("post")}
        paths[collection + "/{name}"] = {"put": operation("put"), "patch": operation("patch")}
    info = {"title": "Kubernetes", "version": VERSION["gitVersion"]}
    return {"openapi": "3.0.0", "info": info, "paths": paths, "components": {"schemas": {}}}
