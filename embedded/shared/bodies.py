"""JSON that somebody else wrote: bodies of requests and answers."""

from __future__ import annotations

import json
from typing import Any


def parsed(raw: bytes | str) -> Any:
    """The value; raises ValueError for what is no JSON, or is nested deeper than Python can go."""
    try:
        return json.loads(raw)
    except RecursionError:
        raise ValueError("exceeded max depth") from None
