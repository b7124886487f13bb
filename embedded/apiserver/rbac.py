"""RBAC over the stored Role and Binding objects.

Upstream: `k8s.io/kubernetes/plugin/pkg/auth/authorizer/rbac`. Left out: aggregated
ClusterRoles and the escalation check.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from embedded.apiserver.api import Api, User

Object = dict[str, Any]
_GROUP = "rbac.authorization.k8s.io"


@dataclass(frozen=True)
class Attributes:
    """What is asked for; either a resource or a non-resource `path`."""

    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""


def authorize(api: Api, user: User, wanted: Attributes) -> tuple[bool, str]:
    """(allowed, reason), the reason in Kubernetes' words."""
    if "system:masters" in user.groups:
        return True, ""
    for binding in api.store.objects((_GROUP, "clusterrolebindings")):
        if _applies(binding, user) and _grants(api, binding, "", wanted):
            return True, _allowed_by("ClusterRoleBinding", binding, user)
    if wanted.namespace:
        for binding in api.store.objects((_GROUP, "rolebindings"), wanted.namespace):
            if _applies(binding, user) and _grants(api, binding, wanted.namespace, wanted):
                return True, _allowed_by("RoleBinding", binding, user)
    return False, ""


def denial(user: User, wanted: Attributes) -> str:
    """The text behind `… is forbidden: `."""
    if wanted.path:
        return f'User "{user.name}" cannot {wanted.verb} path "{wanted.path}"'
    what = wanted.resource + (f"/{wanted.subresource}" if wanted.subresource else "")
    where = f'in the namespace "{wanted.namespace}"' if wanted.namespace else "at the cluster scope"
    return (
        f'User "{user.name}" cannot {wanted.verb} resource "{what}" in API group '
        f'"{wanted.group}" {where}'
    )


def rules_for(api: Api, user: User, namespace: str) -> list[Object]:
    """Every rule that applies to `user` in `namespace`, for SelfSubjectRulesReview."""
    rules: list[Object] = []
    for plural, scope in (("clusterrolebindings", ""), ("rolebindings", namespace)):
        for binding in api.store.objects((_GROUP, plural), scope):
            if _applies(binding, user):
                rules += _rules(api, binding, scope)
    if "system:masters" in user.groups:
        rules.append({"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]})
        rules.append({"nonResourceURLs": ["*"], "verbs": ["*"]})
    return rules


def _applies(binding: Object, user: User) -> bool:
    for subject in binding.get("subjects") or []:
        match subject["kind"]:
            case "User" if subject["name"] == user.name:
                return True
            case "Group" if subject["name"] in user.groups:
                return True
            case "ServiceAccount":
                namespace = subject.get("namespace", binding["metadata"].get("namespace", ""))
                if user.name == f"system:serviceaccount:{namespace}:{subject['name']}":
                    return True
    return False


def _rules(api: Api, binding: Object, namespace: str) -> list[Object]:
    ref = binding["roleRef"]
    plural, scope = ("roles", namespace) if ref["kind"] == "Role" else ("clusterroles", "")
    role = api.store.get((_GROUP, plural), (scope, ref["name"]))
    return (role or {}).get("rules") or []


def _grants(api: Api, binding: Object, namespace: str, wanted: Attributes) -> bool:
    return any(_rule_allows(rule, wanted) for rule in _rules(api, binding, namespace))


def _rule_allows(rule: Object, wanted: Attributes) -> bool:
    if not {"*", wanted.verb} & set(rule.get("verbs", [])):
        return False
    if wanted.path:
        return any(
            url in ("*", wanted.path) or (url.endswith("*") and wanted.path.startswith(url[:-1]))
            for url in rule.get("nonResourceURLs", [])
        )
    names = rule.get("resourceNames")
    whole = wanted.resource + (f"/{wanted.subresource}" if wanted.subresource else "")
    resources = {"*", whole} | ({f"*/{wanted.subresource}"} if wanted.subresource else set())
    return bool(
        {"*", wanted.group} & set(rule.get("apiGroups", []))
        and resources & set(rule.get("resources", []))
        and (not names or wanted.name in names)
    )


def _allowed_by(kind: str, binding: Object, user: User) -> str:
    ref, metadata = binding["roleRef"], binding["metadata"]
    where = (
        f"{metadata['name']}/{metadata['namespace']}"
        if "namespace" in metadata
        else (metadata["name"])
    )
    subject = next(
        (
            s
            for s in binding.get("subjects", [])
            if s["kind"] == "Group" and s["name"] in user.groups
        ),
        None,
    )
    whom = f'Group "{subject["name"]}"' if subject else f'User "{user.name}"'
    if not subject and user.name.startswith("system:serviceaccount:"):
        namespace, name = user.name.split(":")[2:4]
        whom = f'ServiceAccount "{name}/{namespace}"'
    return f'RBAC: allowed by {kind} "{where}" of {ref["kind"]} "{ref["name"]}" to {whom}'
