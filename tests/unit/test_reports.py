"""conformance.yaml is what its schema says, and a baseline forgives what was red before."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from fixtures.evidence import Hop
from fixtures.evidence.requirements import by_id, read_all
from fixtures.evidence.verdicts import Failure, TestResult, Verdict, judge
from manifests import FOLDER
from reports import conformance
from reports.compare import differences, markdown, red
from reports.exits import Ended, code
from reports.judged import manifests
from reports.summary import since_baseline

DEFAULT = FOLDER / "conformance"
SUITES = Path(__file__).parent.parent.parent / "suites"
KNOWN = by_id(read_all(SUITES))


def verdicts(*failed: str, skipped: str = "") -> list[Verdict]:
    """Of all requirements: these are red, one is not applicable, MP-1 is conformant."""
    way = [Hop("client", "", "sent GET /")]
    found = [TestResult("test_mp_1", ["MP-1"], "passed", seconds=1.5, way=way)]
    for one in failed:
        why = Failure(f"test_{one}", "backend", "path /a", "path /b", "text")
        found.append(TestResult(f"test_{one}", [one], "failed", failure=why))
    if skipped:
        found.append(TestResult("test_skipped", [skipped], "skipped", reason="no GPU"))
    return judge(KNOWN, found)


IMAGES = [
    {"image": "quay.io/a/b:v1", "kind": "stand-in", "what": "embedded.images.a.b"},
    {"image": "quay.io/a/c:v1", "kind": "upstream", "what": f"sha256:{'0' * 64}"},
]


def dumped(report: dict[str, Any]) -> str:
    """As YAML, by libyaml: Python's own takes seconds for hundreds of requirements."""
    text: str = yaml.dump(report, Dumper=yaml.CSafeDumper)
    return text


def written(judged: list[Verdict], **more: Any) -> dict[str, Any]:
    run = {
        "cluster": "embedded", "manifests": manifests(DEFAULT, DEFAULT),
        "suite": {"version": "1.2.3", "commit": "0" * 40, "dirty": False},
        "components": {"kubernetes": "v1", "claimedCapabilities": ["a"]}, "seconds": 2.0,
        "images": IMAGES, "date": "2026-01-02T03:04:05Z",
    }  # fmt: skip
    text = conformance.render(conformance.Run(**{**run, **more}), judged)
    loaded: dict[str, Any] = yaml.load(text, Loader=yaml.CSafeLoader)
    return loaded


@pytest.mark.parametrize("more", [{}, {"lost": "the cluster was lost"}, {"shard": (2, 5)}])
def test_what_is_written_keeps_to_the_schema(more: dict[str, Any]) -> None:
    found = written(verdicts("MP-2", skipped="MP-3"), **more)
    assert conformance.problem(dumped(found)) == ""
    (profile,) = [p for p in found["profiles"] if p["name"] == "mixed_providers"]
    seen = {one["id"]: one for one in profile["requirements"]}
    assert seen["MP-35"]["releases"]["wasm-shim 0.11"] == "conformant"
    assert "releases" not in seen["MP-1"]
    assert [seen[f"MP-{n}"]["verdict"] for n in (1, 2, 3)] == [
        "conformant", "nonconformant", "not applicable",
    ]  # fmt: skip
    assert seen["MP-1"]["evidence"] == [
        {"test": "test_mp_1", "outcome": "passed", "seconds": 1.5,
         "way": [{"hop": "client", "observed": "sent GET /"}]}
    ]  # fmt: skip
    assert seen["MP-1"]["seconds"] == 1.5
    assert found.get("lost") == more.get("lost")
    assert ("shard" in found) is ("shard" in more)


WRONG = {
    "a verdict that is none": lambda one: one.update(verdict="fine"),
    "red without a failure": lambda one: one.update(verdict="nonconformant"),
    "not applicable without a reason": lambda one: one.update(verdict="not applicable"),
    "proved by no test": lambda one: one.update(evidence=[]),
    "an id of another kind": lambda one: one.update(id="mp1"),
    "an unknown field": lambda one: one.update(remark="x"),
    "no sentence": lambda one: one["source"].pop("quote"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_none_is_refused(wrong: str) -> None:
    found = written(verdicts())
    (profile,) = [p for p in found["profiles"] if p["name"] == "mixed_providers"]
    WRONG[wrong](next(one for one in profile["requirements"] if one["id"] == "MP-1"))
    assert conformance.problem(dumped(found)).startswith("$.profiles[")


FAILED, STOPPED = pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERRUPTED


def ended(
    says: int, *red: str, known: set[str] | None = None, unjudged: tuple[str, ...] = (),
    closed: bool = False, undecided: bool = False, wrong: bool = False,
) -> int:  # fmt: skip
    return code(Ended(int(says), {*red}, [*unjudged], known, closed, undecided, wrong))


def test_exit_codes() -> None:
    """What is nonconformant counts for more than what is not decided."""
    assert ended(0) == 0
    assert ended(FAILED, "MP-2") == ended(FAILED, "MP-2", undecided=True) == 1
    assert ended(STOPPED, "MP-2") == 1
    assert ended(FAILED, undecided=True) == ended(STOPPED) == ended(0, undecided=True) == 2
    assert ended(0, wrong=True) == 3
    for says in (pytest.ExitCode.INTERNAL_ERROR, pytest.ExitCode.USAGE_ERROR, 5):
        assert ended(says, "MP-2") == says
    assert ended(0, closed=True) == 1


def test_exit_codes_with_a_baseline() -> None:
    assert ended(FAILED, "MP-2", known={"MP-2", "MP-3"}) == 0
    assert ended(FAILED, "MP-2", known={"MP-3"}) == 1
    assert ended(FAILED, "MP-2", known={"MP-2"}, unjudged=("tests/kind::one",)) == 1
    assert ended(FAILED, "MP-2", known={"MP-2"}, undecided=True) == 2
    assert ended(FAILED, "MP-2", known={"MP-2"}, closed=True) == 1


def test_what_is_said_of_the_baseline() -> None:
    said = since_baseline(verdicts("MP-2", "MP-4"), {"MP-1", "MP-4", "MP-9"})
    assert said == ("against the baseline: newly red: MP-2; red as before: MP-4; red no more: MP-1")


def test_differences_as_a_table() -> None:
    before, after = written(verdicts()), written(verdicts("MP-1"))
    assert red(after) == {"MP-1"}
    table = markdown(differences(before, after), {"MP-1": ("nonconformant", "a | b")})
    assert table.splitlines()[2] == ("| newly red | MP-1 | conformant | nonconformant | a \\| b |")
    assert markdown([], {}) == "No differences."
