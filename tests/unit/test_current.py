"""When a run on the embedded cluster need not be made again."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from reports import current, judged

SUITE = {"version": "1.2.3", "commit": "0" * 40, "dirty": False}


def report(**other: Any) -> dict[str, Any]:
    """A whole and green run, but for what is `other`."""
    requirements = [{"id": "X-1", "verdict": other.pop("verdict", "conformant")},
                    {"id": "X-2", "verdict": "not applicable"}]  # fmt: skip
    cluster = {"name": "embedded", "images": [{"image": "a", "kind": "stand-in", "what": "b"}]}
    return {"kind": "ConformanceReport", "suite": SUITE, "cluster": cluster,
            "manifests": {"kustomization": "default"},
            "profiles": [{"name": "p", "requirements": requirements}], **other}  # fmt: skip


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({}, ""),
        ({"suite": {**SUITE, "commit": "1" * 40}}, "it is of 1.2.3, commit 111111111111"),
        ({"suite": {**SUITE, "dirty": True}}, "with changes that are not committed"),
        ({"cluster": {"name": "kind"}}, "it is of the cluster kind"),
        ({"manifests": {"kustomization": "mine"}}, "it is of the manifests mine"),
        ({"cluster": {"name": "embedded",
                      "images": [{"image": "a", "kind": "build", "what": "./a"}]}}, "a was ./a"),
        ({"verdict": "nonconformant"}, "X-1 is nonconformant"),
        ({"verdict": "not run"}, "X-1 is not run"),
        ({"verdict": "not decided"}, "X-1 is not decided"),
    ],
)  # fmt: skip
def test_only_what_would_be_the_same_is_taken(other: dict[str, Any], why: str) -> None:
    found = current.unfit(report(**other), SUITE)
    assert found == why or (why and found.endswith(why))


@pytest.mark.parametrize("suite", [{**SUITE, "dirty": True}, {"version": "1.2.3"}])
def test_a_changed_checkout_is_asked_anew(suite: dict[str, Any]) -> None:
    assert current.unfit(report(), suite) == "this is no clean checkout of a commit"


@pytest.mark.parametrize(
    "text", ["kind: ConformanceReport\n", "kind: ConformanceReport\nsuite: 7\n", "{", ""]
)
def test_what_is_no_report_is_asked_anew(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judged, "suite", lambda: SUITE)
    (tmp_path / "conformance.yaml").write_text(text)
    assert current.main([str(tmp_path), str(tmp_path / "embedded")]) == 1
    assert not (tmp_path / "embedded").exists()


def test_it_is_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(judged, "suite", lambda: SUITE)
    words = [str(tmp_path / "out"), str(tmp_path / "out/embedded")]
    assert current.main(words) == 1
    assert "is asked anew: " in capsys.readouterr().out
    (tmp_path / "out").mkdir()
    (tmp_path / "out/conformance.yaml").write_text(yaml.safe_dump(report()))
    assert current.main(words) == 0
    assert yaml.safe_load((tmp_path / "out/embedded/conformance.yaml").read_text()) == report()
