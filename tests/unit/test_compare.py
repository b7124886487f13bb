"""What two runs decided otherwise."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from kind import FOLDER
from reports.compare import CompareError, baseline, differences, main


def report(verdicts: dict[str, str], **disputed: str) -> dict[str, Any]:
    requirements = [{"id": name, "verdict": verdict} for name, verdict in verdicts.items()]
    profile = {"name": "p", "disputed": disputed, "requirements": requirements}
    return {"kind": "ConformanceReport", "profiles": [profile]}


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        ("conformant", "nonconformant", "newly red"),
        ("not applicable", "nonconformant", "newly red"),
        ("nonconformant", "conformant", "mended"),
        ("gap present", "gap closed", "gap closed"),
        ("gap closed", "gap present", "gap open again"),
        ("conformant", "not applicable", "not run on one"),
        ("not run", "conformant", "not run on one"),
    ],
)
def test_kinds(before: str, after: str, kind: str) -> None:
    (found,) = differences(report({"X-1": before}), report({"X-1": after}))
    assert (found.id, found.kind) == ("X-1", kind)


def test_disputed_points_are_compared() -> None:
    one, other = ({"X_1": "conformant"} for _ in range(2))
    (found,) = differences(report(one, X_1="a"), report(other, X_1="b"))
    assert str(found) == "X_1: conformant (a) → conformant (b)"
    assert found.kind == "decided otherwise"


def test_a_requirement_that_one_run_has_not() -> None:
    found = differences(report({"X-1": "conformant"}), report({"X-2": "conformant"}))
    assert [(one.id, one.kind) for one in found] == [
        ("X-2", "not run on one"),
        ("X-1", "not run on one"),
    ]


def run(folder: Path, after: str, known: list[dict[str, str]]) -> int:
    paths = [folder / name for name in ("a.yaml", "b.yaml", "known.yaml")]
    contents = [report({"X-1": "conformant"}), report({"X-1": after}), known]
    for path, content in zip(paths, contents, strict=True):
        path.write_text(yaml.safe_dump(content))
    return main([str(paths[0]), str(paths[1]), "--known", str(paths[2])])


def test_exit_codes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    explained = [{"id": "X-1", "says": "nonconformant", "because": "upstream does"}]
    assert run(tmp_path, "conformant", []) == 0
    assert run(tmp_path, "nonconformant", []) == 1
    assert "not explained" in capsys.readouterr().out
    assert run(tmp_path, "nonconformant", explained) == 0
    assert "upstream does" in capsys.readouterr().out
    assert run(tmp_path, "gap present", explained) == 1, "explained, but otherwise than it is"
    assert run(tmp_path, "conformant", explained) == 1, "explained, and no longer so"
    (tmp_path / "c.yaml").write_text("kind: Other")
    assert main([str(tmp_path / "a.yaml"), str(tmp_path / "c.yaml")]) == 2
    assert "not a ConformanceReport" in capsys.readouterr().err


def test_a_baseline_is_a_run_or_known_differences(tmp_path: Path) -> None:
    """Of these what is red by them; with Kind's, `make kind` fails for nothing that they name."""
    file = tmp_path / "baseline.yaml"
    file.write_text(yaml.safe_dump(report({"X-1": "nonconformant", "X-2": "conformant"})))
    assert baseline(file) == {"X-1"}
    says = {"X-1": "not applicable", "X-2": "nonconformant"}
    file.write_text(
        yaml.safe_dump([{"id": i, "says": s, "because": "so"} for i, s in says.items()])
    )
    assert baseline(file) == {"X-2"}
    assert "MP-35" in baseline(FOLDER / "differences.yaml")
    file.write_text("kind: Other")
    with pytest.raises(CompareError, match="not a ConformanceReport"):
        baseline(file)


def test_a_difference_as_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is newly red first, what each run judged, and reasons; what a run says is text."""
    red = {"X-1": "nonconformant", "X-2": "conformant", "X-3": "conformant"}
    before, after = (report(one) for one in ({**red, "X-1": "conformant"}, red))
    before["profiles"][0]["requirements"][1]["verdict"] = "nonconformant"
    after["suite"] = {"version": "2.0", "commit": "0123456789abcdef"}
    after["cluster"] = {"name": "<script>", "images": []}
    paths = [tmp_path / name for name in ("a.yaml", "b.yaml", "known.yaml")]
    known = [{"id": "X-1", "says": "nonconformant", "because": "upstream does"}]
    for path, content in zip(paths, (before, after, known), strict=True):
        path.write_text(yaml.safe_dump(content))
    words = ["--format=html", *map(str, paths[:2])]
    assert main(words) == 1
    page = capsys.readouterr().out
    assert '<h1 id="decision">Different</h1>' in page
    assert 'class="decision bad"' in page
    assert "1 newly red, 1 mended; 0 explained." in page
    assert page.index("Newly red (1)") < page.index("Mended (1)")
    assert "2.0, commit 0123456789ab" in page
    assert "&lt;script&gt;" in page
    assert "<script" not in page
    assert main([*words, "--known", str(paths[2])]) == 1
    explained = capsys.readouterr().out
    assert "upstream does" in explained
    assert 'class="decision open"' in explained
    assert main(["--format=html", str(paths[0]), str(paths[0])]) == 0
    assert "No differences" in capsys.readouterr().out
