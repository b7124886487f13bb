"""Running programs, stamps of what is built already, and words on the terminal."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any, TypeVar

from kind import KindError

LAST_LINES = 15
T = TypeVar("T")


def run(
    command: Sequence[str | Path],
    cwd: Path | None = None,
    env: dict[str, str] | None = None,
    tries: int = 1,
) -> str:
    """Run a program; its standard output. Raises KindError with the last lines it printed.

    `tries`: of a program that asks a package registry, which now and then does not answer.
    """
    words = [str(word) for word in command]
    for attempt in range(tries):
        try:
            done = subprocess.run(
                words, cwd=cwd, env={**os.environ, **(env or {})}, text=True,
                capture_output=True, check=False,
            )  # fmt: skip
        except FileNotFoundError as error:
            raise KindError(f"{words[0]}: there is no such program here; install it") from error
        if done.returncode == 0:
            return done.stdout
        time.sleep(2 * attempt)
    said = "\n".join((done.stderr or done.stdout).strip().splitlines()[-LAST_LINES:])
    raise KindError(f"{' '.join(words[:4])} … ended with exit code {done.returncode}:\n{said}")


def need(program: str, how: str) -> str:
    """The path of a program; raises KindError that says how to get it."""
    found = shutil.which(program)
    if found is None:
        raise KindError(f"{program} is not installed: {how}")
    return found


def digest(*parts: Any) -> str:
    """A short digest of plain values, and of files by their content."""
    found = hashlib.sha256()
    for part in parts:
        if isinstance(part, Path):
            found.update(part.read_bytes())
        else:
            found.update(json.dumps(part, sort_keys=True, default=str).encode())
        found.update(b"\0")
    return found.hexdigest()[:16]


def tree_digest(folder: Path) -> str:
    """The digest of all files below a folder, names and content, but for what is generated."""
    files = sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and not set(GENERATED) & set(path.relative_to(folder).parts)
    )
    return digest(*(item for path in files for item in (str(path.relative_to(folder)), path)))


GENERATED = ("__pycache__", "out", "history")


@contextlib.contextmanager
def fresh(target: Path) -> Iterator[Path]:
    """A folder that becomes `target` only when its content is whole."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        made = Path(scratch) / "made"
        made.mkdir()
        yield made
        shutil.rmtree(target, ignore_errors=True)
        made.rename(target)


_terminal = threading.Lock()
_open: list[str] = []  # the step whose line waits for its seconds


@contextlib.contextmanager
def step(what: str) -> Iterator[None]:
    """Say what is done, and how long it took; on one line, if no other step begins meanwhile."""
    began = time.monotonic()
    with _terminal:
        print("\n" * len(_open) + f"{what} …", end="", file=sys.stderr, flush=True)
        _open[:] = [what]
    try:
        yield
    except BaseException:
        _said(what, "failed")
        raise
    _said(what, f"{time.monotonic() - began:.1f} s")


def _said(what: str, how: str) -> None:
    with _terminal:
        if _open == [what]:
            print(f" {how}", file=sys.stderr, flush=True)
        else:
            print("\n" * len(_open) + f"{what}: {how}", file=sys.stderr, flush=True)
        _open.clear()


def side_by_side(jobs: Sequence[Callable[[], T]]) -> list[T]:
    """Do jobs, two at a time: one computes while another downloads or writes; what they return.
    Raises what the first of them raises that fails, and begins none after it."""
    with ThreadPoolExecutor(2) as pool:
        begun = [pool.submit(job) for job in jobs]
        try:
            for one in as_completed(begun):
                one.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [one.result() for one in begun]
