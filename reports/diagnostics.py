"""What to look at after a failure: reports/out/diagnostics.

Conditions of everything that has some, events, and the containers' logs; secrets are redacted. On a
cluster that is shared, of the run's own namespaces and those of the gateway, MaaS and Kuadrant
alone, and the last lines of each log.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from fixtures.kube import Kube
from fixtures.secrets import redact
from fixtures.spaces import pods, within

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
SHARED_LINES = 2000
Object = dict[str, Any]


def write(kube: Kube, folder: Path, spaces: set[str] | None = None) -> None:
    """Write the bundle, of these namespaces; what cannot be read is said in its place."""
    folder.mkdir(parents=True, exist_ok=True)
    conditions = {f"{kind}": _conditions(kube, version, kind, spaces) for version, kind in _KINDS}
    text = yaml.dump(conditions, Dumper=yaml.CSafeDumper, sort_keys=False)
    _write(folder / "conditions.yaml", text)
    events = [_event(event) for event in kube.all("v1", "Event") if within(event, spaces)]
    _write(folder / "events.txt", "\n".join(sorted(events)) + "\n")
    for pod in pods(kube, spaces):
        metadata = pod["metadata"]
        for container in pod["spec"]["containers"]:
            name = f"{metadata['namespace']}.{metadata['name']}.{container['name']}.log"
            lines = None if spaces is None else SHARED_LINES
            _write(folder / name, _log(kube, metadata, container["name"], lines))


def _write(path: Path, text: str) -> None:
    path.write_text(redact(text), encoding="utf-8")


def _conditions(kube: Kube, version: str, kind: str, spaces: set[str] | None) -> Any:
    try:
        found = [one for one in kube.all(version, kind) if within(one, spaces)]
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


def _log(kube: Kube, metadata: Object, container: str, lines: int | None) -> str:
    try:
        return kube.pod_log(metadata["namespace"], metadata["name"], container, lines)
    except Exception as error:
        return f"not read: {error}\n"
