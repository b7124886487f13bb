"""A run's reports are written beside those of the run before, and take their place as a whole."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

NAMES = (
    "signoff.html", "conformance.yaml", "traceability.md", "junit.xml", "allure-results",
    "diagnostics",
)  # fmt: skip
_PREFIX = ".run-"


class Staged:
    """The reports of this process in `folder`, until they are published in `out`; both are made.

    Raises OSError, as all that writes does.
    """

    def __init__(self, out: Path) -> None:
        self.out, self.folder = out, out.absolute() / f"{_PREFIX}{os.getpid()}"
        self._made = not out.exists()
        for left in out.glob(f"{_PREFIX}*") if out.is_dir() else ():
            if not Path(f"/proc/{left.name.removeprefix(_PREFIX)}").exists():
                shutil.rmtree(left, ignore_errors=True)
        self.folder.mkdir(parents=True)

    def publish(self, but: frozenset[str] = frozenset()) -> None:
        """Put what was written in the place of what was there, `but` for what is another's; all of
        it, or nothing."""
        before, moved = self.folder / "before", list[tuple[Path, Path]]()
        before.mkdir()
        try:
            for name in (one for one in NAMES if one not in but):
                for source, target in (
                    (self.out / name, before / name), (self.folder / name, self.out / name),
                ):  # fmt: skip
                    if source.exists():
                        source.rename(target)
                        moved.append((source, target))
        except OSError:
            for source, target in reversed(moved):
                target.rename(source)
            raise
        self.discard()

    def discard(self) -> None:
        """Take away what was not published, and a folder that was made for nothing."""
        shutil.rmtree(self.folder, ignore_errors=True)
        if self._made:
            with contextlib.suppress(OSError):
                self.out.rmdir()
