"""Images of this project's own, from the checkout alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from kind.components import table
from kind.images import containers, ours


def test_what_has_no_place_on_kind_is_built_from_the_checkout(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """One base with the stand-ins and their packages, an image of each; again, nothing is built."""
    built: dict[str, tuple[str, list[str], set[str]]] = {}

    def build(image: str, base: str, lay: containers.Lay, lines: list[str]) -> None:
        root = tmp_path / image.replace("/", "-").replace(":", "-")
        root.mkdir()
        lay(root)
        files = {str(one.relative_to(root)) for one in root.rglob("*.py")}
        built[image] = base, lines, files

    monkeypatch.setattr(containers, "build", build)
    monkeypatch.setattr(containers, "exists", lambda image: image in built)
    wanted = [one for one in table().images if one.ours]
    found = ours.from_checkout(wanted)
    assert found.keys() == {one.image for one in wanted}
    base, lines, files = built[first := next(iter(built))]
    assert base == "docker.io/library/python:3.12-slim"
    assert "opt/app/embedded/images/__main__.py" in files
    (packages,) = [line for line in lines if line.startswith("RUN pip install")]
    assert "uvicorn" in packages
    assert "pytest" not in packages
    for one in wanted:
        on, (line,), none = built[found[one.image]]
        assert (on, none) == (first, set())
        assert line == containers.entrypoint(["python3", "-m", "embedded.images", *one.stand_in])
    before = dict(built)
    assert ours.from_checkout(wanted) == found
    assert built == before
