"""When Limitador reads its limits file, as 2.1.0 does: seen beside the real one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from embedded.images.kuadrant.limitador_file import NotLoaded, Reader
from embedded.images.kuadrant.limitador_limits import Limits

LIMIT = "- {namespace: n, max_value: %d, seconds: 60, conditions: [], variables: []}\n"


def maximum(limits: Limits) -> list[int]:
    return [limit.maximum for limit in limits.limits("n")]


def mounted(folder: Path, version: str, text: str) -> None:
    """As a kubelet does it."""
    (folder / version).mkdir()
    (folder / version / "limits.yaml").write_text(text)
    (folder / "..data_tmp").symlink_to(version)
    (folder / "..data_tmp").rename(folder / "..data")


@pytest.mark.parametrize(
    ("how", "found"), [("swapped", [2]), ("written in place", [2]), ("replaced", [1])]
)
def test_another_limits_file(tmp_path: Path, how: str, found: list[int]) -> None:
    """A file that is renamed to the limits file is not seen: of a rename the old name counts."""
    path = tmp_path / "limits.yaml"
    if how == "swapped":
        mounted(tmp_path, "..1", LIMIT % 1)
        path.symlink_to("..data/limits.yaml")
    else:
        path.write_text(LIMIT % 1)
    limits = Limits()
    reader = Reader(path, limits)
    if how == "swapped":
        mounted(tmp_path, "..2", LIMIT % 2)
    elif how == "replaced":
        (tmp_path / "new").write_text(LIMIT % 2)
        reader.look()
        os.replace(tmp_path / "new", path)
    else:
        path.write_text(LIMIT % 2)
    reader.look()
    assert maximum(limits) == found


def test_a_file_that_is_no_good_changes_nothing(tmp_path: Path) -> None:
    """It is counted until one is that is."""
    path = tmp_path / "limits.yaml"
    path.write_text(LIMIT % 1)
    limits = Limits()
    reader = Reader(path, limits)
    assert (reader.status()["config_version"], reader.status()["config_err_since"]) == (0, 0)
    for text in ("- {", "- name: x", "- 3", "a: b", LIMIT % -1):
        path.write_text(text)
        reader.look()
        assert maximum(limits) == [1]
    assert reader.status()["config_err_since"] >= 5
    path.write_text("[]")
    reader.look()
    assert maximum(limits) == []
    assert reader.status()["config_err_since"] == 0
    assert reader.status()["config_version"] > 0


@pytest.mark.parametrize("text", [None, "- {", "- name: x"])
def test_it_does_not_start_without_limits(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "limits.yaml").write_text(text)
    with pytest.raises(NotLoaded):
        Reader(tmp_path / "limits.yaml", Limits())
