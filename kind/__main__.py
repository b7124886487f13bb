"""The suite's Kind clusters by hand: `python -m kind clusters | env | down`.

`env` prints what kubectl and curl want for a kept cluster; `down` removes every cluster, and ends
what the suite started. The images stay; they are Docker's and the cache's.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import sys

from kind import KindError, cache, engine, registry, released
from kind.images.tools import run

PREFIX = "conformance"


def clusters() -> list[str]:
    """The suite's clusters, running or half-made."""
    tool = released.kind()
    return [name for name in run([tool, "get", "clusters"]).split() if name.startswith(PREFIX)]


def down() -> None:
    """Clusters, the registry's container, and the engine if it was started by us."""
    with contextlib.suppress(KindError):
        engine.check()
        tool = released.kind()
        for name in clusters():
            run([tool, "delete", "cluster", "--name", name])
            shutil.rmtree(cache() / "clusters" / name, ignore_errors=True)
        registry.remove()
    engine.stop()


def env(name: str) -> str:
    """Shell commands that let kubectl and curl use a kept cluster, curl by way of its entry."""
    folder = cache() / "clusters" / name
    if name not in clusters() or not (folder / "ca.crt").exists():
        raise KindError(
            f"there is no kept cluster {name}: `pytest --cluster=kind --keep-cluster` makes one"
        )
    entry = run(["docker", "port", f"{name}-control-plane", "1080"]).split()[0]
    (folder / ".curlrc").write_text(
        f'socks5-hostname = "{entry}"\ncacert = "{folder / "ca.crt"}"\nnoproxy = "127.0.0.1"\n'
    )
    return f"export KUBECONFIG={folder / 'kubeconfig'}\nexport CURL_HOME={folder}"


def main() -> int:
    """Exit code 4 and one line when it cannot be done."""
    parser = argparse.ArgumentParser(prog="python -m kind")
    parser.add_argument("command", choices=["down", "clusters", "env"])
    parser.add_argument("--name", default=PREFIX, help="the cluster of env")
    flags = parser.parse_args()
    try:
        if flags.command == "down":
            down()
        elif flags.command == "env":
            print(env(flags.name))
        else:
            print("\n".join(clusters()))
    except KindError as error:
        print(error, file=sys.stderr)
        return 4
    return 0


if __name__ == "__main__":
    sys.exit(main())
