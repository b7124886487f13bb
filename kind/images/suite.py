"""`python -m kind.images.suite`: the suite's image, by the project's Containerfile, on a base of
Debian packages and with wheels that were fetched here: neither a registry nor a network is wanted
while it is built.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from kind import FOLDER, PROJECT, KindError, cache, engine
from kind.images import containers, debian
from kind.images.tools import digest, run, step, tree_digest

ROOT = FOLDER.parent
NAME = "ghcr.io/ai-gateway-conformance/suite"
FOLDERS = (
    "ai_gateway_conformance",
    "embedded",
    "fixtures",
    "kind",
    "manifests",
    "reports",
    "suites",
)
FILES = ("Containerfile", "LICENSE", "README.md", "conftest.py", "pyproject.toml")
_PYTHON = "3.11"  # Debian bookworm's


def reference() -> str:
    """The image's name, with the suite's version."""
    return f"{NAME}:{_pyproject()['project']['version']}"


def built(base: str) -> str:
    """The engine's name of the image on a base; built when something of it has changed."""
    sources = [tree_digest(ROOT / folder) for folder in FOLDERS]
    texts = [(ROOT / file).read_text(encoding="utf-8") for file in FILES]
    image = f"{PROJECT}/suite:{digest(sources, texts, base)}"
    if not containers.exists(image):
        wheels = debian.downloaded(_wanted(), _PYTHON)
        with step("build the image of the suite"), tempfile.TemporaryDirectory() as scratch:
            context = Path(scratch)
            for folder in FOLDERS:
                containers.copy_tree(ROOT / folder, context / folder)
            for file in FILES:
                shutil.copy2(ROOT / file, context / file)
            containers.copy_tree(wheels, context / "wheels")
            containers.build_file(image, context, {"BASE": base})
    return image


def _wanted() -> list[str]:
    """What pip wants to install the project, and pip."""
    text = _pyproject()
    found = text["project"]
    embedded = found["optional-dependencies"]["embedded"]
    return sorted(["pip", *text["build-system"]["requires"], *found["dependencies"], *embedded])


def _pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def main() -> int:
    """Exit code 4 and one line when it cannot be done."""
    try:
        cache().mkdir(parents=True, exist_ok=True)
        engine.ensure()
        image = built(debian.slim())
        run(["docker", "tag", image, reference()])
    except KindError as error:
        print(error, file=sys.stderr)
        return 4
    print(reference())
    return 0


if __name__ == "__main__":
    sys.exit(main())
