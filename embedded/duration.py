"""Go's `time.Duration` as text, which maas-api reads and writes."""

from __future__ import annotations

import re

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")


def parse(text: str) -> float:
    """Seconds of `1h30m`, `-5m` or `0`; raises ValueError in Go's words."""
    body = text.lstrip("+-")
    if text.count("-") + text.count("+") > 1 or not body:
        raise ValueError(f'time: invalid duration "{text}"')
    if body == "0":
        return 0.0
    if re.fullmatch(r"[\d.]+", body):
        raise ValueError(f'time: missing unit in duration "{text}"')
    parts = _PART.findall(body)
    if "".join(number + unit for number, unit in parts) != body:
        raise ValueError(f'time: invalid duration "{text}"')
    total = sum(float(number) * _UNITS[unit] for number, unit in parts)
    return -total if text.startswith("-") else total


def show(seconds: float) -> str:
    """`10m0s`, `1h0m0s`, `45s`."""
    sign, seconds = ("-", -seconds) if seconds < 0 else ("", seconds)
    whole = int(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    rest = f"{seconds - 3600 * hours - 60 * minutes:g}s"
    if hours:
        return f"{sign}{hours}h{minutes}m{rest}"
    return f"{sign}{minutes}m{rest}" if minutes else f"{sign}{rest}"
