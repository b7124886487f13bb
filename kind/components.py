"""The table of components, `components.yaml`."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import Any

import yaml

from kind import FOLDER, KindError


@dataclass(frozen=True)
class Module:
    """A Go module: its programs (name → package), and what its build has to know; `archive` is
    where its source is to be had without Go, at the version `released`, if that is another."""

    name: str
    module: str
    version: str
    programs: dict[str, str] = field(default_factory=dict)
    replace: dict[str, str] = field(default_factory=dict)
    stamp: dict[str, str] = field(default_factory=dict)
    staging: str = ""
    # Neither is in `repr`, of which the digest of what was built is made: they build nothing.
    archive: str = field(default="", repr=False)
    released: str = field(default="", repr=False)


@dataclass(frozen=True)
class Image:
    """An image under upstream's name, and what packages make of it; `ours` is one that has no
    place on Kind as upstream publishes it, and is this project's there in any case."""

    image: str
    base: str = "scratch"
    programs: list[str] = field(default_factory=list)
    links: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    entrypoint: list[str] = field(default_factory=list)
    user: str = ""
    command: str = ""
    stand_in: list[str] = field(default_factory=list)
    suite: bool = False
    ours: bool = False


@dataclass(frozen=True)
class Table:
    """All of it."""

    node: str
    modules: dict[str, Module]
    images: list[Image]

    def module_of(self, program: str) -> Module | None:
        """The module that has a program; None for what is no Go program."""
        return next((m for m in self.modules.values() if program in m.programs), None)

    def tag(self, repository: str) -> str:
        """The tag of an image of the table."""
        for one in self.images:
            name, _, tag = one.image.rpartition(":")
            if name == repository:
                return tag
        raise KindError(f"kind/components.yaml has no image {repository}")


@cache
def table() -> Table:
    """The table; raises KindError when a line of it has a field that is not known."""
    raw: dict[str, Any] = yaml.safe_load((FOLDER / "components.yaml").read_text())
    try:
        modules = {name: Module(name, **fields) for name, fields in raw["modules"].items()}
        return Table(raw["node"], modules, [Image(**fields) for fields in raw["images"]])
    except (TypeError, KeyError) as error:
        raise KindError(f"kind/components.yaml: {error}") from error
