"""Fixtures of the project's own tests."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from embedded.running import lifecycle, ready
from embedded.running.state import State
from manifests import FOLDER

os.environ.pop("GITHUB_STEP_SUMMARY", None)  # runs that tests start say nothing there
DOCUMENTS = Path(__file__).parent / "documents"
DEMO = FOLDER / "mixed-providers" / "overlays" / "recording"


def pytest_addoption(parser: pytest.Parser) -> None:
    """How much of the suite each mutant is shown."""
    parser.addoption("--whole", action="store_true", help="mutants: run the whole suite on each")
    parser.addoption(
        "--alone", action="store_true",
        help="mutants: each on a cluster of its own, before the tests of those it shares one with",
    )  # fmt: skip


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """The example of other people's documents is for a cluster (`--documents`)."""
    is_ours = not config.getoption("--documents")
    return True if is_ours and collection_path == DOCUMENTS else None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mutants that wait for minutes far from each other, and none near an end: while one waits,
    others have the processors. xdist gives each worker its run of the list."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    waiting = [item for item in items if waits(item)]
    rest = [item for item in items if item not in waiting]
    items.clear()
    for worker in range(workers):
        mine, theirs = waiting[worker::workers], _part(rest, worker, workers)
        early = len(theirs) * 2 // 3 // max(1, len(mine))
        for number, item in enumerate(mine):
            theirs.insert(number * (early + 1), item)
        items += theirs


def _part(items: list[pytest.Item], number: int, of: int) -> list[pytest.Item]:
    """One of so many runs of a list."""
    return items[len(items) * number // of : len(items) * (number + 1) // of]


def waits(item: pytest.Item) -> bool:
    """Whether a test is of a mutant that takes minutes, for windows or clusters of its own."""
    params = getattr(getattr(item, "callspec", None), "params", {})
    return any(one.windows or one.disposables for one in params.get("mutants", ()))


@pytest.fixture(scope="session", autouse=True)
def own_runs_remember_nothing() -> Iterator[None]:
    """Runs of the suite that tests start leave what `--lf` knows of the user's last one."""
    before = os.environ.get("PYTEST_ADDOPTS", "")
    os.environ["PYTEST_ADDOPTS"] = f"{before} -p no:cacheprovider"
    yield
    os.environ["PYTEST_ADDOPTS"] = before


class Cluster:
    """An embedded cluster of a test, and the real clients pointed at it."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.env = {
            **os.environ,
            "KUBECONFIG": str(state.kubeconfig),
            "CURL_HOME": str(state.folder),
        }

    def run(
        self, *words: str, stdin: str = "", seconds: float = 60.0
    ) -> subprocess.CompletedProcess[str]:
        """Run a program with the cluster's environment, for so long at most."""
        return subprocess.run(
            words,
            env=self.env,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def kubectl(self, *words: str, stdin: str = "") -> str:
        """kubectl's output; fails the test if kubectl fails."""
        done = self.run("kubectl", *words, stdin=stdin)
        assert done.returncode == 0, f"kubectl {' '.join(words)}: {done.stdout}{done.stderr}"
        return done.stdout

    def refused(self, *words: str, stdin: str = "") -> str:
        """What kubectl says when it is refused; fails the test if it is not."""
        done = self.run("kubectl", *words, stdin=stdin)
        assert done.returncode != 0, f"kubectl {' '.join(words)} was not refused: {done.stdout}"
        return done.stderr


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One embedded cluster with the demo, for all contract tests of a worker."""
    state = State(f"contract-{os.getpid()}")
    process = lifecycle.up(state, [], DEMO, lifeline=True)
    try:
        ready.wait(state, lifecycle.START_SECONDS)
        lifecycle.write_curlrc(state)
        yield Cluster(state)
    finally:
        lifecycle.down(state)
        process.wait()


@pytest.fixture
def namespace(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace of the test's own."""
    name = f"t-{abs(hash(request.node.nodeid)) % 10**10}"
    cluster.kubectl("create", "namespace", name)
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")


ROOT = Path(__file__).parent.parent
