"""Limitador's limits file, and how it hears that another is there.

Upstream: Kuadrant/limitador 2.1.0 `limitador-server/src/main.rs`: it watches the file's folder
(inotify). It reads when the file itself is written, or leads to another place than before, as after
a kubelet's swap of `..data`. It does not read when another file is renamed to it: of a rename it
looks at the old name. A file that is no good, or not there, changes nothing; at the start it is
the end.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from embedded.images.kuadrant.limitador_limits import Limits
from embedded.shared.cel import CelError

_MODIFY, _MOVED_FROM, _MOVED_TO = 0x2, 0x40, 0x80
_HEAD = struct.Struct("iIII")
_MANY = 64 << 10


class NotLoaded(Exception):
    """A limits file that cannot be read or is none; the text says why."""


class Watch:
    """What is written and renamed in a folder, by inotify."""

    def __init__(self, folder: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor: int = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        mask = _MODIFY | _MOVED_FROM | _MOVED_TO
        if libc.inotify_add_watch(self._descriptor, os.fsencode(folder), mask) < 0:
            raise OSError(ctypes.get_errno(), f"cannot watch {folder}")

    def fileno(self) -> int:
        return self._descriptor

    def names(self) -> list[str]:
        """The name of each file that was written, the old name of each that was renamed here."""
        try:
            data = os.read(self._descriptor, _MANY)
        except BlockingIOError:
            return []
        found, left = [], {}
        for mask, cookie, name in _events(data):
            if mask & _MOVED_FROM:
                left[cookie] = name
            elif mask & _MODIFY:
                found.append(name)
            elif cookie in left:
                found.append(left.pop(cookie))
        return found


def _events(data: bytes) -> Iterator[tuple[int, int, str]]:
    at = 0
    while at < len(data):
        _, mask, cookie, length = _HEAD.unpack_from(data, at)
        name = data[at + _HEAD.size : at + _HEAD.size + length]
        yield mask, cookie, os.fsdecode(name.rstrip(b"\0"))
        at += _HEAD.size + length


class Reader:
    """Brings the file's limits into force; one that is no good is said, and changes nothing."""

    def __init__(self, path: Path, limits: Limits) -> None:
        self._path, self._limits = path, limits
        self.started_at = self.applied_at = _now()
        self.version = self.errors = 0
        self.watch = Watch(path.parent)
        self._place = os.path.realpath(path)
        self._load()

    def look(self) -> None:
        """Read it if what happened in its folder says so."""
        for name in self.watch.names():
            try:
                place = os.path.realpath(self._path, strict=True)
            except OSError:
                continue
            if name == self._path.name or place != self._place:
                self._place = place
                self._read()

    def status(self) -> dict[str, Any]:
        return {
            "started_at": self.started_at,
            "config_applied_at": self.applied_at,
            "config_version": self.version,
            "config_err_since": self.errors,
        }

    def _read(self) -> None:
        try:
            self._load()
        except NotLoaded as error:
            self.errors += 1
            print(f"{self._path.name} not loaded, its limits stay: {error}", flush=True)
        else:
            self.applied_at, self.errors = _now(), 0
            self.version += 1

    def _load(self) -> None:
        try:
            specs = yaml.load(self._path.read_text(), Loader=yaml.CSafeLoader) or []
            lost = self._limits.configure(specs)
        except (OSError, CelError, yaml.YAMLError, KeyError, TypeError, ValueError) as error:
            raise NotLoaded(repr(error)) from error
        print(f"limits loaded from {self._path.name}", flush=True)
        for one in lost:
            print(f"counter gone with its limit: {one}", flush=True)


def _now() -> str:
    """As chrono writes a time without a zone."""
    return datetime.now(UTC).replace(tzinfo=None).isoformat()
