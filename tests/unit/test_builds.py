"""Somebody's own builds in the places of upstream's images: which, from where, and how told."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path

import pytest

from fixtures.clusters.programs import Build, replaced
from kind import KindError, registry
from kind import builds as own_builds

PLACES = ["ghcr.io/a/api:one", "ghcr.io/a/api:two", "docker.io/envoyproxy/envoy:v1"]


def test_a_tag_is_replaced_alone() -> None:
    """The first build that names an image runs there, and one without a tag everywhere."""
    found = [Build("ghcr.io/a/api:two", "second"), Build("ghcr.io/a/api", "any"),
             Build("envoyproxy/envoy", "mine")]  # fmt: skip
    assert replaced(found, PLACES) == {
        "ghcr.io/a/api:one": "any", "ghcr.io/a/api:two": "second",
        "docker.io/envoyproxy/envoy:v1": "mine",
    }  # fmt: skip
    assert replaced(found[:1], PLACES) == {"ghcr.io/a/api:two": "second"}


class Engine:
    """Docker's client: what it knows, and what it was told."""

    def __init__(self, images: dict[str, str], loads: Sequence[str] = ()) -> None:
        self.images, self.loads = images, loads
        self.told: list[str] = []

    def __call__(self, command: Sequence[str | Path], **_: object) -> str:
        words = " ".join(str(word) for word in command[1:])
        self.told.append(words)
        if words.startswith("image inspect"):
            if str(command[-1]) not in self.images:
                raise KindError("Error: No such image")
            return self.images[str(command[-1])] + "\n"
        return "".join(f"{line}\n" for line in self.loads) if words.startswith("load") else ""


def engine(monkeypatch: pytest.MonkeyPatch, *loads: str, **images: str) -> Engine:
    made = Engine(images, loads)
    monkeypatch.setattr(own_builds, "run", made)
    return made


def test_an_image_of_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    engine(monkeypatch, mine="sha256:1")
    assert own_builds.loaded("mine") == "sha256:1"


def test_an_archive(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "a.tar").touch()
    made = engine(monkeypatch, "Loaded image: mine", mine="sha256:1")
    assert own_builds.loaded(str(tmp_path / "a.tar")) == "sha256:1"
    assert any(words.startswith("load --input") for words in made.told)


@pytest.mark.parametrize("loads", [[], ["Loaded image: a", "Loaded image: b"]])
def test_an_archive_of_other_than_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, loads: list[str]
) -> None:
    (tmp_path / "a.tar").touch()
    engine(monkeypatch, *loads)
    with pytest.raises(KindError, match=r"should have one image, it has (none|a, b)"):
        own_builds.loaded(str(tmp_path / "a.tar"))


def test_neither(monkeypatch: pytest.MonkeyPatch) -> None:
    engine(monkeypatch)
    with pytest.raises(KindError, match=r"no image of the local engine .* and no archive"):
        own_builds.loaded("elsewhere")


def test_builds_lie_in_a_place_of_the_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    made = engine(monkeypatch)
    own_builds.serve("127.0.0.1:5000", "mine", {"envoyproxy/envoy:v1": "sha256:1"})
    target = f"127.0.0.1:5000/{own_builds.place('mine')}/docker.io/envoyproxy/envoy:v1"
    assert made.told == [f"tag sha256:1 {target}", f"push --quiet {target}", f"rmi {target}"]
    assert own_builds.place("mine") != own_builds.place("theirs")


def test_a_digest_is_of_no_build(monkeypatch: pytest.MonkeyPatch) -> None:
    engine(monkeypatch)
    with pytest.raises(KindError, match="named by its digest"):
        own_builds.serve("127.0.0.1:5000", "mine", {f"a/b@sha256:{'0' * 64}": "sha256:1"})


@pytest.mark.parametrize("packages", [True, False])
def test_where_the_node_asks(packages: bool) -> None:
    """The builds' place first; then the images of packages, or the registry itself."""
    found = own_builds.hosts_file("mine", "docker.io", True, packages)
    places = [f"{own_builds.place('mine')}/docker.io", *(["docker.io"] if packages else [])]
    parsed = tomllib.loads(found)
    base = f"http://{registry.NAME}:{registry.PORT}/v2"
    assert list(parsed["host"]) == [f"{base}/{place}" for place in places]
    assert all(one["override_path"] for one in parsed["host"].values())
    own = f"{base}/docker.io" if packages else "https://registry-1.docker.io"
    assert parsed["server"] == own
    without = own_builds.hosts_file("mine", "docker.io", False, packages)
    assert without == (registry.hosts_file("docker.io") if packages else "")
