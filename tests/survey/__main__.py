"""`python -m tests.survey [--at PLACE] [NAME…] [-- OPTION…]`: meet these filters, or all, with the
suite; the options are the suite's, `--requirement=ID` for one."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
from pathlib import Path

import yaml

from tests.survey import places
from tests.survey.filters import FILTERS, HARMLESS, HARMLESS_AT

ROOT = Path(__file__).parent.parent.parent
REPORTS = ROOT / "reports" / "out" / "survey"  # of each filter what the suite said
WORKERS = "3"


def main(argv: list[str]) -> int:
    """0 when everything was noticed but what is harmless, 1 otherwise, 2 for an unknown name."""
    parser = argparse.ArgumentParser(prog="python -m tests.survey", description=__doc__)
    parser.add_argument(
        "--at", choices=list(places.PLACES), default="maas", help="whose Envoy (default: maas)"
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(FILTERS))
    end = argv.index("--") if "--" in argv else len(argv)
    wanted = parser.parse_args(argv[:end])
    names = wanted.names or list(FILTERS)
    if strange := [one for one in names if one not in FILTERS]:
        parser.error(f"no such filter: {', '.join(strange)}")
    harmless = HARMLESS | HARMLESS_AT.get(wanted.at, {})
    missed = []
    for name in names:
        began = time.monotonic()
        code, red = _met(wanted.at, name, argv[end + 1 :])
        if red:
            said = f"red: {' '.join(red)}"
        elif code:
            said = f"no verdict: exit code {code}, see {_output(wanted.at, name)}"
        else:
            said = f"unnoticed: {harmless.get(name, 'a test is missing')}"
        print(f"{name}: {said} ({time.monotonic() - began:.0f} s)", flush=True)
        if not red and (code or name not in harmless):
            missed.append(name)
    print(f"{len(names)} filters, {len(missed)} missed{': ' if missed else ''}{', '.join(missed)}")
    return 1 if missed else 0


def _output(place: str, name: str) -> Path:
    return REPORTS / place / name / "output.txt"


def _met(place: str, name: str, options: list[str]) -> tuple[int, list[str]]:
    """The suite, which ends with its first failure: (exit code, what is red)."""
    output = _output(place, name)
    reports = output.parent
    shutil.rmtree(reports, ignore_errors=True)
    reports.mkdir(parents=True)
    with output.open("w") as file:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "suites", "--cluster=embedded", "-q", "-n", WORKERS,
             "-p", "no:cacheprovider",
             "--dist=worksteal", "-m", "not window and not disposable", "--maxfail=1",
             places.command(place, name), f"--reports={reports}", *options],
            cwd=ROOT, stdout=file, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
    report = reports / "conformance.yaml"
    profiles = yaml.safe_load(report.read_text())["profiles"] if report.exists() else []
    return done.returncode, [
        one["id"]
        for profile in profiles
        for one in profile["requirements"]
        if one["verdict"] == "nonconformant"
    ]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
