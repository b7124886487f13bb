"""What to look at after a failure: reports/out/diagnostics.

Conditions of everything that has some, events, the proxies' logs and configuration; secrets
are redacted.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from fixtures.kube import Kube
from fixtures.secrets import redact

_GATEWAY = "gateway.networking.k8s.io/v1"
_KINDS = [
    ("apps/v1", "Deployment"),
    ("v1", "Pod"),
    (_GATEWAY, "GatewayClass"),
    (_GATEWAY, "Gateway"),
    (_GATEWAY, "HTTPRoute"),
    ("kuadrant.io/v1", "AuthPolicy"),
    ("kuadrant.io/v1", "RateLimitPolicy"),
    ("kuadrant.io/v1alpha1", "TokenRateLimitPolicy"),
    ("serving.kserve.io/v1alpha1", "LLMInferenceService"),
]
Object = dict[str, Any]


def write(kube: Kube, folder: Path) -> None:
    """Write the bundle; what cannot be read is said in its place."""
    folder.mkdir(parents=True, exist_ok=True)
    conditions = {f"{kind}": _conditions(kube, version, kind) for version, kind in _KINDS}
    _write(folder / "conditions.yaml", yaml.safe_dump(conditions, sort_keys=False))
    events = [_event(event) for event in kube.all("v1", "Event")]
    _write(folder / "events.txt", "\n".join(sorted(events)) + "\n")
    for pod in kube.all("v1", "Pod"):
        metadata = pod["metadata"]
        for container in pod["spec"]["containers"]:
            name = f"{metadata['namespace']}.{metadata['name']}.{container['name']}.log"
            _write(folder / name, _log(kube, metadata, container["name"]))


def _write(path: Path, text: str) -> None:
    path.write_text(redact(text))


def _conditions(kube: Kube, version: str, kind: str) -> Any:
    try:
        found = kube.all(version, kind)
    except Exception as error:  # a kind that this cluster does not have
        return f"not read: {error}"
    return {
        f"{o['metadata'].get('namespace', '')}/{o['metadata']['name']}": _shown(o) for o in found
    }


def _shown(obj: Object) -> list[str]:
    status = obj.get("status", {})
    holders = [status, *status.get("parents", []), *status.get("listeners", [])]
    return [
        f"{c['type']}={c['status']} {c.get('reason', '')} {c.get('message', '')}".strip()
        for holder in holders
        for c in holder.get("conditions", [])
    ]


def _event(event: Object) -> str:
    about = event.get("involvedObject", {})
    where = f"{about.get('kind')} {about.get('namespace')}/{about.get('name')}"
    return f"{event.get('lastTimestamp')} {event.get('reason')} {where}: {event.get('message')}"


def _log(kube: Kube, metadata: Object, container: str) -> str:
    try:
        return kube.pod_log(metadata["namespace"], metadata["name"], container)
    except Exception as error:
        return f"not read: {error}\n"
