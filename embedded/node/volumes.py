"""ConfigMaps, Secrets, projected tokens and emptyDirs as files.

Upstream: `k8s.io/kubernetes/pkg/volume`, files as its `util/atomic_writer.go` lays them out: they
lie in a folder `..<time>` that the link `..data` leads to, and what a program opens is a link into
`..data`. A change makes another folder and takes the link there by one rename, so that a reader
sees all the old files or all the new ones, and a program that watches the link hears of it. Left
out: modes (all files are their owner's alone), tokens that are renewed.
"""

from __future__ import annotations

import base64
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embedded.apiserver.api import Api

if TYPE_CHECKING:
    from embedded.apiserver.authn import Tokens

Object = dict[str, Any]
DATA = "..data"


class MountError(Exception):
    """A volume that cannot be set up (yet); the text is kubelet's event message."""


class Volumes:
    """Sets up the volumes of one Pod below `folder`."""

    def __init__(self, api: Api, tokens: Tokens, pod: Object, folder: Path) -> None:
        self._api, self._tokens, self._pod = api, tokens, pod
        self._namespace: str = pod["metadata"]["namespace"]
        self._folder = folder
        self._issued: dict[str, bytes] = {}

    def path(self, name: str) -> Path:
        return self._folder / name

    def write(self) -> None:
        """Write what is missing or has changed; raises MountError."""
        for volume in self._pod["spec"].get("volumes", []):
            target = self.path(volume["name"])
            target.mkdir(parents=True, exist_ok=True)
            if "emptyDir" in volume:
                continue
            _lay_out(target, dict(self._files(volume)))

    def references(self) -> set[tuple[str, str]]:
        """(plural, name) of every ConfigMap and Secret that is mounted."""
        found = set()
        for volume in self._pod["spec"].get("volumes", []):
            sources = volume.get("projected", {}).get("sources", [volume])
            for source in sources:
                if "configMap" in source:
                    found.add(("configmaps", source["configMap"]["name"]))
                if "secret" in source:
                    secret = source["secret"]
                    found.add(("secrets", secret.get("secretName") or secret.get("name", "")))
        return found

    def _files(self, volume: Object) -> Iterator[tuple[str, bytes]]:
        name = volume["name"]
        if "projected" in volume:
            for source in volume["projected"]["sources"]:
                yield from self._source(name, source)
        elif "configMap" in volume or "secret" in volume or "downwardAPI" in volume:
            yield from self._source(name, volume)
        else:
            kind = next((k for k in volume if k != "name"), "nothing")
            raise MountError(
                f'volume "{name}": the embedded node mounts configMap, secret, projected, '
                f"downwardAPI and emptyDir, not {kind}"
            )

    def _source(self, volume: str, source: Object) -> Iterator[tuple[str, bytes]]:
        if "configMap" in source:
            found = self._referenced(volume, "configmaps", source["configMap"], "name")
            data = {k: v.encode() for k, v in (found.get("data") or {}).items()}
            binary = found.get("binaryData") or {}
            data |= {k: base64.b64decode(v) for k, v in binary.items()}
            yield from _items(volume, source["configMap"], data)
        elif "secret" in source:
            key = "secretName" if "secretName" in source["secret"] else "name"
            found = self._referenced(volume, "secrets", source["secret"], key)
            data = {k: base64.b64decode(v) for k, v in (found.get("data") or {}).items()}
            yield from _items(volume, source["secret"], data)
        elif "serviceAccountToken" in source:
            yield source["serviceAccountToken"]["path"], self._token(source["serviceAccountToken"])
        elif "downwardAPI" in source:
            for item in source["downwardAPI"]["items"]:
                path = item.get("fieldRef", {}).get("fieldPath", "")
                yield item["path"], field_value(self._pod, path).encode()

    def _referenced(self, volume: str, plural: str, source: Object, key: str) -> Object:
        name = source[key]
        found = self._api.find("", plural, self._namespace, name)
        if found is None:
            if source.get("optional"):
                return {}
            kind = plural.removesuffix("s")
            message = f'MountVolume.SetUp failed for volume "{volume}" : {kind} "{name}" not found'
            raise MountError(message)
        return found

    def _token(self, source: Object) -> bytes:
        # One token for the life of the Pod: it is valid for longer than the cluster lives.
        path = source["path"]
        if path not in self._issued:
            name = self._pod["spec"]["serviceAccountName"]
            account = self._api.find("", "serviceaccounts", self._namespace, name)
            if account is None:
                raise MountError(f'serviceaccount "{name}" not found')
            audience = source.get("audience")
            spec = {"audiences": [audience] if audience else [], "expirationSeconds": 30 * 86400}
            answer = self._tokens.request(account, {"spec": spec}, self._pod)
            self._issued[path] = answer["status"]["token"].encode()
        return self._issued[path]


def _items(volume: str, source: Object, data: dict[str, bytes]) -> Iterator[tuple[str, bytes]]:
    if not source.get("items"):
        yield from data.items()
        return
    for item in source["items"]:
        if item["key"] not in data:
            message = f'MountVolume.SetUp failed for volume "{volume}" : references non-existent '
            raise MountError(f"{message}key: {item['key']}")
        yield item["path"], data[item["key"]]


def _lay_out(target: Path, wanted: dict[str, bytes]) -> None:
    """The files of a volume, path below it → content; nothing is touched when they are there."""
    link = target / DATA
    if link.is_symlink() and _found(link) == wanted:
        return
    old = link.resolve() if link.is_symlink() else None
    made = Path(tempfile.mkdtemp(prefix=time.strftime("..%Y_%m_%d_%H_%M_%S."), dir=target))
    for relative, content in wanted.items():
        path = made / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(0o600)
        path.write_bytes(content)
    coming = target / f"{DATA}_tmp"
    coming.unlink(missing_ok=True)
    coming.symlink_to(made.name)
    coming.rename(link)
    shown = {Path(relative).parts[0] for relative in wanted}
    for name in shown:
        if not (target / name).is_symlink():
            (target / name).symlink_to(Path(DATA) / name)
    for name in os.listdir(target):
        if not name.startswith("..") and name not in shown:
            (target / name).unlink()
    if old is not None:
        shutil.rmtree(old, ignore_errors=True)


def _found(link: Path) -> dict[str, bytes]:
    files = [path for path in link.resolve().rglob("*") if path.is_file()]
    return {str(path.relative_to(link.resolve())): path.read_bytes() for path in files}


def field_value(pod: Object, path: str) -> str:
    """A downward API field such as `metadata.name` or `metadata.labels['app']`."""
    if path.startswith(("metadata.labels[", "metadata.annotations[")):
        kind, key = path.split(".")[1].split("[")[0], path.split("'")[1]
        return str(pod["metadata"].get(kind, {}).get(key, ""))
    value: Any = pod
    for part in path.split("."):
        value = value.get(part, "") if isinstance(value, dict) else ""
    return str(value)
