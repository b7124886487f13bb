"""`python -m kind down`: remove every Kind cluster of the suite, and end what it started.

`python -m kind clusters` lists them. The images stay; they are Docker's and the cache's.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import sys

from kind import KindError, cache, engine, registry
from kind.components import table
from kind.images import golang
from kind.images.tools import run

PREFIX = "conformance"


def clusters() -> list[str]:
    """The suite's clusters, running or half-made."""
    tool = golang.host_tool(table().modules["kind"], "kind")
    return [name for name in run([tool, "get", "clusters"]).split() if name.startswith(PREFIX)]


def down() -> None:
    """Clusters, the registry's container, and the engine if it was started by us."""
    with contextlib.suppress(KindError):
        engine.check()
        tool = golang.host_tool(table().modules["kind"], "kind")
        for name in clusters():
            run([tool, "delete", "cluster", "--name", name])
            shutil.rmtree(cache() / "clusters" / name, ignore_errors=True)
        registry.remove()
    engine.stop()


def main() -> int:
    """Exit code 4 and one line when it cannot be done."""
    parser = argparse.ArgumentParser(prog="python -m kind")
    parser.add_argument("command", choices=["down", "clusters"])
    command = parser.parse_args().command
    try:
        if command == "down":
            down()
        else:
            print("\n".join(clusters()))
    except KindError as error:
        print(error, file=sys.stderr)
        return 4
    return 0


if __name__ == "__main__":
    sys.exit(main())
