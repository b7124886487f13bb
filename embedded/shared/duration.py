"""Go's `time.Duration` as text, which maas-api reads and writes: 64 bits of nanoseconds."""

from __future__ import annotations

import re

SECOND = 10**9
_UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6,
          "s": SECOND, "m": 60 * SECOND, "h": 3600 * SECOND}  # fmt: skip
_NUMBER = re.compile(r"([0-9]*)(?:\.([0-9]*))?")
_UNIT = re.compile(r"[^0-9.]*")
_LIMIT = 1 << 63


def parse(text: str) -> int:
    """Nanoseconds of `1h30m`, `-5m` or `0`; raises ValueError in the words of Go 1.25."""
    rest = text[1:] if text[:1] in ("+", "-") else text
    if rest == "0":
        return 0
    invalid = ValueError(f"time: invalid duration {_quoted(text)}")
    if not rest:
        raise invalid
    total = 0
    while rest:
        number = _NUMBER.match(rest)
        assert number
        whole, part = number[1], number[2] or ""
        if not whole and not part:
            raise invalid
        rest = rest[number.end() :]
        unit = _UNIT.match(rest)
        assert unit
        rest = rest[unit.end() :]
        if int(whole or 0) > _LIMIT:
            raise invalid
        if not unit[0]:
            raise ValueError(f"time: missing unit in duration {_quoted(text)}")
        if unit[0] not in _UNITS:
            named = _quoted(unit[0])
            raise ValueError(f"time: unknown unit {named} in duration {_quoted(text)}")
        size = _UNITS[unit[0]]
        total += int(whole or 0) * size + _fraction(part, size)
        if total > _LIMIT:
            raise invalid
    if text.startswith("-"):
        return -total
    if total == _LIMIT:
        raise invalid
    return total


def _fraction(digits: str, size: int) -> int:
    """Behind the point: as many digits as 64 bits hold, by a float's division."""
    while int(digits or 0) >= _LIMIT:
        digits = digits[:-1]
    return int(int(digits or 0) * (size / 10 ** len(digits)))


def _quoted(text: str) -> str:
    """As the package `time` quotes: bytes of other than ASCII by their numbers."""
    shown = ""
    for byte in text.encode("utf-8", "surrogateescape"):
        letter = chr(byte)
        if byte < 0x20 or byte >= 0x80:
            shown += f"\\x{byte:02x}"
        else:
            shown += "\\" + letter if letter in '"\\' else letter
    return f'"{shown}"'


def wrapped(nanoseconds: float) -> int:
    """A float as a Duration: without its fraction; what is too large is the least that there is,
    as on amd64."""
    whole = int(nanoseconds)
    return whole if -_LIMIT <= whole < _LIMIT else -_LIMIT


def show(nanoseconds: int) -> str:
    """`10m0s`, `1h0m0s`, `1.5s`, `20ms`."""
    sign, left = ("-", -nanoseconds) if nanoseconds < 0 else ("", nanoseconds)
    if left == 0:
        return "0s"
    for unit, size in (("ns", 1), ("µs", 10**3), ("ms", 10**6)):
        if left < size * 1000:
            return f"{sign}{_decimal(left, size)}{unit}"
    hours, minutes = left // _UNITS["h"], left // _UNITS["m"] % 60
    rest = f"{_decimal(left % _UNITS['m'], SECOND)}s"
    if hours:
        return f"{sign}{hours}h{minutes}m{rest}"
    return f"{sign}{minutes}m{rest}" if minutes else f"{sign}{rest}"


def _decimal(number: int, size: int) -> str:
    """number / size, with no more digits than it needs."""
    digits = f"{number % size:0{len(str(size)) - 1}d}".rstrip("0") if size > 1 else ""
    return f"{number // size}.{digits}" if digits else str(number // size)
