"""Deployment → ReplicaSet → Pods.

Upstream: `pkg/controller/deployment`, `pkg/controller/replicaset`. A rollout surges: the
new ReplicaSet is complete before the old ones go (maxUnavailable 0); `Recreate` ends the
old ones first. Left out: revision history, pause, maxSurge arithmetic.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from embedded.apiserver.api import Api, now
from embedded.apiserver.decoding import Options
from embedded.apiserver.selectors import matches_labels
from embedded.controllers.loop import Key, own_key, owner_key, run
from embedded.shared.trees import copied

Object = dict[str, Any]
_HASH = "pod-template-hash"


class Deployments:
    """Keeps Deployments and ReplicaSets in step with their Pods."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._deployments = api.resource("apps", "deployments")
        self._sets = api.resource("apps", "replicasets")
        self._pods = api.resource("", "pods")

    async def run_deployments(self) -> None:
        sources = {self._deployments.id: own_key, self._sets.id: owner_key("Deployment")}
        await run(self._api, sources, self._deployment)

    async def run_replica_sets(self) -> None:
        sources = {self._sets.id: own_key, self._pods.id: owner_key("ReplicaSet")}
        await run(self._api, sources, self._replica_set)

    # -- Deployment ---------------------------------------------------------------------

    def _deployment(self, key: Key) -> None:
        found = self._api.store.get(self._deployments.id, key)
        if found is None or "deletionTimestamp" in found["metadata"]:
            return
        replicas = found["spec"]["replicas"]
        owned = [s for s in self._api.store.objects(self._sets.id, key[0]) if _owns(found, s)]
        name = f"{key[1]}-{_template_hash(found)}"
        current = next((s for s in owned if s["metadata"]["name"] == name), None)
        old = [s for s in owned if s is not current]
        recreate = found["spec"]["strategy"].get("type") == "Recreate"
        if recreate and any(s.get("status", {}).get("replicas") for s in old):
            self._scale(old, 0)
        elif current is None:
            self._create_set(found, name)
        else:
            self._scale([current], replicas)
            if current.get("status", {}).get("availableReplicas", 0) >= replicas:
                self._scale(old, 0)
        self._deployment_status(found, current, owned)

    def _create_set(self, deployment: Object, name: str) -> None:
        spec, metadata = deployment["spec"], deployment["metadata"]
        label = {_HASH: name.rsplit("-", 1)[1]}
        template = copied(spec["template"])
        own = template.setdefault("metadata", {})
        own["labels"] = {**own.get("labels", {}), **label}
        selector = copied(spec["selector"])
        selector["matchLabels"] = {**selector.get("matchLabels", {}), **label}
        body = {
            "metadata": {
                "name": name,
                "labels": own["labels"],
                "ownerReferences": [_owner(deployment)],
            },
            "spec": {"replicas": spec["replicas"], "selector": selector, "template": template},
        }
        self._api.create(self._sets, "v1", metadata["namespace"], body, _options())

    def _scale(self, sets: list[Object], replicas: int) -> None:
        for found in sets:
            if found["spec"].get("replicas") != replicas:
                key = own_key(found)[0]
                self._api.mutate(
                    self._sets, *key, lambda s: s["spec"].__setitem__("replicas", replicas)
                )

    def _deployment_status(
        self, deployment: Object, current: Object | None, owned: list[Object]
    ) -> None:
        wanted = deployment["spec"]["replicas"]
        state = (current or {}).get("status", {})
        updated, available = state.get("replicas", 0), state.get("availableReplicas", 0)
        total = sum(s.get("status", {}).get("replicas", 0) for s in owned)
        everything = sum(s.get("status", {}).get("availableReplicas", 0) for s in owned)
        done = available >= wanted
        conditions = [
            _condition(
                "Available",
                everything >= wanted,
                "MinimumReplicasAvailable"
                if everything >= wanted
                else "MinimumReplicasUnavailable",
                f"Deployment {'has' if everything >= wanted else 'does not have'} "
                "minimum availability.",
            ),
            _condition(
                "Progressing",
                True,
                "NewReplicaSetAvailable" if done else "ReplicaSetUpdated",
                f"{available} of {wanted} new replicas are available.",
            ),
        ]
        new = {
            "observedGeneration": deployment["metadata"]["generation"],
            "replicas": total,
            "updatedReplicas": updated,
            "readyReplicas": everything,
            "availableReplicas": everything,
            "unavailableReplicas": max(0, wanted - everything),
        }
        new = {k: v for k, v in new.items() if v} | {"conditions": conditions}
        _set_status(self._api, self._deployments, deployment, new)

    # -- ReplicaSet ---------------------------------------------------------------------

    def _replica_set(self, key: Key) -> None:
        found = self._api.store.get(self._sets.id, key)
        if found is None or "deletionTimestamp" in found["metadata"]:
            return
        pods = [
            p
            for p in self._api.store.objects(self._pods.id, key[0])
            if _owns(found, p)
            and "deletionTimestamp" not in p["metadata"]
            and p.get("status", {}).get("phase") not in ("Failed", "Succeeded")
        ]
        wanted = found["spec"].get("replicas", 1)
        for _ in range(wanted - len(pods)):
            template = copied(found["spec"]["template"])
            metadata = template.setdefault("metadata", {})
            metadata["generateName"] = f"{key[1]}-"
            metadata["ownerReferences"] = [_owner(found)]
            body = {"metadata": metadata, "spec": template["spec"]}
            self._api.create(self._pods, "v1", key[0], body, _options())
        pods.sort(key=lambda p: (_ready(p), p["metadata"]["creationTimestamp"]))
        for pod in pods[: max(0, len(pods) - wanted)]:
            self._api.delete(self._pods, key[0], pod["metadata"]["name"])
        ready = sum(_ready(p) for p in pods)
        new = {
            "observedGeneration": found["metadata"]["generation"],
            "replicas": len(pods),
            "fullyLabeledReplicas": len(pods),
            "readyReplicas": ready,
            "availableReplicas": ready,
        }
        _set_status(self._api, self._sets, found, new)


def _options() -> Options:
    return Options("kube-controller-manager", "Ignore")


def _set_status(api: Api, resource: Any, obj: Object, new: Object) -> None:
    key = own_key(obj)[0]
    status = api.get(resource, *key).get("status", {})
    before = {c["type"]: c for c in status.get("conditions", [])}
    for condition in new.get("conditions", []):
        old = before.get(condition["type"])
        if old and old["status"] == condition["status"]:
            for stamp in ("lastTransitionTime", "lastUpdateTime"):
                condition[stamp] = old.get(stamp, condition[stamp])
    if status != new:
        change = {"status": new}.items()
        api.mutate(resource, *key, lambda o: o.update(change), "status", "kube-controller-manager")


def _condition(kind: str, holds: bool, reason: str, message: str) -> Object:
    return {
        "type": kind,
        "status": str(holds),
        "reason": reason,
        "message": message,
        "lastTransitionTime": now(),
        "lastUpdateTime": now(),
    }


def _template_hash(deployment: Object) -> str:
    text = json.dumps(deployment["spec"]["template"], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def _owner(obj: Object) -> Object:
    return {
        "apiVersion": obj["apiVersion"],
        "kind": obj["kind"],
        "name": obj["metadata"]["name"],
        "uid": obj["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def _owns(owner: Object, obj: Object) -> bool:
    refs = obj["metadata"].get("ownerReferences", [])
    selector = owner["spec"].get("selector")
    return any(r["uid"] == owner["metadata"]["uid"] for r in refs) and matches_labels(
        selector, obj["metadata"].get("labels") or {}
    )


def _ready(pod: Object) -> bool:
    conditions = pod.get("status", {}).get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
