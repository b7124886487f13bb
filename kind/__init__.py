"""The Kind cluster: its configuration, the table of its components, and what builds their images.

Knows neither the suites nor the fixtures: `fixtures.clusters` uses it.
"""

from __future__ import annotations

import os
from pathlib import Path

FOLDER = Path(__file__).parent
PROJECT = "ai-gateway-conformance"


class KindError(Exception):
    """What cannot be done, and what to do; one line."""


def cache() -> Path:
    """Where what was built is kept: `$XDG_CACHE_HOME/ai-gateway-conformance/kind`."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / PROJECT / "kind"
