"""Reports out of a Pod, through its log: `python -m reports.parcel run WORD…` is the suite with
these words, followed by its reports as lines of base64; `… unpack FOLDER < LOG` writes them down
again.

For clusters where a Job has no volume that outlives it.
"""

from __future__ import annotations

import base64
import io
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

BEGIN, END = "----- BEGIN REPORTS -----", "----- END REPORTS -----"
WIDTH = 1000  # letters in a line of a log


class ParcelError(Exception):
    """A log without a whole parcel."""


def packed(folder: Path) -> Iterator[str]:
    """The lines of a folder's parcel."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:xz") as archive:
        archive.add(folder, ".")
    text = base64.b64encode(stream.getvalue()).decode()
    yield BEGIN
    yield from (text[start : start + WIDTH] for start in range(0, len(text), WIDTH))
    yield END


def unpack(lines: Iterable[str], folder: Path) -> None:
    """Write the last parcel of a log into a folder; raises ParcelError."""
    parcel: list[str] | None = None
    whole: list[str] | None = None
    for line in map(str.strip, lines):
        if line == BEGIN:
            parcel = []
        elif line == END:
            parcel, whole = None, parcel
        elif parcel is not None:
            parcel.append(line)
    if not whole:
        found = "it begins and does not end" if parcel is not None else "there is none"
        raise ParcelError(f"no whole parcel of reports in this log: {found}")
    stream = io.BytesIO(base64.b64decode("".join(whole)))
    with tarfile.open(fileobj=stream, mode="r:xz") as archive:
        archive.extractall(folder, filter="data")


def run(words: list[str]) -> int:
    """The suite's exit code, once its reports are in the log."""
    with tempfile.TemporaryDirectory() as folder:
        suite = [sys.executable, "-m", "ai_gateway_conformance", *words, f"--reports={folder}"]
        done = subprocess.run(suite, check=False)
        for line in packed(Path(folder)):
            print(line, flush=True)
    return done.returncode


def main() -> None:
    what, *words = sys.argv[1:] or [""]
    if what == "run":
        sys.exit(run(words))
    if what != "unpack" or len(words) != 1:
        sys.exit("usage: python -m reports.parcel run WORD… | unpack FOLDER < LOG")
    try:
        unpack(sys.stdin, Path(words[0]))
    except ParcelError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
