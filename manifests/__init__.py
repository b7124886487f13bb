"""Renders the kustomizations of this folder without the kustomize binary.

`kubectl apply -k` takes the same folders; `render` is what the suite and the embedded
cluster use, so that neither needs kubectl. It knows the part of kustomize that the
manifests use, and refuses the rest by name. `tests/contract` holds it against
`kubectl kustomize`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonpatch
import yaml

Object = dict[str, Any]
FOLDER = Path(__file__).parent
# Of the gateways' host names here, on clusters that have none of their own.
DOMAIN = "apps.embedded.test"
_KNOWN = {
    "apiVersion", "kind", "resources", "patches", "configMapGenerator", "generatorOptions",
}  # fmt: skip


class ManifestError(Exception):
    """A kustomization or manifest that cannot be used, and why."""


def render(folder: Path) -> list[Object]:
    """Every object of a kustomization, patched, in the order of its resources.

    Raises ManifestError naming the file.
    """
    objects = list(_kustomization(folder.resolve()))
    seen = set()
    for obj in objects:
        if identity(obj) in seen:
            raise ManifestError(f"{folder}: {' '.join(identity(obj))} is there twice")
        seen.add(identity(obj))
    return objects


Identity = tuple[str, str, str, str]


def identity(obj: Object) -> Identity:
    """(apiVersion, kind, namespace, name)."""
    metadata = obj["metadata"]
    return (obj["apiVersion"], obj["kind"], metadata.get("namespace", ""), metadata["name"])


def load(path: Path) -> list[Object]:
    """The objects of one YAML file."""
    try:
        documents = list(yaml.load_all(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader))
    except OSError as error:
        raise ManifestError(f"{path}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise ManifestError(f"{path}: not YAML: {error}") from error
    objects = [d for d in documents if d is not None]
    for obj in objects:
        complete = isinstance(obj, dict) and obj.get("apiVersion") and obj.get("kind")
        if not complete or not (obj.get("metadata") or {}).get("name"):
            raise ManifestError(f"{path}: an object without apiVersion, kind or metadata.name")
    return objects


def _kustomization(folder: Path) -> Iterator[Object]:
    path = folder / "kustomization.yaml"
    try:
        spec = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader) or {}
    except OSError as error:
        raise ManifestError(f"{path}: {error.strerror}") from error
    if unknown := spec.keys() - _KNOWN:
        raise ManifestError(
            f"{path}: {', '.join(sorted(unknown))}: not rendered here; known are "
            f"{', '.join(sorted(_KNOWN))}"
        )
    objects = [obj for name in spec.get("resources", []) for obj in _resource(folder / name)]
    options = spec.get("generatorOptions", {})
    for generator in spec.get("configMapGenerator", []):
        if not options.get("disableNameSuffixHash"):
            raise ManifestError(f"{path}: set generatorOptions.disableNameSuffixHash: true")
        objects.append(_config_map(folder, generator))
    for patch in spec.get("patches", []):
        objects = _patched(path, objects, patch)
    yield from objects


def _resource(path: Path) -> Iterator[Object]:
    if path.is_dir():
        yield from _kustomization(path)
    else:
        yield from load(path)


def _config_map(folder: Path, generator: Object) -> Object:
    data = {}
    for entry in generator.get("files", []):
        key, _, name = entry.rpartition("=")
        source = folder / name
        data[key or source.name] = source.read_text(encoding="utf-8")
    for entry in generator.get("literals", []):
        key, _, value = entry.partition("=")
        data[key] = value
    metadata = {"name": generator["name"]}
    if "namespace" in generator:
        metadata["namespace"] = generator["namespace"]
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def _patched(path: Path, objects: list[Object], patch: Object) -> list[Object]:
    text = (
        (path.parent / patch["path"]).read_text(encoding="utf-8")
        if "path" in patch
        else patch["patch"]
    )
    operations, target = yaml.load(text, Loader=yaml.CSafeLoader), patch.get("target")
    if not isinstance(operations, list) or not target:
        raise ManifestError(f"{path}: patches must be JSON 6902 lists with a target")
    hits = [obj for obj in objects if _targeted(obj, target)]
    if not hits:
        raise ManifestError(f"{path}: no object matches the patch target {target}")
    try:
        return [jsonpatch.apply_patch(o, operations) if o in hits else o for o in objects]
    except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException) as error:
        raise ManifestError(f"{path}: patch on {target}: {error}") from error


def _targeted(obj: Object, target: Object) -> bool:
    group = obj["apiVersion"].rpartition("/")[0]
    found = {"group": group, "kind": obj["kind"], **{k: obj["metadata"].get(k, "") for k in
             ("name", "namespace")}}  # fmt: skip
    return all(re.fullmatch(str(wanted), found[key]) for key, wanted in target.items())
