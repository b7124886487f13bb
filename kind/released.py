"""What a Kind cluster of upstream's images needs besides them: programs and sources as released.

Nothing is compiled and no Go is wanted. `kind` and `helm` are those that `make kind-images` built,
where it has, or those on PATH, or their releases (kind's as pytest-kind gets it); charts and CRDs
lie in the source archives of the table's versions. What was got is kept in the cache.
"""

from __future__ import annotations

import os
import platform
import shutil
import tarfile
import tempfile
from pathlib import Path

import httpx
import requests
from pytest_kind.cluster import KindCluster

from kind import KindError, cache
from kind.components import Module, table
from kind.images import golang
from kind.images.tools import fresh, step

_KIND = "https://github.com/kubernetes-sigs/kind/releases/download/{version}/kind-{machine}"
_HELM = "https://get.helm.sh/helm-{version}-{machine}.tar.gz"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_SECONDS = 60


def kind() -> Path:
    """The program `kind`. Raises KindError, one line, where it cannot be got."""
    module = table().modules["kind"]
    if found := _present(module, "kind"):
        return found
    target = cache() / "released" / f"kind-{module.version}"
    if not target.exists():
        url = _KIND.format(version=module.version, machine=machine("-"))
        with tempfile.TemporaryDirectory() as scratch:
            os.environ.setdefault("KIND_DOWNLOAD_URL", url)
            made = Path(scratch) / target.name
            try:
                _Getting(made, Path(scratch)).ensure_kind()
            except (requests.RequestException, OSError) as error:
                raise KindError(_not_got("kind", os.environ["KIND_DOWNLOAD_URL"], error)) from error
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(made, target)
    return target


class _Getting(KindCluster):  # type: ignore[misc]
    """pytest-kind's way to its program, without the folder that it makes where it is run."""

    def __init__(self, path: Path, scratch: Path) -> None:
        self.path, self.kind_path = scratch, path
        self.platform = platform.system().lower()


def helm() -> Path:
    """The program `helm`. Raises KindError, one line, where it cannot be got."""
    module = table().modules["helm"]
    if found := _present(module, "helm"):
        return found
    url = _HELM.format(version=module.version, machine=machine("-"))
    return _archive(url, f"helm-{module.version}") / "helm"


def _present(module: Module, program: str) -> Path | None:
    built = golang.built(module) / program
    if built.exists():
        return built
    found = shutil.which(program)
    return Path(found) if found else None


def machine(joined: str) -> str:
    """`linux-amd64`: this machine, as releases call it."""
    architecture = platform.machine().lower()
    return f"{platform.system().lower()}{joined}{_ARCHITECTURES.get(architecture, architecture)}"


def folder(module: Module) -> Path:
    """The folder of a module's source, as its repository has it at the released version."""
    if not module.archive:
        raise KindError(f"kind/components.yaml: the module {module.name} has no archive")
    version = module.released or module.version
    return _archive(module.archive.format(version=version), f"{module.name}-{version}")


def _archive(url: str, name: str) -> Path:
    """What is in the one folder of a .tar.gz, got once."""
    target = cache() / "released" / name
    if target.exists():
        return target
    with step(f"get {name}"), fresh(target) as made, tempfile.TemporaryFile() as file:
        try:
            with httpx.stream("GET", url, follow_redirects=True, timeout=_SECONDS) as answer:
                answer.raise_for_status()
                for part in answer.iter_bytes():
                    file.write(part)
            file.seek(0)
            with tarfile.open(fileobj=file, mode="r:gz") as archive:
                for member in archive.getmembers():
                    member.name = member.name.partition("/")[2]
                    if member.name:
                        archive.extract(member, made, filter="data")
        except (httpx.HTTPError, tarfile.TarError, OSError, EOFError) as error:
            raise KindError(_not_got(name, url, error)) from error
    return target


def _not_got(what: str, url: str, error: Exception) -> str:
    why = " ".join(str(error).split())[:200]
    return f"{what} could not be got from {url}: {why}; have {what.partition('-')[0]} on PATH, or \
`make kind-images` where no such place is reached"
