"""What a run says that it judged: the suite itself, and the manifests."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from manifests import FOLDER
from reports import judged

DEFAULT = FOLDER / "conformance"
OVERLAY = """apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [one.yaml, {more}]
patches:
- target: {{kind: ConfigMap, name: one}}
  patch: '[{{op: replace, path: /data/a, value: {value}}}]'
"""
OBJECT = "apiVersion: v1\nkind: {kind}\nmetadata: {{name: {name}, namespace: ns}}\ndata: {{a: x}}\n"


def kustomization(folder: Path, more: str, value: str) -> Path:
    """Of two objects, of which the first has a value."""
    folder.mkdir()
    (folder / "one.yaml").write_text(OBJECT.format(kind="ConfigMap", name="one"))
    (folder / f"{more}.yaml").write_text(OBJECT.format(kind="Secret", name=more))
    text = OVERLAY.format(more=f"{more}.yaml", value=value)
    (folder / "kustomization.yaml").write_text(text)
    return folder


def test_the_default_differs_in_nothing() -> None:
    found = judged.manifests(DEFAULT, DEFAULT)
    assert (found["kustomization"], "differs" in found) == ("default", False)
    assert found["digest"].startswith("sha256:")


def test_what_differs_from_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By object, and where in it; of much the first lines, and how many more."""
    default = kustomization(tmp_path / "default", "gone", "before")
    mine = kustomization(tmp_path / "of-our-team", "more", "after")
    found = judged.manifests(mine, default)
    assert found["kustomization"] == "of-our-team"
    assert found["digest"] != judged.manifests(default, default)["digest"]
    assert found["differs"] == [
        "added: Secret ns/more", 'ConfigMap ns/one: data.a is "after", not "before"',
        "not there: Secret ns/gone",
    ]  # fmt: skip
    monkeypatch.setattr(judged, "LINES", 1)
    assert judged.manifests(mine, default)["differs"] == [
        "added: Secret ns/more", "and 2 lines more",
    ]  # fmt: skip


def test_a_long_value_is_told_in_part() -> None:
    def maps(count: int, value: str) -> list[dict[str, object]]:
        return [
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"c{n}"},
             "data": {"list": [value, "same"]}}
            for n in range(count)
        ]  # fmt: skip

    (line,) = judged.differences(maps(1, "a"), maps(1, "b" * 500))
    assert line.startswith('ConfigMap c0: data.list[0] is "bbb')
    assert len(line) < 130
    assert judged.differences(maps(2, "a"), maps(2, "a")) == []


def git(folder: Path, *words: str) -> None:
    who = ("-c", "user.name=x", "-c", "user.email=x@example.com")
    subprocess.run(["git", "-C", str(folder), *who, *words], check=True, capture_output=True)


def test_the_suite_is_a_commit_or_has_changes(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / "test.py").write_text("a")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    clean = judged.suite(tmp_path)
    assert (len(clean["commit"]), clean["dirty"]) == (40, False)
    assert judged.said(clean) == f"{clean['version']}, commit {clean['commit'][:12]}"
    (tmp_path / "test.py").write_text("b")
    assert judged.suite(tmp_path) == {**clean, "dirty": True}
    assert judged.said(judged.suite(tmp_path)).endswith("changes that are not committed")


def test_a_copy_without_git_has_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a repository that is around it, it says nothing."""
    git(tmp_path, "init", "-q")
    (tmp_path / "copy").mkdir()
    monkeypatch.setattr(judged, "_installed_from", lambda: "")
    found = judged.suite(tmp_path / "copy")
    assert found.keys() == {"version"}
    assert judged.said(found).endswith("of no known commit")
    monkeypatch.setattr(judged, "_installed_from", lambda: "abc1234")
    assert judged.suite(tmp_path / "copy")["commit"] == "abc1234"
