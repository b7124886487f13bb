"""Container images by their names, and which of them objects use."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from typing import Any

from manifests import ManifestError, Object

# A name with a registry's host, and a tag or digest: how manifests' programs are told of images.
_REFERENCE = re.compile(
    r"(?:--[\w-]+=)?((?:[\w-]+\.)+[\w-]+(?::\d+)?/[a-z0-9._/-]+"
    r"(?::[\w.-]+|@sha256:[0-9a-f]{64}))"
)
_NEAR, _SHOWN = 0.5, 3


def canonical(reference: str) -> str:
    """`envoyproxy/envoy:v1` → `docker.io/envoyproxy/envoy`: no tag, no digest, full name."""
    name = reference.partition("@")[0]
    head, _, last = name.rpartition("/")
    name = f"{head}/{last.partition(':')[0]}" if head else last.partition(":")[0]
    first = name.partition("/")[0]
    if "/" not in name:
        return f"docker.io/library/{name}"
    if "." in first or ":" in first or first == "localhost":
        return name
    return f"docker.io/{name}"


def tag(reference: str) -> str:
    """`envoyproxy/envoy:v1` → `v1`; "" without one."""
    return reference.partition("@")[0].rpartition("/")[2].partition(":")[2]


def names(wanted: str, reference: str) -> bool:
    """Whether an image is meant by a name, which has a tag or stands for all of them."""
    return canonical(wanted) == canonical(reference) and tag(wanted) in ("", tag(reference))


def used(objects: Iterable[Object]) -> set[str]:
    """The images that objects name: in their containers, and in words to programs that make Pods
    of their own."""
    return {one for obj in objects for one in _used(obj)}


def _used(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(image := value.get("image"), str):
            yield image
        for inner in value.values():
            yield from _used(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _used(inner)
    elif isinstance(value, str) and (found := _REFERENCE.fullmatch(value)):
        yield found[1]


def check(wanted: str, known: Iterable[str]) -> None:
    """Raises ManifestError, with the nearest, for an image that is none of these."""
    there = sorted(set(known))
    if any(names(wanted, one) for one in there):
        return
    near = difflib.get_close_matches(wanted, there, _SHOWN, _NEAR)
    alike = [one for one in there if wanted.rpartition("/")[2].partition(":")[0] in one]
    shown = list(dict.fromkeys([*near, *alike]))[:_SHOWN]
    said = f"the nearest: {', '.join(shown)}" if shown else f"there are {', '.join(there)}"
    raise ManifestError(f"--image={wanted}: nothing that is deployed uses this image; {said}")
