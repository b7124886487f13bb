"""Review resources: created, answered and never stored."""

from __future__ import annotations

from typing import Any

from embedded.apiserver import rbac, status
from embedded.apiserver.api import Api, User
from embedded.apiserver.authn import Tokens, user_info
from embedded.apiserver.resources import Resource

Object = dict[str, Any]


def answer(api: Api, tokens: Tokens, user: User, resource: Resource, body: Object) -> Object:
    """The review object with its status; `user` is who asks."""
    match resource.kind:
        case "TokenReview":
            return tokens.review(body)
        case "SelfSubjectReview":
            return _filled(resource, body, {"userInfo": user_info(user)})
        case "SelfSubjectAccessReview":
            return _filled(resource, body, _access(api, user, body))
        case "SubjectAccessReview" | "LocalSubjectAccessReview":
            spec = body.get("spec") or {}
            if not spec.get("user") and not spec.get("groups"):
                text = "at least one of user or group must be specified"
                cause = {"reason": "FieldValueInvalid", "message": text, "field": "spec.user"}
                raise status.invalid(resource.kind, resource.group, "", [cause])
            who = User(spec.get("user", ""), tuple(spec.get("groups") or ()))
            return _filled(resource, body, _access(api, who, body))
        case _:
            namespace = (body.get("spec") or {}).get("namespace", "")
            rules = rbac.rules_for(api, user, namespace)
            found = {
                "incomplete": False,
                "resourceRules": [r for r in rules if "resources" in r],
                "nonResourceRules": [r for r in rules if "nonResourceURLs" in r],
            }
            return _filled(resource, body, found)


def _filled(resource: Resource, body: Object, found: Object) -> Object:
    named = {"apiVersion": resource.api_version("v1"), "kind": resource.kind, "metadata": {}}
    return {**named, "spec": body.get("spec", {}), "status": found}


def _access(api: Api, user: User, body: Object) -> Object:
    spec = body.get("spec") or {}
    asked = spec.get("resourceAttributes")
    if asked is not None:
        wanted = rbac.Attributes(
            asked.get("verb", ""),
            asked.get("group", ""),
            asked.get("resource", ""),
            asked.get("subresource", ""),
            asked.get("namespace", ""),
            asked.get("name", ""),
        )
    else:
        path = spec.get("nonResourceAttributes") or {}
        wanted = rbac.Attributes(path.get("verb", ""), path=path.get("path", ""))
    allowed, why = rbac.authorize(api, user, wanted)
    return {"allowed": allowed} | ({"reason": why} if why else {})
