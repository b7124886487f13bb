"""Everything that somebody deployed on a cluster, to be compared: `python -m tests.snapshot FILE`
writes it, `… BEFORE AFTER` compares, with exit code 1 when they differ.

Left out is what comes and goes by itself: events, leases, and what the cluster says of an object
(status, versions, generations, the managers of fields).
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from kubernetes.client.exceptions import ApiException

from fixtures.clusters.existing.kubeconfig import chosen
from fixtures.clusters.existing.ownership import deployed
from fixtures.kube import Kube
from manifests import Object, identity

FLEETING = {"Event", "Lease", "EndpointSlice", "Endpoints", "ComponentStatus"}
# Annotations that are leases, or versions of other objects.
TOLD = {
    "control-plane.alpha.kubernetes.io/leader",
    "deployment.kubernetes.io/revision",
    "limits-cm-resource-version",
}
# Kuadrant's operator makes these of all policies, in an order that changes when it looks again.
UNORDERED = {"WasmPlugin", "Limitador", "AuthConfig", "EnvoyFilter"}
UNORDERED_MAPS = {
    "topology",
    "limitador-limits-config-limitador",
}  # by lines, nodes without numbers


def taken(kube: Kube) -> dict[str, Object]:
    """Identity → object with its uid, of all kinds, but for what is on its way out."""
    found: dict[str, Object] = {}
    namespaces = kube.all("v1", "Namespace")
    ending = {one["metadata"]["name"] for one in namespaces if _ends(one)}
    for api_version, kind in kube.kinds():
        if kind in FLEETING:
            continue
        try:
            listed = kube.all(api_version, kind)
        except ApiException as error:
            if error.status not in (404, 405):
                raise
            continue
        for one in listed:
            whole = {**one, "apiVersion": api_version, "kind": kind}
            if _ends(one) or one["metadata"].get("namespace") in ending:
                continue
            found[" ".join(identity(whole))] = {**kept(whole), "uid": one["metadata"]["uid"]}
    return found


def _ends(obj: Object) -> bool:
    return "deletionTimestamp" in obj["metadata"]


def kept(obj: Object) -> Object:
    """What is compared of an object."""
    found = deployed(obj)
    notes = {k: v for k, v in (found["metadata"].get("annotations") or {}).items() if k not in TOLD}
    found["metadata"] = {**found["metadata"], "annotations": notes}
    if obj["kind"] in UNORDERED:
        return dict(unordered(found))
    if obj["kind"] == "ConfigMap" and obj["metadata"]["name"] in UNORDERED_MAPS:
        data = {k: re.sub(r"\bn\d+\b", "n", v) for k, v in found["data"].items()}
        found["data"] = {k: sorted(v.splitlines()) for k, v in data.items()}
    return found


def unordered(value: Any) -> Any:
    """With every list in one order."""
    if isinstance(value, dict):
        return {k: unordered(v) for k, v in value.items()}
    if isinstance(value, list):
        return sorted(
            (unordered(one) for one in value), key=lambda v: json.dumps(v, sort_keys=True)
        )
    return value


def differences(before: dict[str, Object], after: dict[str, Object]) -> list[str]:
    """What is more, less and other."""
    more = [f"more: {one}" for one in sorted(after.keys() - before.keys())]
    less = [f"less: {one}" for one in sorted(before.keys() - after.keys())]
    both = sorted(before.keys() & after.keys())
    return more + less + [f"other: {one}" for one in both if before[one] != after[one]]


def main() -> None:
    before, *after = map(Path, sys.argv[1:])
    if not after:
        context = chosen()
        path = before.with_suffix(".kubeconfig")
        path.touch(mode=0o600)
        path.write_text(json.dumps(context))
        try:
            before.write_text(json.dumps(taken(Kube(path)), indent=1, sort_keys=True))
        finally:
            path.unlink()
        return
    found = differences(*(json.loads(path.read_text()) for path in (before, after[0])))
    print("\n".join(found) or "equal")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
