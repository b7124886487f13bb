"""Programs out of Go modules, at the versions of the table.

`go install MODULE@VERSION` refuses modules with `replace` lines, so each is built from a go.mod
of its own that requires it, and takes over the versions and replacements of the module's go.mod.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

from kind import FOLDER, KindError, cache
from kind.components import Module
from kind.images.tools import digest, fresh, need, run, step

_FLAGS = "-mod=mod -buildvcs=false -gcflags=all=-dwarf=false"  # `-s -w` would drop it anyway
_ENV = {
    "CGO_ENABLED": "0", "GOFLAGS": _FLAGS, "GOWORK": "off",
    # A compiler's process ends before its memory is short: a quarter of its work was to collect it.
    "GOGC": "off", "GOMEMLIMIT": "2GiB",
}  # fmt: skip
TRIES = 5
_HOW = "Go 1.24 or newer builds the components (`apt install golang-go`, or go.dev/dl)"


def folder(module: Module) -> Path:
    """The folder of a module's source, downloaded if need be."""
    go = need("go", _HOW)
    named = f"{module.module}@{module.version}"
    found = json.loads(run([go, "mod", "download", "-json", named], env=_ENV, tries=TRIES))
    return Path(found["Dir"])


def built(module: Module) -> Path:
    """Where a module's programs lie once they are built."""
    return cache() / "bin" / f"{module.name}-{module.version}-{digest(module)}"


def programs(module: Module) -> Path:
    """The folder with a module's programs, built unless they are there."""
    target = built(module)
    if not target.exists():
        with step(f"build {module.name} {module.version}"), fresh(target) as made:
            _build(module, made)
    return target


def _build(module: Module, made: Path) -> None:
    go, source = need("go", _HOW), folder(module)
    work = made / "work"
    work.mkdir()
    upstream = json.loads(run([go, "mod", "edit", "-json", source / "go.mod"]))
    (work / "go.mod").write_text(_go_mod(module, upstream))
    if (source / "go.sum").exists():
        shutil.copyfile(source / "go.sum", work / "go.sum")
        (work / "go.sum").chmod(0o644)
    flags = " ".join(["-s", "-w", *(f"-X {name}={value}" for name, value in module.stamp.items())])
    for program, package in module.programs.items():
        path = module.module if package == "." else f"{module.module}/{package}"
        command: list[str | Path] = [
            go,
            "build",
            "-trimpath",
            "-ldflags",
            flags,
            "-o",
            made / program,
            path,
        ]
        run(command, cwd=work, env=_ENV, tries=TRIES)
    shutil.rmtree(work)


def _go_mod(module: Module, upstream: dict[str, Any]) -> str:
    lines = ["module build", f"go {upstream['Go']}", f"require {module.module} {module.version}"]
    replaced = dict(module.replace)
    for one in upstream.get("Replace") or []:
        old, new = one["Old"]["Path"], one["New"]
        if "Version" in new and old not in replaced:
            lines.append(f"replace {old} => {new['Path']} {new['Version']}")
    for one in upstream.get("Require") or []:
        path, version = one["Path"], one["Version"]
        if module.staging and re.fullmatch(r"k8s\.io/[a-z0-9-]+", path) and version == "v0.0.0":
            replaced[path] = module.staging
        lines.append(f"require {path} {version}")
    lines += [f"replace {path} => {path} {version}" for path, version in replaced.items()]
    return "\n".join(lines) + "\n"


def pause() -> Path:
    """The folder with `pause`, the program that holds a Pod's namespaces open: ours."""
    source = FOLDER / "images" / "pause" / "main.go"
    target = cache() / "bin" / f"pause-{digest(source)}"
    if not target.exists():
        with step("build pause"), fresh(target) as made:
            command = [need("go", _HOW), "build", "-trimpath", "-ldflags", "-s -w"]
            run([*command, "-o", made / "pause", source], env=_ENV)
    return target


def host_tool(module: Module, program: str) -> Path:
    """A program that runs on this machine, as `kind` and `helm`."""
    found = programs(module) / program
    if not found.exists():
        raise KindError(f"{found}: not there; remove its folder and build again")
    return found
