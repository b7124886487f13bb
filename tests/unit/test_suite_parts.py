"""Requirements, verdicts, redaction, waiting."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fixtures import waiting
from fixtures.evidence.requirements import Requirement, RequirementError, read, read_all
from fixtures.evidence.verdicts import Decision, Failure, TestResult, judge
from fixtures.invocation import SUITES
from fixtures.secrets import Secret, redact
from fixtures.waiting import WaitTimeout, be_patient, until
from reports.restarts import restarts

DOCUMENT = """# Guide

## Limits

- **Free**: 5 requests
- **Premium**: 20 requests

| Path | Handler |
|---|---|
| `/v1` | MaaS |

```bash
# not a heading
kubectl apply \\
  -f file.yaml
```

## Links

[one](two)
"""
GOOD = """document: d.md
sections:
- section: Limits
  statements:
  - quote: "**Free**: 5 requests"
    requirements:
    - id: XX-1
      title: One
      kind: flow
      level: core
      expects: something
  - quote: "**Premium**: 20 requests"
    requirements: [XX-1]
  - quote: "`/v1` | MaaS"
    not_testable: a path of no one's
  - quote: "# not a heading … -f file.yaml"
    not_testable: a command
- section: Links
  statements:
  - {quote: "[one](two)", not_testable: a link}
"""
RELEASED = GOOD.replace(
    "      expects:", "      releases: {a 1: nonconformant (so)}\n      expects:"
)


def profile(folder: Path, text: str, document: str = DOCUMENT) -> Path:
    """A profile's folder with its requirements and its document."""
    folder.mkdir(exist_ok=True)
    (folder / "d.md").write_text(document)
    file = folder / "requirements.yaml"
    file.write_text(text)
    return file


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (GOOD.replace("id: XX-1", "id: X1"), "an id looks like"),
        (GOOD.replace("kind: flow", "kind: fluid"), "kind 'fluid'"),
        (GOOD.replace("level: core", "level: hard"), "level 'hard'"),
        (GOOD.replace("      expects: something\n", ""), "'expects' is missing"),
        (GOOD.replace("expects:", "extra: 1\n      expects:"), "unknown fields ['extra']"),
        (GOOD.replace("kind: flow", "kind: disputed"), "outcomes go with kind disputed"),
        (RELEASED.replace("nonconformant", "red"), "a 1 decides one of ['conformant', 'noncon"),
        (RELEASED.replace("(so)", "so)"), "a 1 decides one of"),
        (RELEASED.replace("a 1", "a-1"), "a release looks like wasm-shim 0.12"),
        (RELEASED.replace("flow", "gap").replace("nonconf", "conf"), "one of ['gap closed'"),
        (GOOD.replace("5 requests", "6 requests"), "does not stand there"),
        (GOOD.replace("**Premium**: 20", "**Free**: 5").replace('"**Free**', '"**Premium**', 1)
         .replace("**Premium**: 5", "**Premium**: 20", 1), "stands before the quote above it"),
        (GOOD.replace("section: Links", "section: Link"), "there is no section 'Link'"),
        (GOOD.replace("d.md", "e.md"), "No such file"),
        (GOOD.replace("not_testable: a link", "why: so"), "unknown fields ['why']"),
        (GOOD.replace(", not_testable: a link", ""), "or not_testable with the reason"),
    ],
)  # fmt: skip
def test_wrong_requirements_are_refused(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(RequirementError) as refused:
        read(profile(tmp_path, text))
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("text", "decided"),
    [
        (RELEASED, "nonconformant"),
        (RELEASED.replace(" (so)", ""), "nonconformant"),
        (RELEASED.replace("flow", "gap").replace("nonconformant", "gap closed"), "gap closed"),
        (RELEASED.replace("kind: flow", "kind: disputed\n      outcomes: {open: it is}")
         .replace("nonconformant", "open"), "open"),
    ],
    ids=["with-a-reason", "without", "gap", "disputed"],
)  # fmt: skip
def test_what_a_release_decides(tmp_path: Path, text: str, decided: str) -> None:
    (reading,) = read(profile(tmp_path, text))
    assert reading.requirements[0].decided_by("a 1") == decided


def test_doubled_and_unknown_ids_are_refused(tmp_path: Path) -> None:
    profile(tmp_path / "a", GOOD)
    other = profile(tmp_path / "b", GOOD)
    with pytest.raises(RequirementError, match="XX-1 is there twice"):
        read_all(tmp_path)
    other.write_text(GOOD.replace("id: XX-1", "id: YY-1").replace("[XX-1]", "[XX-7]"))
    with pytest.raises(RequirementError, match="line 6: no requirement XX-7"):
        read_all(tmp_path)


def test_requirement_has_its_sentence(tmp_path: Path) -> None:
    (reading,) = read(profile(tmp_path, GOOD))
    (one,) = reading.requirements
    assert (one.quote, one.line, one.section) == ("**Free**: 5 requests", 5, "Limits")
    assert [s.lines for s in reading.statements] == [[5], [6], [10], [13, 14, 15], [20]]
    assert reading.uncovered() == []


@pytest.mark.parametrize("line", ["- **Enterprise**: 50 requests", "| `/v2` | vSR |", "says more"])
def test_line_that_nothing_quotes_is_found(tmp_path: Path, line: str) -> None:
    text = DOCUMENT.replace("\n\n```bash", f"\n{line}\n\n```bash")
    (reading,) = read(profile(tmp_path, GOOD, text))
    assert [reading.document.line(n) for n in reading.uncovered()] == [line]


def test_every_line_of_the_documents_is_covered() -> None:
    """A line that states something has a requirement, or a reason why it has none."""
    found = [
        f"{reading.document.name}:{number}: {reading.document.line(number).strip()}"
        for reading in read_all(SUITES)
        for number in reading.uncovered()
    ]
    assert found == []


def requirement(kind: str = "flow", **outcomes: str) -> Requirement:
    return Requirement("XX-1", "t", kind, "core", "d.md", "s", "e", "p", outcomes=outcomes)


def result(outcome: str, decided: str = "", name: str = "t") -> TestResult:
    failure = Failure("t", "hop", "a", "b", "text") if outcome == "failed" else None
    outcomes = {"XX-1": decided} if decided else {}
    return TestResult(name, ["XX-1"], outcome, 0.1, "no gpu", failure, outcomes)


@pytest.mark.parametrize(
    ("kind", "results", "verdict"),
    [
        ("flow", [], "not run"),
        ("flow", [result("passed")], "conformant"),
        ("flow", [result("passed"), result("failed")], "nonconformant"),
        ("flow", [result("skipped")], "not applicable"),
        ("flow", [result("skipped"), result("passed", name="other")], "not applicable"),
        ("flow", [result("skipped", name="t[a]"), result("passed", name="t[b]")], "conformant"),
        (
            "flow",
            [result("skipped", name="t[a]"), result("skipped", name="t[b]")],
            "not applicable",
        ),
        (
            "flow",
            [
                result("skipped", name="t[a]"),
                result("passed", name="t[b]"),
                result("skipped", name="u[a]"),
            ],
            "not applicable",
        ),
        (
            "gap",
            [result("skipped", name="t[a]"), result("passed", "present", "t[b]")],
            "gap present",
        ),
        ("flow", [result("skipped"), result("failed")], "nonconformant"),
        ("gap", [result("passed", "present")], "gap present"),
        ("gap", [result("passed", "closed")], "gap closed"),
        ("gap", [result("passed")], "nonconformant"),
        ("gap", [result("passed", "present"), result("passed", "closed")], "nonconformant"),
        ("disputed", [result("passed", "one")], "conformant"),
        ("disputed", [result("passed")], "nonconformant"),
        ("disputed", [result("passed", "one"), result("passed", "two")], "nonconformant"),
    ],
)
def test_verdicts(kind: str, results: list[TestResult], verdict: str) -> None:
    (found,) = judge({"XX-1": requirement(kind, one="1", two="2")}, results)
    assert found.verdict == verdict
    assert found.failed == (verdict == "nonconformant")


def test_a_case_that_was_not_tried_is_told() -> None:
    """Which, and why; of a requirement without a verdict its reason says it."""
    cases = [result("skipped", name="t[a]"), result("passed", name="t[b]")]
    (found,) = judge({"XX-1": requirement()}, cases)
    assert found.untried == {"t[a]": "no gpu"} == found.to_dict()["untried"]
    (found,) = judge({"XX-1": requirement()}, [*cases, result("skipped", name="u")])
    assert (found.untried, found.reason) == ({}, "no gpu (1 of 3 tests passed)")


def test_decision_refuses_an_outcome_that_is_not_listed() -> None:
    properties: list[tuple[str, object]] = []
    decide = Decision([requirement("disputed", one="1")], properties)
    decide("one")
    assert properties == [("outcome", ["XX-1", "one"])]
    with pytest.raises(AssertionError, match=r"'500' is none of \['one'\]"):
        decide("500")


@pytest.mark.parametrize(
    "secret",
    ["eyJhbGciOiJSUzI1NiJ9.eyJhIjoxfQ.c2lnbmF0dXJl", "sk-openai-key-for-demo",
     "change-me-super-secret"],
)  # fmt: skip
def test_secrets_do_not_show(secret: str) -> None:
    text = f"Authorization: Bearer {secret} and X-Provider-Api-Key: {secret}!"
    assert secret not in redact(text)
    assert redact(redact(text)) == redact(text)
    assert secret not in f"{Secret(secret)} {Secret(secret)!r} {[Secret(secret)]}"
    assert repr(Secret(secret)) != repr(Secret(secret + "x"))


def test_waiting_wants_a_streak_and_tells_what_it_saw_last() -> None:
    seen = iter([1, 1, 0, 1, 1, 1])
    assert until("ones", lambda: next(seen), bool, 5, in_a_row=3, every=0) == 1
    assert list(seen) == []
    with pytest.raises(WaitTimeout, match=r"waited 0 s for a miracle; last seen: no"):
        until("a miracle", lambda: "no", lambda s: s == "yes", 0, every=0)


def test_a_row_that_began_in_time_is_completed() -> None:
    seen = iter([0, 1, 1, 1])
    assert until("ones", lambda: next(seen), bool, 0.05, in_a_row=3, every=0.04) == 1
    seen = iter([1, 1, 0, 1])
    with pytest.raises(WaitTimeout, match="last seen: 0"):
        until("ones", lambda: next(seen), bool, 0, in_a_row=3, every=0.01)


def test_what_takes_long_is_looked_at_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """But in a row as often as it is asked for; and never more often than that."""
    pauses: list[float] = []
    monkeypatch.setattr(waiting.time, "sleep", pauses.append)
    seen = iter([0] * 20 + [1, 1, 1])
    until("ones", lambda: next(seen), bool, 5, in_a_row=3, every=0.05)
    assert pauses[0] == pauses[-1] == pauses[-2] == 0.05
    assert pauses[:20] == sorted(pauses[:20])
    assert pauses[19] == waiting.SELDOM_SECONDS
    pauses.clear()
    seen = iter([0, 0, 0, 1])
    until("ones", lambda: next(seen), bool, 5, every=0.5)
    assert pauses == [0.5] * 3


@pytest.fixture
def patient() -> Iterator[None]:
    be_patient(3)
    yield
    be_patient(1)


@pytest.mark.usefixtures("patient")
def test_a_slow_cluster_has_more_time() -> None:
    with pytest.raises(WaitTimeout, match=r"waited 0\.3 s"):
        until("a miracle", lambda: "no", lambda s: s == "yes", 0.1)


def test_restarts_of_this_run_are_told() -> None:
    def pod(finished: str) -> dict[str, object]:
        ended = {"reason": "OOMKilled", "exitCode": 137, "finishedAt": finished}
        container = {"name": "limitador", "restartCount": 2, "lastState": {"terminated": ended}}
        quiet = {"name": "other", "restartCount": 0, "lastState": {}}
        return {"metadata": {"name": "p", "namespace": "n"},
                "status": {"containerStatuses": [container, quiet]}}  # fmt: skip

    began = datetime(2026, 1, 1, 12, tzinfo=UTC).timestamp()
    before, meanwhile = pod("2026-01-01T11:59:59Z"), pod("2026-01-01T12:00:07Z")
    assert restarts([before, meanwhile, {"metadata": {}}], began) == [
        "n/p, container limitador: ended at 12:00:07 UTC (OOMKilled, exit code 137), "
        "2 restarts in all"
    ]
