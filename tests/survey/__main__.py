"""`python -m tests.survey [NAME…] [-- OPTION…]`: meet these filters, or all, with the suite; the
options are the suite's, `--requirement=ID` for one."""

from __future__ import annotations

import argparse
import importlib
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml

from embedded.images import Catalogue, stand_in
from tests.survey.filters import FILTERS, HARMLESS, filter_of

Object = dict[str, Any]
ROOT = Path(__file__).parent.parent.parent
REPORTS = ROOT / "reports" / "out" / "survey"  # of each filter what the suite said
GATEWAY = stand_in("envoy_gateway")
WORKERS = "3"


def main(argv: list[str]) -> int:
    """0 when everything was noticed but what is harmless, 1 otherwise, 2 for an unknown name."""
    if argv[:1] == ["--serve"]:
        return _serve(argv[1], argv[2:])
    parser = argparse.ArgumentParser(prog="python -m tests.survey", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(FILTERS))
    end = argv.index("--") if "--" in argv else len(argv)
    names = parser.parse_args(argv[:end]).names or list(FILTERS)
    if strange := [one for one in names if one not in FILTERS]:
        parser.error(f"no such filter: {', '.join(strange)}")
    missed = []
    for name in names:
        began = time.monotonic()
        code, red = _met(name, argv[end + 1 :])
        if red:
            said = f"red: {' '.join(red)}"
        elif code:
            said = f"no verdict: exit code {code}, see {_output(name)}"
        else:
            said = f"unnoticed: {HARMLESS.get(name, 'a test is missing')}"
        print(f"{name}: {said} ({time.monotonic() - began:.0f} s)", flush=True)
        if not red and (code or name not in HARMLESS):
            missed.append(name)
    print(f"{len(names)} filters, {len(missed)} missed{': ' if missed else ''}{', '.join(missed)}")
    return 1 if missed else 0


def _output(name: str) -> Path:
    return REPORTS / name / "output.txt"


def _met(name: str, options: list[str]) -> tuple[int, list[str]]:
    """The suite, which ends with its first failure: (exit code, what is red)."""
    catalogue = Catalogue().images.items()
    image, flags = next((one, i.flags) for one, i in catalogue if i.module == GATEWAY)
    command = " ".join([sys.executable, "-m", "tests.survey", "--serve", name, *flags])
    reports = REPORTS / name
    shutil.rmtree(reports, ignore_errors=True)
    reports.mkdir(parents=True)
    with _output(name).open("w") as output:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "suites", "--cluster=embedded", "-q", "-n", WORKERS,
             "--dist=worksteal", "-m", "not window and not disposable", "--maxfail=1",
             f"--image={image}={command}", f"--reports={reports}", *options],
            cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
    report = reports / "conformance.yaml"
    profiles = yaml.safe_load(report.read_text())["profiles"] if report.exists() else []
    return done.returncode, [
        one["id"]
        for profile in profiles
        for one in profile["requirements"]
        if one["verdict"] == "nonconformant"
    ]


def _serve(name: str, flags: list[str]) -> int:
    """The stand-in of Istio, with the filter in the Envoys that it configures."""
    import envoy.extensions.filters.http.lua.v3.lua_pb2  # noqa: F401 - known to `@type`

    module: Any = importlib.import_module(GATEWAY)
    right, (answers, _) = module.envoy.filter_chain, FILTERS[name]

    def filter_chain(config: str, filters: list[Object], *more: Any, **named: Any) -> Object:
        own = filter_of(name)
        both = [own, *filters] if answers else [*filters, own]
        found: Object = right(config, both, *more, **named)
        return found

    module.envoy.filter_chain = filter_chain
    module.main(flags)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
