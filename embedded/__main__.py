"""`python -m embedded up | down | status | logs | env`: the cluster by hand."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from embedded.errors import EmbeddedError
from embedded.running import lifecycle, ready
from embedded.running.state import State
from manifests import FOLDER, ManifestError

DEFAULT = FOLDER / "conformance"


def main() -> int:
    arguments = _parser().parse_args()
    try:
        return int(arguments.run(arguments) or 0)
    except (EmbeddedError, ManifestError) as error:
        print(f"embedded: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m embedded", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: object, help_: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=help_, description=help_)
        sub.add_argument("--name", default="default", help="the cluster's name (default: default)")
        sub.set_defaults(run=run)
        return sub

    up = command("up", _up, "start a cluster and deploy what the documents describe")
    up.add_argument(
        "-k", dest="folder", type=Path, default=DEFAULT, help="deploy this kustomization instead"
    )
    up.add_argument(
        "--image",
        action="append",
        default=[],
        metavar="NAME=COMMAND",
        help="run COMMAND for containers of image NAME",
    )
    command("down", _down, "stop the cluster and remove its files")
    command("status", _status, "tell whether everything is ready, and what is not")
    logs = command("logs", _logs, "print the cluster's own log")
    logs.add_argument("-f", "--follow", action="store_true")
    command("env", _env, 'print the variables to use it: eval "$(python -m embedded env)"')
    return parser


def _up(arguments: argparse.Namespace) -> None:
    began = time.monotonic()
    state = State(arguments.name)
    lifecycle.up(state, arguments.image, arguments.folder)
    ready.wait(state, lifecycle.START_SECONDS)
    lifecycle.write_curlrc(state)
    print(f"cluster {state.name!r} is ready after {time.monotonic() - began:.1f} s. To use it:\n")
    _env(arguments)


def _env(arguments: argparse.Namespace) -> None:
    state = State(arguments.name)
    if state.info() is None:
        raise EmbeddedError(f"no cluster {state.name!r} is running; `python -m embedded up`")
    print(f"export KUBECONFIG={state.kubeconfig}")
    print(f"export CURL_HOME={state.folder}  # curl finds the gateway and trusts its certificate")


def _down(arguments: argparse.Namespace) -> None:
    state = State(arguments.name)
    lifecycle.down(state)
    print(f"cluster {state.name!r} is down")


def _status(arguments: argparse.Namespace) -> int:
    state = State(arguments.name)
    if state.info() is None:
        print(f"cluster {state.name!r} is not running; start it with `python -m embedded up`")
        return 1
    missing = ready.missing(state)
    print(f"cluster {state.name!r}: {'everything is ready' if not missing else 'not ready:'}")
    for line in missing:
        print(f"  {line}")
    return 1 if missing else 0


def _logs(arguments: argparse.Namespace) -> None:
    state = State(arguments.name)
    if not state.log.exists():
        raise EmbeddedError(f"no cluster {state.name!r} is running; `python -m embedded up`")
    with state.log.open() as log:
        print(log.read(), end="")
        while arguments.follow and state.info():
            time.sleep(0.2)
            print(log.read(), end="", flush=True)


if __name__ == "__main__":
    sys.exit(main())
