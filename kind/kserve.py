"""KServe's LLMInferenceService controller on Kind: CRDs, webhooks and presets of its module.

Its charts leave certificates to cert-manager, which is not installed: the webhooks' pair is made by
the provider, and its CA is written where cert-manager's injector would write it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from kind import cache
from kind.components import Module

Object = dict[str, Any]
NAMESPACE = "kserve"
# The webhooks' host name, for which their certificate is.
HOST = f"llmisvc-webhook-server-service.{NAMESPACE}.svc"
_CHART = "charts/kserve-llmisvc-resources"
_CRDS = "charts/kserve-llmisvc-crd/templates"
# What a model without a scheduler, prefill or workers is put together from.
_PRESETS = ("config-llm-template", "config-llm-router-route")
_WORKER_SETS = "config/crd/bases/leaderworkerset.x-k8s.io_leaderworkersets.yaml"
_KINDS = ("llminferenceservices", "llminferenceserviceconfigs")
Chart = Callable[[str, str, str, Object], list[Object]]


@dataclass(frozen=True)
class Pair:
    """A certificate with its key, and the CA that issued it, as PEM."""

    authority: str
    certificate: str
    key: str


def objects(
    module: Module, workers: Module, source: Callable[[Module], Path], chart: Chart, pair: Pair
) -> list[Object]:
    """Everything of it, in order.

    `workers` has the CRD of LeaderWorkerSets: KServe makes none here, but asks for them.
    `source` gives a module's folder; `chart` renders a chart: (module's name, path, namespace,
    values).
    """
    folder = source(module)
    found = [_crd(folder / _CRDS / f"serving.kserve.io_{kind}.yaml", module) for kind in _KINDS]
    found.append(_crd(source(workers) / _WORKER_SETS, workers))
    found.append(_secret(pair))
    found += [o for o in chart(module.name, _CHART, NAMESPACE, {}) if _is_ours(o)]
    for obj in found:
        _trust(obj, pair.authority)
        if obj["kind"] == "ConfigMap":
            _ask_for_less(obj)
    return found + [_preset(folder / "config" / "llmisvcconfig" / f"{n}.yaml") for n in _PRESETS]


def _crd(path: Path, module: Module) -> Object:
    """Two megabytes of YAML: parsed once for each version."""
    parsed = cache() / "parsed" / f"{module.name}-{module.version}-{path.stem}.json"
    if not parsed.exists():
        parsed.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(yaml.load(path.read_text(), Loader=yaml.CSafeLoader))
        fresh = parsed.with_suffix(".new")
        fresh.write_text(text)
        fresh.rename(parsed)
    found: Object = json.loads(parsed.read_text())
    return found


def _is_ours(obj: Object) -> bool:
    """Not for cert-manager; not of KServe's other controllers; and not of the Gateway API's
    inference extension, which no model of the documents uses: Services dial models."""
    if obj["kind"] == "CustomResourceDefinition":
        return "inference.networking" not in obj["spec"]["group"]
    return "cert-manager.io" not in obj["apiVersion"] and obj["kind"] != "ClusterStorageContainer"


def _secret(pair: Pair) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "llmisvc-webhook-server-cert", "namespace": NAMESPACE},
        "type": "kubernetes.io/tls",
        "stringData": {"tls.crt": pair.certificate, "tls.key": pair.key},
    }


def _trust(obj: Object, authority: str) -> None:
    """The CA in whatever names a webhook."""
    bundle = base64.b64encode(authority.encode()).decode()
    if obj["kind"] == "CustomResourceDefinition" and "conversion" in obj["spec"]:
        obj["spec"]["conversion"]["webhook"]["clientConfig"]["caBundle"] = bundle
    for webhook in obj.get("webhooks", []):
        webhook["clientConfig"]["caBundle"] = bundle


def _ask_for_less(config: Object) -> None:
    """A tenth of a core for each model that is loaded would fill two cores."""
    settings = json.loads(config["data"]["storageInitializer"])
    config["data"]["storageInitializer"] = json.dumps({**settings, "cpuRequest": "10m"})


def _preset(path: Path) -> Object:
    found: Object = yaml.safe_load(path.read_text())
    found["metadata"]["namespace"] = NAMESPACE
    return found
