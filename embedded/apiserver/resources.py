"""Which resources the API serves: the built-in ones and those of CustomResourceDefinitions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from embedded.apiserver.schema import ObjectSchema, whole

STANDARD_VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]


@dataclass(frozen=True)
class Resource:
    """One resource of one API group; `versions` maps a served version to its schema."""

    group: str
    plural: str
    kind: str
    versions: dict[str, ObjectSchema]
    namespaced: bool = True
    singular: str = ""
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()
    custom: bool = False
    virtual: bool = False  # reviews: created, answered, never stored
    columns: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    scale: dict[str, str] = field(default_factory=dict)

    @property
    def id(self) -> tuple[str, str]:
        return (self.group, self.plural)

    @property
    def storage_version(self) -> str:
        return next(iter(self.versions))

    def api_version(self, version: str) -> str:
        return f"{self.group}/{version}" if self.group else version

    @property
    def verbs(self) -> list[str]:
        return ["create"] if self.virtual else STANDARD_VERBS


def _builtin(
    group: str,
    plural: str,
    kind: str,
    model: str = "",
    *,
    short: str = "",
    namespaced: bool = True,
    sub: tuple[str, ...] = (),
    all_: bool = False,
    scale: dict[str, str] | None = None,
) -> Resource:
    schema = ObjectSchema({"$ref": model or f"V1{kind}"})
    return Resource(
        group=group,
        plural=plural,
        kind=kind,
        versions={"v1": schema},
        namespaced=namespaced,
        singular=kind.lower(),
        short_names=tuple(short.split()),
        categories=("all",) if all_ else (),
        subresources=sub,
        scale=scale or {},
    )


def _review(group: str, plural: str, kind: str, namespaced: bool = False) -> Resource:
    anything = ObjectSchema({"x-kubernetes-preserve-unknown-fields": True})
    return Resource(
        group, plural, kind, {"v1": anything}, namespaced, singular=kind.lower(), virtual=True
    )


_RBAC, _AUTHN, _AUTHZ = (
    "rbac.authorization.k8s.io",
    "authentication.k8s.io",
    "authorization.k8s.io",
)
_REPLICAS = {"spec": "replicas", "status": "replicas"}
_ROOTS = [
    _builtin(
        "", "namespaces", "Namespace", short="ns", namespaced=False, sub=("status", "finalize")
    ),
    _builtin("", "nodes", "Node", short="no", namespaced=False, sub=("status",)),
    _builtin("", "pods", "Pod", short="po", sub=("status", "log", "proxy", "eviction"), all_=True),
    _builtin("", "services", "Service", short="svc", sub=("status", "proxy"), all_=True),
    _builtin("", "endpoints", "Endpoints", short="ep"),
    _builtin("", "configmaps", "ConfigMap", short="cm"),
    _builtin("", "secrets", "Secret"),
    _builtin("", "serviceaccounts", "ServiceAccount", short="sa", sub=("token",)),
    _builtin("", "events", "Event", "CoreV1Event", short="ev"),
    _builtin(
        "",
        "persistentvolumeclaims",
        "PersistentVolumeClaim",
        short="pvc",
        sub=("status",),
    ),
    _builtin(
        "apps",
        "deployments",
        "Deployment",
        short="deploy",
        sub=("status", "scale"),
        all_=True,
        scale=_REPLICAS,
    ),
    _builtin(
        "apps",
        "replicasets",
        "ReplicaSet",
        short="rs",
        sub=("status", "scale"),
        all_=True,
        scale=_REPLICAS,
    ),
    _builtin("coordination.k8s.io", "leases", "Lease"),
    _builtin("discovery.k8s.io", "endpointslices", "EndpointSlice"),
    _builtin(_RBAC, "roles", "Role"),
    _builtin(_RBAC, "clusterroles", "ClusterRole", namespaced=False),
    _builtin(_RBAC, "rolebindings", "RoleBinding"),
    _builtin(_RBAC, "clusterrolebindings", "ClusterRoleBinding", namespaced=False),
    _builtin(
        "apiextensions.k8s.io",
        "customresourcedefinitions",
        "CustomResourceDefinition",
        short="crd crds",
        namespaced=False,
        sub=("status",),
    ),
    _review(_AUTHN, "tokenreviews", "TokenReview"),
    _review(_AUTHN, "selfsubjectreviews", "SelfSubjectReview"),
    _review(_AUTHZ, "subjectaccessreviews", "SubjectAccessReview"),
    _review(_AUTHZ, "selfsubjectaccessreviews", "SelfSubjectAccessReview"),
    _review(_AUTHZ, "selfsubjectrulesreviews", "SelfSubjectRulesReview"),
    _review(_AUTHZ, "localsubjectaccessreviews", "LocalSubjectAccessReview", namespaced=True),
]


def from_crd(crd: dict[str, Any]) -> Resource:
    """The resource that a stored CustomResourceDefinition defines; its storage version first."""
    spec, names = crd["spec"], crd["spec"]["names"]
    served = [v for v in spec["versions"] if v.get("served")]
    served.sort(key=lambda v: not v.get("storage"))
    subresources = {name for v in served for name in (v.get("subresources") or {})}
    return Resource(
        group=spec["group"],
        plural=names["plural"],
        kind=names["kind"],
        versions={
            v["name"]: ObjectSchema(whole(v.get("schema", {}).get("openAPIV3Schema", {})))
            for v in served
        },
        namespaced=spec["scope"] == "Namespaced",
        singular=names.get("singular") or names["kind"].lower(),
        short_names=tuple(names.get("shortNames", ())),
        categories=tuple(names.get("categories", ())),
        subresources=tuple(sorted(subresources & {"status", "scale"})),
        custom=True,
        columns={v["name"]: v.get("additionalPrinterColumns", []) for v in served},
        scale=_REPLICAS if "scale" in subresources else {},
    )


class Registry:
    """Resources by group and plural name."""

    def __init__(self) -> None:
        self._resources = {resource.id: resource for resource in _ROOTS}

    def __iter__(self) -> Iterator[Resource]:
        return iter(self._resources.values())

    def get(self, group: str, plural: str) -> Resource | None:
        return self._resources.get((group, plural))

    def by_kind(self, group: str, kind: str) -> Resource | None:
        return next((r for r in self if r.group == group and r.kind == kind), None)

    def add(self, resource: Resource) -> None:
        self._resources[resource.id] = resource

    def remove(self, group: str, plural: str) -> None:
        self._resources.pop((group, plural), None)

    def groups(self) -> dict[str, dict[str, list[Resource]]]:
        """group → version → resources, the core group ("") first."""
        out: dict[str, dict[str, list[Resource]]] = {}
        for resource in sorted(self, key=lambda r: (r.group, r.plural)):
            for version in resource.versions:
                out.setdefault(resource.group, {}).setdefault(version, []).append(resource)
        return out
