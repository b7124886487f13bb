"""`python -m tests.chromium`: what the browser tests need besides Python: Chromium, and axe-core.

Chromium is the one on PATH, or Debian's package, installed when this is root; axe-core and Allure
come from npm into the virtual environment. Exit code 1 and one line when that is not possible.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from reports.allure_report import NODE, ReportError, installed

NAMES = ("chromium", "chromium-browser", "google-chrome")
AXE = NODE / "node_modules" / "axe-core" / "axe.min.js"


def browser() -> str | None:
    """The path of a Chromium."""
    return next(filter(None, map(shutil.which, NAMES)), None)


def axe() -> Path:
    """axe-core's script, installed when it is not there."""
    installed()
    if not AXE.exists():
        words = ["npm", "install", "--no-fund", "--no-audit", "--silent", "--prefix", str(NODE)]
        subprocess.run([*words, "axe-core@4"], check=True)
    return AXE


def main() -> int:
    if not browser():
        if os.geteuid() or not shutil.which("apt-get"):
            print("the browser tests need Chromium: install it (Debian's package chromium)")
            return 1
        env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        quiet = {"env": env, "check": True, "stdout": subprocess.DEVNULL}
        subprocess.run(["apt-get", "update", "-q"], **quiet)
        words = ["apt-get", "install", "-y", "-q", "--no-install-recommends", "chromium"]
        subprocess.run(words, **quiet)
    try:
        axe()
    except ReportError as error:
        print(f"the browser tests need axe-core and Allure from npm: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
