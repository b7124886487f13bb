"""A cluster that outlives the runs that use it: it is used again as long as it is made of what a
new one would be made of, and the last run came to its end."""

from __future__ import annotations

import fcntl
import os
import subprocess
from collections.abc import Callable
from dataclasses import replace
from typing import IO

from embedded.errors import EmbeddedError
from embedded.running import lifecycle, origin
from embedded.running.state import State


class Kept:
    """One run's use of it.

    After `up`: `deployed` are the identities of what the cluster deployed itself, and `rebuilt` the
    images of `--image` whose programs have changed since it used them.
    """

    def __init__(self, state: State, images: list[str], say: Callable[[str], None]) -> None:
        self._state, self._images, self._say = state, images, say
        self._lock: IO[str] | None = None
        self.deployed: list[list[str]] = []
        self.rebuilt: list[str] = []

    def up(self) -> subprocess.Popen[bytes] | None:
        """Make the cluster, or find it: its process, if it is this run's child. Raises
        EmbeddedError."""
        self._take()
        info = self._state.info()
        if info is None:
            return self._new()
        now = origin.made_of(self._images)
        why = origin.differs(info.made_of, now)
        if self._state.unfinished.exists():
            why = why or "the last run on it did not come to its end"
        if why:
            return self.anew(why)
        self._state.unfinished.touch()
        self.deployed, self.rebuilt = info.deployed, origin.rebuilt(info.made_of, now)
        for image in self.rebuilt:
            self._say(f"the program of {image} has changed: its Pods start anew")
        if self.rebuilt:
            self._state.write_info(replace(info, made_of=now))
        return None

    def anew(self, why: str) -> subprocess.Popen[bytes]:
        """Put another in its place, as `up`, and say why."""
        self._say(f"cluster {self._state.name} is made anew: {why}")
        lifecycle.down(self._state)
        return self._new()

    def _new(self) -> subprocess.Popen[bytes]:
        process = lifecycle.up(self._state, self._images, None)
        self._state.unfinished.touch()
        self.deployed, self.rebuilt = [], []
        return process

    def leave(self, in_order: bool = True) -> None:
        """Let others have it; what a run left that did not come to its end, nobody uses again."""
        if in_order:
            self._state.unfinished.unlink(missing_ok=True)
        if self._lock:
            self._lock.close()

    def _take(self) -> None:
        self._state.lock.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = self._state.lock.open("a+", encoding="utf-8")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._lock.seek(0)
            who = self._lock.read().strip()
            self._lock.close()
            raise EmbeddedError(
                f"cluster {self._state.name!r} is used by another run (process {who}); wait for "
                "its end, or take another with --cluster-name=NAME"
            ) from error
        self._lock.truncate(0)
        self._lock.write(f"{os.getpid()}\n")
        self._lock.flush()
