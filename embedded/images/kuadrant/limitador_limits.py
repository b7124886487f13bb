"""Limitador's limits and counters.

Upstream: Kuadrant/limitador `limitador/src/limit.rs` and `limit/cel.rs` (what a limit applies to),
`lib.rs` (what a call does), `storage/in_memory.rs` and `atomic_expiring_value.rs` (counters), of
2.1.0. 2.4.0 differs in one thing here: `Limits(nulls=False)`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from embedded.shared import cel

Entries = list[dict[str, str]]
Key = tuple[Any, ...]
_NAMES = ("descriptors", "limit")
_U64 = 1 << 64


class Unavailable(Exception):
    """A variable that has no text: the call is answered with UNAVAILABLE."""


class Broken(Exception):
    """A condition that cannot be decided: upstream's task ends, and the call with it."""


@dataclass(frozen=True)
class Limit:
    """`maximum` hits in `seconds` for each combination of the variables' values."""

    namespace: str
    maximum: int
    seconds: int
    conditions: tuple[str, ...]
    variables: tuple[str, ...]
    name: str | None = None
    id: str | None = None
    nulls: bool = True
    """A key that a descriptor has not is null (2.1.0); otherwise the limit is left out (2.4.0)."""
    never: bool = False
    """It asks for a name that no call has."""

    @classmethod
    def read(cls, spec: dict[str, Any], nulls: bool = True) -> Limit:
        """Raises CelError, KeyError, TypeError or ValueError for what is no limit."""
        conditions, variables = (
            tuple(sorted({_text(one) for one in _list(spec[which])}))
            for which in ("conditions", "variables")
        )
        unknown = [_is_unknown(one) for one in (*conditions, *variables)]
        return cls(
            _text(spec["namespace"]),
            _count(spec.get("max_value", 0)),
            _count(spec["seconds"]),
            conditions,
            variables,
            spec.get("name"),
            spec.get("id"),
            nulls,
            any(unknown),
        )

    @property
    def identity(self) -> Key:
        """What a counter belongs to: neither the maximum nor the name."""
        return (self.namespace, self.seconds, self.conditions, self.variables)

    def counter(self, descriptors: Entries) -> Key | None:
        """The key of the counter that a request hits, or None if the limit does not apply; raises
        Unavailable or Broken."""
        if self.never:
            return None
        data = {"descriptors": descriptors, "limit": {"name": self.name, "id": self.id}}
        try:
            if not all(self._holds(condition, data) for condition in self.conditions):
                return None
            values = tuple(self._value(variable, data) for variable in self.variables)
        except cel.NoSuchKey:
            return None
        return (*self.identity, values)

    def _holds(self, condition: str, data: dict[str, Any]) -> bool:
        try:
            value = self._evaluate(condition, data)
        except cel.NoSuchKey:
            return False
        except cel.CelError as error:
            raise Broken(f"{condition}: {error}") from error
        if not isinstance(value, bool):
            raise Broken(f"{condition} is no condition: {value!r}")
        return value

    def _value(self, variable: str, data: dict[str, Any]) -> str:
        try:
            value = self._evaluate(variable, data)
        except cel.NoSuchKey:
            raise
        except cel.CelError as error:
            raise Unavailable(f"{variable}: {error}") from error
        if not isinstance(value, str | bool | int | float | None):
            raise Unavailable(f"{variable} is no text: {value!r}")
        return cel.as_text(value)

    def _evaluate(self, expression: str, data: dict[str, Any]) -> Any:
        while True:
            try:
                return cel.evaluate(expression, data, names=_NAMES)
            except cel.NoSuchKey as missing:
                if not self.nulls:
                    raise
                had = data["descriptors"]
                with_null = [{missing.key: None, **found} for found in had]
                if with_null == had:
                    raise
                data = {**data, "descriptors": with_null}


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(f"not a list: {value!r}")
    return value


def _text(value: Any) -> str:
    if isinstance(value, dict | list | None):
        raise TypeError(f"not a text: {value!r}")
    return str(value)


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < _U64:
        raise ValueError(f"not a whole number from 0 on: {value!r}")
    return value


def _is_unknown(expression: str) -> bool:
    """Whether it is CEL with a name that no call has; raises CelError for what is no CEL."""
    try:
        cel.check(expression, _NAMES)
    except cel.UnknownName:
        return True
    return False


@dataclass
class Counter:
    """What was counted of `limit`, as that was when the counter was first hit."""

    limit: Limit
    value: int
    ends: float


class Limits:
    """The limits in force and their counters; `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, nulls: bool = True) -> None:
        self._clock, self._nulls = clock, nulls
        self._limits: dict[str, dict[Key, Limit]] = {}
        self._counters: dict[Key, Counter] = {}

    def configure(self, specs: Iterable[dict[str, Any]]) -> list[str]:
        """Replace all limits, of two with one identity by the first; counters of limits with the
        same identity live on. Those that were running and do not, a line each: whoever had used up
        a budget has it again. Raises as `Limit.read` does, and changes nothing then."""
        limits = [Limit.read(spec, self._nulls) for spec in specs]
        self._limits = {}
        for limit in limits:
            self._limits.setdefault(limit.namespace, {}).setdefault(limit.identity, limit)
        kept = {limit.identity for limit in limits}
        now = self._clock()
        lost = [k for k, c in self._counters.items() if k[:-1] not in kept and c.ends > now]
        self._counters = {k: c for k, c in self._counters.items() if k[:-1] in kept}
        return [f"{key[0]}: {key[-1]}" for key in lost]

    def within(self, namespace: str, descriptors: Entries, hits: int) -> bool:
        """Whether `hits` more would stay within every limit; counts nothing."""
        return self.over(namespace, descriptors, hits) is None

    def over(self, namespace: str, descriptors: Entries, hits: int) -> Limit | None:
        """A limit that `hits` more would go beyond."""
        for limit, key in self._hit(namespace, descriptors):
            if self._value(key) + hits > limit.maximum:
                return limit
        return None

    def add(self, namespace: str, descriptors: Entries, hits: int) -> None:
        """Count `hits`, whatever the limits say; a window begins with its first hit."""
        for limit, key in self._hit(namespace, descriptors):
            counter = self._counters.setdefault(key, Counter(limit, 0, 0))
            if counter.ends <= self._clock():
                counter.value, counter.ends = 0, self._clock() + limit.seconds
            counter.value = (counter.value + hits) % _U64

    def take(self, namespace: str, descriptors: Entries, hits: int) -> bool:
        """Count `hits` if every limit allows them. A counter of its own for somebody begins its
        window when he is first seen, even if he is refused."""
        for limit, key in sorted(
            self._hit(namespace, descriptors), key=lambda hit: bool(hit[1][-1])
        ):
            if limit.variables and key not in self._counters:
                self._counters[key] = Counter(limit, 0, self._clock() + limit.seconds)
            if self._value(key) + hits > limit.maximum:
                break
        if not self.within(namespace, descriptors, hits):
            return False
        self.add(namespace, descriptors, hits)
        return True

    def left(self, namespace: str, descriptors: Entries, hits: int) -> list[tuple[Limit, int, int]]:
        """(limit, hits that are left after `hits` more, whole seconds to the end of the window) of
        each that applies, the least first."""
        found, now = [], self._clock()
        for limit, key in self._hit(namespace, descriptors):
            counter = self._counters.get(key)
            seconds = max(0, int(counter.ends - now)) if counter else 0
            found.append((limit, max(0, limit.maximum - self._value(key) - hits), seconds))
        return sorted(found, key=lambda one: one[1])

    def limits(self, namespace: str) -> list[Limit]:
        return list(self._limits.get(namespace, {}).values())

    def counters(self, namespace: str) -> list[tuple[Limit, tuple[str, ...], int, float]]:
        """Those that run: (limit, the variables' values, what is left, seconds to the end).

        What is left is counted from the maximum of the counter's first hit, and below zero it is
        what 64 bits make of it, as upstream has it (issue 522).
        """
        now, known = self._clock(), self._limits.get(namespace, {})
        return [
            (found.limit, key[-1], (found.limit.maximum - found.value) % _U64, found.ends - now)
            for key, found in self._counters.items()
            if key[:-1] in known and found.ends > now
        ]

    def _hit(self, namespace: str, descriptors: Entries) -> list[tuple[Limit, Key]]:
        found = [(li, li.counter(descriptors)) for li in self.limits(namespace)]
        return [(limit, key) for limit, key in found if key is not None]

    def _value(self, key: Key) -> int:
        counter = self._counters.get(key)
        return counter.value if counter and counter.ends > self._clock() else 0
