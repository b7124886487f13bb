"""Jinja for pages: what is put in shows as text, whatever is in it."""

from __future__ import annotations

import re
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from reports.causes import clipped

FOLDER = Path(__file__).parent / "signoff"


def slug(text: str) -> str:
    """A word for classes and anchors."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def template(name: str) -> Template:
    """One of those in `signoff/`."""
    environment = Environment(
        loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {"clip": clipped, "slug": slug}
    return environment.get_template(name)
