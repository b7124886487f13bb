"""Images out of files: a Dockerfile and `docker build`, then a push to the local registry."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from kind import cache
from kind.images.tools import GENERATED, run, step

# The classic builder: BuildKit is a plugin that not every machine has, and nothing here needs it.
_ENV = {"DOCKER_BUILDKIT": "0"}
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
Lay = Callable[[Path], None]


def exists(image: str) -> bool:
    """Whether the engine has an image."""
    return bool(run(["docker", "images", "--quiet", image]).strip())


def imported(name: str, tar: Path, version: str) -> str:
    """An image of a root file system; its local name."""
    image = f"{name}:{version}"
    if not exists(image):
        with step(f"import {name}"):
            run(["docker", "import", tar, image])
    return image


def build(image: str, base: str, lay: Lay, lines: list[str]) -> None:
    """Build an image: what `lay` puts into a folder becomes its files, on top of `base`."""
    with tempfile.TemporaryDirectory(dir=cache()) as scratch:
        context = Path(scratch)
        (context / "root").mkdir()
        lay(context / "root")
        dockerfile = [f"FROM {base}", "COPY root/ /", f"ENV PATH={PATH}", *lines]
        (context / "Dockerfile").write_text("\n".join(dockerfile) + "\n")
        run(["docker", "build", "--quiet", "--tag", image, context], env=_ENV)


def build_file(image: str, context: Path, arguments: dict[str, str]) -> None:
    """Build an image by a folder's own Containerfile."""
    words = [f"--build-arg={name}={value}" for name, value in arguments.items()]
    file = context / "Containerfile"
    run(["docker", "build", "--quiet", "--tag", image, *words, "--file", file, context], env=_ENV)


def programs(paths: list[Path]) -> Lay:
    """Puts programs into /usr/local/bin."""

    def lay(root: Path) -> None:
        folder = root / "usr" / "local" / "bin"
        folder.mkdir(parents=True, exist_ok=True)
        for path in paths:
            try:
                os.link(path, folder / path.name)
            except OSError:  # another file system
                shutil.copy2(path, folder / path.name)

    return lay


def entrypoint(words: list[str]) -> str:
    """The Dockerfile's line."""
    return f"ENTRYPOINT {json.dumps(words)}"


def copy_tree(source: Path, target: Path) -> None:
    """A folder's files, without what is generated."""
    shutil.copytree(source, target, ignore=shutil.ignore_patterns(*GENERATED))
