"""The suite again and again: `make soak N=20`, and beside heavy load `make soak N=20 LOADED=1`.

Each run has a cluster of its own, and leaves the windows out. Said of each: exit code, seconds,
the cluster's memory at the first look and at the most (MB PSS), and what is left of it. The exit
code is 1 when a verdict changed from one run to another, a run failed, or left something behind.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from embedded.running.state import State, alive
from reports.compare import CompareError, differences, load
from tests.bench import memory

ROOT = Path(__file__).parent.parent
REPORTS = ROOT / "reports" / "out" / "soak"  # of each run what it said and its reports
LOOK_SECONDS = 5.0
GONE_SECONDS = 10.0  # what ends with its cluster has so long to do it


@dataclass
class Run:
    """What one run came to."""

    code: int
    seconds: float
    looks: list[float] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        first, most = (self.looks[0], max(self.looks)) if self.looks else (0.0, 0.0)
        left = "; ".join(self.left) or "nothing"
        return (
            f"exit code {self.code}, {self.seconds:.1f} s, memory {first:.0f} to {most:.0f} MB, "
            f"left: {left}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.soak")
    parser.add_argument("-n", type=int, default=20, help="how many runs (default: 20)")
    parser.add_argument("--workers", default="5", help="pytest-xdist's workers (default: 5)")
    parser.add_argument("--loaded", action="store_true", help="keep every core busy meanwhile")
    flags = parser.parse_args()
    shutil.rmtree(REPORTS, ignore_errors=True)
    REPORTS.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="soak-") as folder, load_of(flags.loaded):
        sys.exit(soak(Path(folder), flags.n, flags.workers))


@contextlib.contextmanager
def load_of(wanted: bool) -> Iterator[None]:
    """One busy process for each core."""
    count = (os.cpu_count() or 1) if wanted else 0
    busy = [multiprocessing.Process(target=_spin, daemon=True) for _ in range(count)]
    for one in busy:
        one.start()
    try:
        yield
    finally:
        for one in busy:
            one.kill()


def _spin() -> None:
    while True:
        pass


def soak(tmp: Path, count: int, workers: str) -> int:
    """Run the suite so often; the exit code."""
    runs: list[Run] = []
    changed = 0
    for number in range(1, count + 1):
        run = one_run(tmp / str(number), REPORTS / str(number), workers)
        runs.append(run)
        print(f"run {number} of {count}: {run}", flush=True)
        try:
            first, here = (load(REPORTS / str(n) / "conformance.yaml") for n in (1, number))
        except CompareError as error:  # a run that failed, and says so above
            print(f"  not compared: {error}; see {REPORTS / f'{number}.log'}", flush=True)
            continue
        for difference in differences(first, here):
            changed += 1
            print(f"  since run 1: {difference}", flush=True)
    seconds = sorted(run.seconds for run in runs)
    failed = sum(run.code != 0 for run in runs)
    left = sum(bool(run.left) for run in runs)
    print(
        f"{count} runs: {failed} failed, {changed} verdicts changed, {left} left something; "
        f"{seconds[0]:.1f} to {seconds[-1]:.1f} s, median {seconds[count // 2]:.1f} s"
    )
    return 1 if failed or changed or left else 0


def one_run(tmp: Path, reports: Path, workers: str) -> Run:
    """One run, its processes marked by a temporary folder of its own."""
    tmp.mkdir()
    os.environ["EMBEDDED_HOME"] = str(tmp / "clusters")  # `State` looks there too
    env = {**os.environ, "TMPDIR": str(tmp)}
    began = time.monotonic()
    with (reports.parent / f"{reports.name}.log").open("wb") as log:
        suite = subprocess.Popen(
            [sys.executable, "-m", "pytest", "suites", "--cluster=embedded", "-q", "-n", workers,
             "-p", "no:cacheprovider",
             "--dist", "worksteal", "-m", "not window", f"--reports={reports}"],
            cwd=ROOT, env=env, stdout=log, stderr=log,
        )  # fmt: skip
        looks = []
        while suite.poll() is None:
            time.sleep(LOOK_SECONDS)
            looks += _memory(tmp / "clusters")
    run = Run(suite.returncode, time.monotonic() - began, looks)
    run.left = left_behind(tmp)
    if not run.left:
        shutil.rmtree(tmp)
    return run


def _memory(clusters: Path) -> list[float]:
    """Of the suite's own cluster, not of those that its tests ruin; [] when there is none."""
    for folder in clusters.glob("pytest-*"):
        if folder.name.count("-") == 1:
            with contextlib.suppress(OSError, AssertionError):
                return [memory(State(folder.name))]
    return []


def left_behind(tmp: Path) -> list[str]:
    """Processes that have the run's temporary folder, and files of clusters in it."""
    deadline = time.monotonic() + GONE_SECONDS
    while (found := _processes(tmp)) and time.monotonic() < deadline:
        time.sleep(0.2)
    files = [str(p.relative_to(tmp)) for p in (tmp / "clusters").glob("*")]
    return [f"{len(found)} processes ({', '.join(found[:3])})"] * bool(found) + files


def _processes(tmp: Path) -> list[str]:
    mark, found = f"TMPDIR={tmp}\0".encode(), []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                if mark in (entry / "environ").read_bytes() + b"\0" and alive(int(entry.name)):
                    words = (entry / "cmdline").read_bytes().replace(b"\0", b" ")
                    found.append(words.decode()[:60].strip())
    return found


if __name__ == "__main__":
    main()
