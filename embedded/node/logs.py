"""Containers' logs are kept within bounds, as a kubelet keeps them (`containerLogMaxSize`, 10 MiB).

A kubelet moves a full log aside and shows what is written from then on; here the process has the
file itself open, for appending, so the file is cut to its end instead.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path

MOST_BYTES = 10 * 2**20
KEPT_BYTES = 2**20
EVERY_SECONDS = 2.0


async def bounded(files: Callable[[], Iterable[Path]]) -> None:
    """Cut what is too long, for ever."""
    while True:
        await asyncio.sleep(EVERY_SECONDS)
        for path in files():
            with contextlib.suppress(OSError):  # never written, or gone with its Pod
                if path.stat().st_size > MOST_BYTES:
                    cut(path)


def cut(path: Path) -> None:
    """Leave the last whole lines of a log, and a word on what was before. A line that is written at
    this very moment may be lost."""
    with path.open("r+b") as log:
        size = log.seek(0, os.SEEK_END)
        log.seek(max(0, size - KEPT_BYTES))
        _, _, tail = log.read(KEPT_BYTES).partition(b"\n")
        os.truncate(path, 0)
    note = f"[{size - len(tail)} bytes before were cut: a log has {MOST_BYTES} at most]\n"
    with path.open("ab") as log:
        log.write(note.encode() + tail)
