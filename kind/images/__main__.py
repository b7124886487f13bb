"""`python -m kind.images`: build every image of the table, and serve them; again: nothing to do."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from kind import KindError, cache, engine, registry
from kind.components import Image, Table, table
from kind.images import containers, debian, golang, node, ours, suite
from kind.images.tools import digest, side_by_side, step

Jobs = list[Callable[[], object]]
_REGISTRY_CONFIG = "etc/docker/registry/config.yml"


def main() -> None:
    """Exit code 4 and one line when it cannot be done."""
    try:
        build_all(table())
    except KindError as error:
        sys.exit(_fail(str(error)))


def _fail(text: str) -> int:
    print(text, file=sys.stderr)
    return 4


def build_all(found: Table) -> None:
    """Node image, tools, and every image of the table, in the registry."""
    cache().mkdir(parents=True, exist_ok=True)
    engine.ensure()
    roots = {"slim": debian.SLIM, "node": debian.NODE}
    bootstraps: Jobs = [partial(debian.root_tar, *one) for one in roots.items()]
    modules: Jobs = [
        partial(golang.programs if one.programs else golang.folder, one)
        for one in found.modules.values()
    ]
    side_by_side(bootstraps + modules)
    for tool in ("kind", "helm"):
        golang.host_tool(found.modules[tool], tool)
    slim = debian.slim()
    image = f"{registry.IMAGE}:{slim.partition(':')[2]}"
    if not containers.exists(image):
        serve = containers.entrypoint(
            ["docker-registry", "serve", "/etc/docker/registry/config.yml"]
        )
        containers.build(image, slim, _registry_files, [serve])
    at = registry.start(image)
    node_image = node.build(found, engine.restricted())
    (cache() / "node-image").write_text(node_image)
    bases: Jobs = [partial(base, slim) for base in (ours.stand_ins, suite.built)]
    side_by_side([*bases, golang.pause])  # many images have them in common
    new = sum(side_by_side([partial(_build, found, one, slim, at) for one in found.images]))
    print(f"{len(found.images)} images at {at}, {new} of them new; node: {node_image}")


def node_image() -> str:
    """The node image that was built last; raises KindError before any was."""
    path = cache() / "node-image"
    if not path.exists():
        raise KindError("the images are not built yet: run `make kind-images` first")
    return path.read_text()


def are_built() -> bool:
    """Whether the node image is there, and an image of each of the table's names."""
    return (cache() / "node-image").exists() and all(built().values())


def built() -> dict[str, str]:
    """Each image of the table → what it was made of last, "" if it never was."""
    return {one.image: _stamp(one.image) for one in table().images}


def _stamp(image: str) -> str:
    path = cache() / "pushed" / digest(image)
    return path.read_text() if path.exists() else ""


def _registry_files(root: Path) -> None:
    path = root / _REGISTRY_CONFIG
    path.parent.mkdir(parents=True)
    path.write_text(
        "version: 0.1\nlog: {level: warn, accesslog: {disabled: true}}\n"
        "storage: {filesystem: {rootdirectory: /var/lib/registry}, delete: {enabled: true}}\n"
        f"http: {{addr: ':{registry.PORT}'}}\n"
    )


def _build(found: Table, one: Image, slim: str, at: str) -> bool:
    """Whether it had to be built."""
    base, lay, lines, inputs = _recipe(found, one, slim)
    made = digest(one, base, lines, inputs)
    if _stamp(one.image) == made and registry.has(at, one.image):
        return False
    with step(f"build {one.image}"):
        containers.build(one.image, base, lay, lines)
        registry.push(at, one.image)
    stamp = cache() / "pushed" / digest(one.image)
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text(made)
    return True


def _recipe(found: Table, one: Image, slim: str) -> tuple[str, containers.Lay, list[str], str]:
    """(base, files, Dockerfile lines, digest of what goes in)."""
    lines = [f"USER {one.user}"] if one.user else []
    if one.stand_in:
        base = ours.stand_ins(slim)
        return base, _called(one), [containers.entrypoint([_program_of(one)])], base
    if one.suite:
        base = suite.built(slim)
        return base, _nothing, lines, base
    paths = [_program(found, name) for name in one.programs]
    if one.entrypoint:
        lines.append(containers.entrypoint(one.entrypoint))

    def lay(root: Path) -> None:
        containers.programs(paths)(root)
        for link, program in one.links.items():
            (root / link.lstrip("/")).symlink_to(f"/usr/local/bin/{program}")
        for source, target in one.files.items():
            name, _, path = source.partition("/")
            text = (golang.folder(found.modules[name]) / path).read_text()
            (root / target.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
            (root / target.lstrip("/")).write_text(text)
        for path in ("var/lib/istio/data", "etc/istio/proxy", "tmp"):
            (root / path).mkdir(parents=True, exist_ok=True)
            (root / path).chmod(0o777)

    base = slim if one.base == "debian" else "scratch"
    # A Go program's folder is named by what it was made of; Envoy lies in whichever environment.
    made_of = [debian.envoy_version() if p.name == "envoy" else str(p) for p in paths]
    return base, lay, lines, digest(made_of)


def _nothing(_: Path) -> None:
    """Everything is in the base."""


def _program_of(one: Image) -> str:
    """What a stand-in is called in its image: operators name some by their command."""
    return one.command or "stand-in"


def _called(one: Image) -> containers.Lay:
    """A command of that name."""

    def lay(root: Path) -> None:
        inside = Path("/usr/local/bin") / _program_of(one)  # a whole path stays as it is
        path = root / inside.relative_to("/")
        path.parent.mkdir(parents=True)
        words = " ".join(one.stand_in)
        path.write_text(f'#!/bin/sh\nexec python3 -m embedded.images {words} "$@"\n')
        path.chmod(0o755)

    return lay


def _program(found: Table, name: str) -> Path:
    if name == "pause":
        return golang.pause() / name
    if name == "envoy":
        return debian.envoy() / name
    module = found.module_of(name)
    if module is None:
        raise KindError(f"kind/components.yaml: no module has a program {name}")
    return golang.programs(module) / name


if __name__ == "__main__":
    main()
