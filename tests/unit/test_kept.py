"""A cluster that is kept: when it is used again, when another is made, and that one run has it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from embedded.errors import EmbeddedError
from embedded.running import lifecycle, origin
from embedded.running.kept import Kept
from embedded.running.state import Info, State, started

IMAGE = "quay.io/kuadrant/limitador"


class Made:
    """What `Kept` asked of the cluster's life; the cluster is this process."""

    def __init__(self) -> None:
        self.ups, self.downs = 0, 0
        self.said: list[str] = []

    def up(self, state: State, images: list[str], folder: Path | None) -> str:
        self.ups += 1
        state.folder.mkdir(parents=True)
        made_of = origin.made_of(images)
        me = os.getpid()
        state.write_info(Info(me, started(me), "https://x", "dns", "domain", made_of, []))
        return "process"

    def down(self, state: State) -> None:
        self.downs += 1
        for path in state.folder.iterdir():
            path.unlink()
        state.folder.rmdir()


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Made:
    found = Made()
    monkeypatch.setenv("EMBEDDED_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(lifecycle, "up", found.up)
    monkeypatch.setattr(lifecycle, "down", found.down)
    return found


@pytest.fixture
def program(tmp_path: Path) -> Path:
    found = tmp_path / "limitador"
    found.write_text("#!/bin/sh\n")
    found.chmod(0o755)
    return found


def run(made: Made, *images: str, in_order: bool = True) -> Kept:
    """One run, from its beginning to its end."""
    kept = Kept(State("mine"), list(images), made.said.append)
    kept.up()
    kept.leave(in_order)
    return kept


def test_the_same_is_used_again(made: Made, program: Path) -> None:
    for _ in range(3):
        assert run(made, f"{IMAGE}={program} --x").rebuilt == []
    assert (made.ups, made.downs, made.said) == (1, 0, [])


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda patch: patch.setattr(origin, "sources", lambda: [Path(__file__)]),
         "other sources in embedded/"),
        (lambda patch: patch.setattr(origin, "_python", lambda: ["another"]),
         "another Python or other packages"),
        (lambda patch: patch.setattr(origin, "render", lambda folder: []),
         "other manifests of the platform"),
    ],
    ids=["sources", "packages", "platform"],
)  # fmt: skip
def test_of_other_stuff_it_is_made_anew(
    made: Made, monkeypatch: pytest.MonkeyPatch, change: Callable[[Any], None], why: str
) -> None:
    run(made)
    change(monkeypatch)
    run(made)
    assert (made.ups, made.downs) == (2, 1)
    assert made.said == [f"cluster mine is made anew: {why}"]
    run(made)
    assert made.ups == 2


def test_with_another_image_it_is_made_anew(made: Made, program: Path) -> None:
    run(made, f"{IMAGE}={program}")
    run(made, f"{IMAGE}={program} --other")
    run(made)
    assert (made.ups, made.downs) == (3, 2)
    assert set(made.said) == {"cluster mine is made anew: another --image"}


def test_of_a_program_that_was_built_again_only_pods_are_new(made: Made, program: Path) -> None:
    words = f"{IMAGE}={program}"
    run(made, words)
    program.write_text("#!/bin/sh\nexit\n")
    assert run(made, words).rebuilt == [IMAGE]
    assert run(made, words).rebuilt == []
    assert (made.ups, made.downs) == (1, 0)
    assert made.said == [f"the program of {IMAGE} has changed: its Pods start anew"]


def test_what_a_run_left_that_did_not_end_nobody_uses(made: Made) -> None:
    run(made, in_order=False)
    run(made)
    assert (made.ups, made.downs) == (2, 1)
    assert made.said == ["cluster mine is made anew: the last run on it did not come to its end"]


def test_one_run_has_it_at_a_time(made: Made) -> None:
    first = Kept(State("mine"), [], made.said.append)
    first.up()
    with pytest.raises(
        EmbeddedError, match=f"'mine' is used by another run .process {os.getpid()}"
    ):
        Kept(State("mine"), [], made.said.append).up()
    first.leave()
    run(made)
    assert made.ups == 1


def test_files_of_a_command(tmp_path: Path, program: Path) -> None:
    """Its program, by its path or on PATH, the files that it names, and what `-m` runs."""
    ((_, paths),) = origin.programs([f"{IMAGE}=sh {program} --config={program} -m json.tool"])
    sh = subprocess.run(["which", "sh"], capture_output=True, text=True, check=True).stdout.strip()
    assert {Path(sh), program} < set(paths)
    assert "json" in {path.parent.name for path in paths}
