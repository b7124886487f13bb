"""What a cluster was made of, so that a later run can tell whether it still is: the project's
sources, Python and its packages, the platform's manifests, and `--image` with its programs."""

from __future__ import annotations

import hashlib
import importlib.util
import itertools
import json
import shlex
import shutil
import site
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from manifests import FOLDER, render

PLATFORM = FOLDER / "platform" / "embedded"
_ROOT = FOLDER.parent
SOURCES, PYTHON, MANIFESTS, IMAGES = "sources", "python", "platform", "images"
_WORDS = {
    SOURCES: "other sources in embedded/",
    PYTHON: "another Python or other packages",
    MANIFESTS: "other manifests of the platform",
    IMAGES: "another --image",
}
PROGRAM = "program of "  # before an image's name: files that its command names


def made_of(images: list[str]) -> dict[str, str]:
    """What a cluster of these `NAME=COMMAND` is made of now: part → digest.

    Raises ManifestError when the platform cannot be rendered.
    """
    return {
        SOURCES: _digest(path.read_bytes() for path in sources()),
        PYTHON: _digest(word.encode() for word in _python()),
        MANIFESTS: _digest([json.dumps(render(PLATFORM), sort_keys=True).encode()]),
        IMAGES: _digest(one.encode() for one in images),
        **{f"{PROGRAM}{image}": _digest(map(_seen, paths)) for image, paths in programs(images)},
    }


def differs(before: dict[str, str], now: dict[str, str]) -> str:
    """In words, how a cluster differs from one that would be made now; "" for not at all, but for
    the programs of `--image`, which Pods can have anew."""
    found = [words for part, words in _WORDS.items() if before.get(part) != now[part]]
    return ", ".join(found)


def rebuilt(before: dict[str, str], now: dict[str, str]) -> list[str]:
    """The images of `--image` whose programs have changed since."""
    return [
        part.removeprefix(PROGRAM)
        for part in now
        if part.startswith(PROGRAM) and before.get(part) != now[part]
    ]


def sources() -> list[Path]:
    """The files that the cluster's own process and its stand-ins are."""
    inside = (_ROOT / "embedded").rglob("*")
    mine = [path for path in inside if path.suffix in (".py", ".json")]
    return sorted([*mine, FOLDER / "__init__.py", FOLDER / "images.py"])


def programs(images: Iterable[str]) -> list[tuple[str, list[Path]]]:
    """The files that each `NAME=COMMAND` names: its program, other files, and what `-m` runs."""
    found = []
    for image in images:
        name, _, command = image.partition("=")
        words = shlex.split(command)
        paths = [_found(word) for word in [shutil.which(words[0]) or "", *words[1:]]]
        modules = [b for a, b in itertools.pairwise(words) if a == "-m"]
        paths += [path for one in modules for path in _module(one)]
        found.append((name, sorted({path for path in paths if path})))
    return found


def _found(word: str) -> Path | None:
    path = Path(word)
    return path if path.is_absolute() and path.is_file() else None


def _module(name: str) -> Iterator[Path]:
    """The files of a module, or of the package that it is in."""
    try:
        spec = importlib.util.find_spec(name.partition(".")[0])
    except (ImportError, ValueError):
        return
    for folder in (spec.submodule_search_locations or []) if spec else []:
        yield from Path(folder).rglob("*.py")
    if spec and spec.origin and Path(spec.origin).is_file():
        yield Path(spec.origin)


def _seen(path: Path) -> bytes:
    """A file as it is on the disk; programs are large, and are not read."""
    stat = path.stat()
    facts = (path, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
    return " ".join(map(str, facts)).encode()


def _python() -> list[str]:
    """Which Python, and which packages in which versions."""
    folders = {Path(one) for one in site.getsitepackages()}
    installed = [one.name for folder in folders for one in folder.glob("*.dist-info")]
    return [sys.prefix, sys.version, *sorted(installed)]


def _digest(parts: Iterable[bytes]) -> str:
    found = hashlib.sha256()
    for part in parts:
        found.update(hashlib.sha256(part).digest())
    return found.hexdigest()[:16]
