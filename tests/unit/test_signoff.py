"""The sign-off page's parts: the decision, what broke, the flows, the history; and the progress."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fixtures.evidence import BACKEND, CLIENT, EGRESS, MAAS, Hop
from fixtures.evidence.requirements import by_id, read_all
from fixtures.evidence.verdicts import Failure, TestResult, Verdict, judge
from reports import history, signoff, step_summary, summary
from reports.causes import causes, ways
from reports.progress import Progress
from reports.signoff import __main__ as command
from reports.signoff.decision import Decision, decide
from reports.signoff.flows import CLUSTER, flows
from reports.signoff.times import by_profile, slowest
from tests.unit.test_reports import IMAGES, dumped, written

READINGS = read_all(Path(__file__).parent.parent.parent / "suites")
KNOWN = by_id(READINGS)
WAY = [
    Hop(CLIENT, "", "sent GET /external/openai/v1/models"),
    Hop(EGRESS, "", "received /openai/v1/models"),
    Hop(BACKEND, "", "openai received GET /v1/models; x-provider-api-key: <redacted 1>"),
    Hop(CLIENT, "", "got 200"),
]


def failure(hop: str, expected: str = "a", observed: str = "b", text: str = "") -> Failure:
    return Failure("suites/x/test_y.py::test_z", hop, expected, observed, text)


def judged(red: dict[str, Failure], left_out: tuple[str, ...] = ()) -> list[Verdict]:
    """All requirements: these are red, these have not run, what wants a capability is not
    applicable, and the rest holds."""
    results = []
    red = {name: replace(one, test=f"t::{name}") for name, one in red.items()}
    for one in (r for r in KNOWN.values() if r.id not in left_out):
        outcomes = {one.id: "present"} if one.kind == "gap" else {}
        if one.outcomes:
            outcomes = {one.id: next(iter(one.outcomes))}
        outcome = "failed" if one.id in red else "skipped" if one.capability else "passed"
        results.append(TestResult(f"t::{one.id}", [one.id], outcome, 0.1, "no GPU",
                                  red.get(one.id), outcomes, WAY))  # fmt: skip
    return judge(KNOWN, results)


CORE, EXTENDED = "MP-28", "HD-12"


@pytest.mark.parametrize(
    ("red", "left_out", "lost", "unjudged", "word", "says"),
    [
        ({}, (), "", [], "Ship", "that this cluster can show hold"),
        ({CORE: failure(BACKEND)}, (), "", [], "Do not ship", "1 core requirement of 258 is"),
        ({CORE: failure(BACKEND)}, (), "it was lost", [], "Do not ship", "It was lost."),
        ({CORE: failure(BACKEND)}, ("MG-1",), "", [], "Do not ship", "1 core requirement of"),
        ({EXTENDED: failure(CLIENT)}, (), "", [], "Ship with known defects", "1 extended one is"),
        ({}, (), "it was lost", [], "No verdict", "It was lost."),
        ({}, ("MG-1",), "", [], "No verdict", "1 of 258 requirements did not run"),
        ({}, (), "", ["tests/kind::one"], "No verdict", "1 test that no requirement cites failed"),
        ({EXTENDED: failure(CLIENT)}, ("MG-1",), "", [], "No verdict", "did not run"),
    ],
)  # fmt: skip
def test_may_it_be_released(
    red: dict[str, Failure], left_out: tuple[str, ...], lost: str, unjudged: list[str],
    word: str, says: str,
) -> None:  # fmt: skip
    found: Decision = decide(judged(red, left_out), lost, unjudged)
    assert found.word == word
    assert says.replace("258", str(len(KNOWN))) in found.sentence
    if red and word != "No verdict":
        assert "expected a, observed b" in found.reason


@pytest.mark.parametrize(
    ("red", "word"),
    [
        ({}, "Stand-ins conform"),
        ({EXTENDED: failure(CLIENT)}, "Stand-ins conform, with known defects"),
        ({CORE: failure(BACKEND)}, "Do not ship"),
    ],
)
def test_what_holds_of_stand_ins_releases_nothing(red: dict[str, Failure], word: str) -> None:
    """And the first sentence says that they were judged."""
    found = decide(judged(red, ()), "", [], images=IMAGES)
    assert (found.word, found.kind == "good") == (word, False)
    assert found.sentence.startswith("Stand-ins of this suite were judged in the place of 1 of 2 ")
    real = decide(judged({}, ()), "", [], images=IMAGES[1:])
    assert (real.word, real.sentence[:4]) == ("Ship", "All ")


@pytest.mark.parametrize(
    ("red", "word"), [({CORE: failure(BACKEND)}, "Do not ship"), ({}, "No verdict")]
)
def test_what_is_not_ready_is_in_the_decision(red: dict[str, Failure], word: str) -> None:
    found = decide(judged(red, ()), "", [], ["Deployment llm/model: 0 available", "  main: ended"])
    assert found.word == word
    assert "Not everything that was deployed became ready." in found.sentence
    assert found.reason.startswith("Deployment llm/model: 0 available.")


def test_one_defect_is_told_once_and_the_most_telling_first() -> None:
    """A status may have any reason, and what does not come says less than what comes wrong."""
    found = causes(
        judged({
            "MP-13": failure(CLIENT, "status 200", "status 404"),
            "MP-14": failure(CLIENT, "status 200", "status 404"),
            "MP-20": failure(BACKEND, "one request at openai", "requests at nothing"),
            "MP-22": failure("", text="route: path is /v2"),
            "MP-28": failure(BACKEND, "path /v1 of <redacted 12345678>", "path /openai/v1"),
            "MP-31": failure(BACKEND, "path /v1 of <redacted 87654321>", "path /openai/v1"),
        })
    )  # fmt: skip
    assert [[v.requirement.id for v in one.verdicts] for one in found] == [
        ["MP-28", "MP-31"], ["MP-22"],
    ]  # fmt: skip
    assert [v.requirement.id for v in found[0].follows] == ["MP-20", "MP-13", "MP-14"]
    assert found[0].text == (
        "backend: expected path /v1 of <redacted 12345678>, observed path /openai/v1"
    )


SENT = {"openai": "/external/openai/v1/models", "vllm": "/external/vllm/v1/models"}


def seen_on(provider: str, name: str, *failures: Failure) -> Verdict:
    """A requirement that is red, by requests on a provider's route."""
    way = [Hop(CLIENT, "", f"sent GET {SENT[provider]}")]
    found = [
        TestResult(f"t::{name}[{number}]", [name], "failed", 0.1, "",
                   replace(one, test=f"t::{name}[{number}]"), {}, way)
        for number, one in enumerate(failures)
    ]  # fmt: skip
    return next(v for v in judge(KNOWN, found) if v.requirement.id == name)


REWRITE = failure(BACKEND, "path /v1", "path /openai/v1")
STATUS = failure(CLIENT, "status 200", "status 404")
ABSENT = failure(BACKEND, "one request at openai", "requests at nothing")
LATE = failure(CLIENT, "status 429", "status 200")


def test_what_is_red_because_of_another_stands_under_it() -> None:
    """It saw less of the same route, by each of its tests; what saw anything else stands alone."""
    found = causes([
        seen_on("openai", "MP-28", REWRITE),
        seen_on("openai", "MP-13", STATUS),
        seen_on("openai", "MP-20", ABSENT, STATUS),
        seen_on("vllm", "MP-15", STATUS),  # another route
        seen_on("openai", "MP-43", LATE),  # no defect of a rewrite lets somebody in
        seen_on("openai", "MP-29", failure(BACKEND, "key a", "key b")),  # as telling as the first
    ])  # fmt: skip
    assert [
        ([v.requirement.id for v in one.verdicts], [v.requirement.id for v in one.follows])
        for one in found
    ] == [(["MP-28"], ["MP-20", "MP-13"]), (["MP-29"], []), (["MP-15"], []), (["MP-43"], [])]
    assert ways(found) == "6 requirements are red, in 4 ways"


def test_a_requirement_red_in_two_ways_stands_for_itself() -> None:
    """Of its tests one saw less of the broken route, the other another one."""
    one, other = seen_on("openai", "MP-20", STATUS), seen_on("vllm", "MP-20", STATUS)
    both = replace(
        one, failures=[*one.failures, *other.failures], results=[*one.results, *other.results]
    )
    found = causes([seen_on("openai", "MP-28", REWRITE), both])
    assert [len(one.follows) for one in found] == [0, 0]


def test_page_and_terminal_count_the_same_ways(tmp_path: Path) -> None:
    """Extended requirements are counted with core ones, on the page, in its reason, at the end of a
    run, and on its page in GitHub Actions."""
    verdicts = judged({
        "MP-28": REWRITE, "MP-13": LATE, EXTENDED: failure("", text="no Pod"),
        "MP-22": failure("", text="no Gateway"),
    })  # fmt: skip
    out: Any = Terminal()
    summary.write(out, verdicts, tmp_path, [], [], [])
    said = "4 requirements are red, in 4 ways"
    facts = signoff.facts_of(written(verdicts), None)
    page = signoff.render(facts, READINGS, verdicts)
    assert said in out.lines
    assert decide(verdicts, "", []).reason.startswith(f"{said}; the most telling, by MP-28")
    assert page.count(said) == 3  # reason, first screen, above what is violated
    assert f"### {said}" in step_summary.markdown(facts, verdicts)


def test_what_is_long_is_clipped(tmp_path: Path) -> None:
    """On the page and in a picture of hops; the file has it whole."""
    path = "/external/openai/" + "a" * 8192
    verdicts = judged({"MP-28": failure(BACKEND, "path /v1", f"path {path}")})
    for verdict in verdicts:
        for result in verdict.results:
            got = "; ".join([f"got {path}"] * 5)
            result.way = [Hop(CLIENT, "", f"sent GET {path}"), Hop(BACKEND, "", got)]
    page = signoff.render(signoff.facts_of(written(verdicts), None), READINGS, verdicts)
    assert "a" * 500 not in page
    assert "letters)" in page
    assert path in dumped(written(verdicts))
    every = [stop for flow in flows(verdicts) for stop in flow.every]
    assert max(len(stop.lines) for stop in every) <= 8
    assert any(line.endswith("letters)") for stop in every for line in stop.lines)


def test_where_the_time_went() -> None:
    """A test that proves two requirements counts once."""
    twice = TestResult("suites/x/t.py::slow", ["MP-1", "MP-2"], "passed", 9.0)
    others = [TestResult(f"t::{n}", ["HD-1"], "passed", float(n)) for n in range(12)]
    verdicts = judge(KNOWN, [twice, *others])
    found = {one.profile: (one.tests, one.seconds) for one in by_profile(verdicts)}
    assert found == {"hardening": (12, 66.0), "mixed_providers": (1, 9.0)}
    assert [one.seconds for one in slowest(verdicts)] == [11, 10, 9, 9, 8, 7, 6, 5, 4, 3]


def test_requirements_stand_at_the_hop_that_broke_or_by_their_kind() -> None:
    verdicts = judged({"MP-29": failure(MAAS), "MP-28": failure(BACKEND)})
    flow = next(one for one in flows(verdicts) if one.profile == "mixed_providers")
    stops = {one.hop: one for one in flow.every}
    at = {hop: {v.requirement.id for v in one.verdicts} for hop, one in stops.items()}
    assert "MP-29" in at[MAAS]  # an injection, and so at the backend when it holds
    assert "MP-28" in at[BACKEND]  # a rewrite, and so at the egress gateway
    assert "MP-31" in at[EGRESS]
    assert sum(map(len, at.values())) == sum(r.profile == flow.profile for r in KNOWN.values())
    assert all(v.requirement.kind == "topology" for v in stops[CLUSTER].verdicts)
    assert {hop: one.verdict for hop, one in stops.items()}[EGRESS] == "conformant"
    assert stops[BACKEND].verdict == stops[MAAS].verdict == "nonconformant"


def test_flow_shows_what_was_seen_at_each_hop() -> None:
    flow = next(one for one in flows(judged({})) if one.profile == "mixed_providers")
    assert [one.seen for one in flow.stops] == [
        ["sent GET /external/openai/v1/models", "got 200"],
        ["received GET /external/openai/v1/models"],
        ["received /openai/v1/models"],
        ["openai received GET /v1/models", "x-provider-api-key: <redacted 1>"],
    ]
    assert all(len(line) <= 36 for one in flow.stops for line in one.lines)


def past(folder: Path, date: str, red: tuple[str, ...] = (), **more: Any) -> None:
    report = written(judged({one: failure(BACKEND) for one in red}), **more)
    report["date"] = date
    history.keep(folder, dumped(report), date, report["cluster"]["name"])


def test_history_knows_since_when(tmp_path: Path) -> None:
    past(tmp_path, "2026-01-01T00:00:00Z", ("MP-28", "MP-1"))
    past(tmp_path, "2026-01-02T00:00:00Z", ("MP-1",))
    past(tmp_path, "2026-01-03T00:00:00Z", ("MP-28", "MP-1"))
    past(tmp_path, "2026-01-04T00:00:00Z", (), cluster="kind")
    (tmp_path / "notes.yaml").write_text("mine")
    (tmp_path / "20260105T000000Z-embedded.yaml").write_text("cut o")
    runs = history.read(tmp_path, "embedded", "default")
    assert [one.date[:10] for one in runs] == ["2026-01-01", "2026-01-02", "2026-01-03"]
    assert history.red_since(runs, "MP-28") == "2026-01-03T00:00:00Z"
    assert history.red_since(runs, "MP-1") == "2026-01-01T00:00:00Z"
    assert history.red_since(runs, "MP-2") == ""


def test_history_forgets_the_oldest_of_its_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "KEPT", 2)
    past(tmp_path, "2026-01-01T00:00:00Z", (), cluster="kind")
    for day in (2, 3, 4):
        past(tmp_path, f"2026-01-0{day}T00:00:00Z")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "20260101T000000Z-kind.yaml",
        "20260103T000000Z-embedded.yaml",
        "20260104T000000Z-embedded.yaml",
    ]


def test_page_of_a_report_that_there_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same verdicts, from its file alone; and what is none is refused."""
    report = written(judged({"MP-28": failure(BACKEND), "MG-1": failure("", text="no Gateway")}))
    file = tmp_path / "conformance.yaml"
    file.write_text(dumped(report))
    assert command.main([str(file), "--baseline", str(file)]) == 0
    page = (tmp_path / "signoff.html").read_text()
    assert "Do not ship" in page
    assert "in the baseline" in page
    assert "no Gateway" in page
    assert "wasm-shim 0.12 <strong>nonconformant</strong> (the client" in page
    assert command.main([str(tmp_path / "none.yaml")]) == 2
    assert "none.yaml" in capsys.readouterr().err


class Terminal:
    """As much of pytest's reporter as the progress writes to."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._tw = self
        self.hasmarkup = False

    def write_line(self, line: str, **_: bool) -> None:
        self.lines.append(line)

    def section(self, title: str, *_: str, **__: bool) -> None:
        self.lines.append(title)


def report(when: str, nodeid: str, outcome: Any = "passed", **properties: Any) -> Any:
    return pytest.TestReport(nodeid, ("f", 1, "t"), {}, outcome, "it said so", when,  # type: ignore[arg-type]
                             user_properties=list(properties.items()))  # fmt: skip


def test_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is under way, how long the longest window takes, and each kind of failure at once."""
    out: Any = Terminal()
    progress = Progress(out)
    monkeypatch.setattr(time, "monotonic", lambda: 1000.0)
    progress.pytest_xdist_node_collection_finished(["a", "b", "c"])
    nodes = ["suites/maas_gateway/t.py::a", "suites/hardening/t.py::b", "suites/hardening/t.py::c"]
    for node, window in zip(nodes, (120, 60, 0), strict=True):
        progress.pytest_runtest_logstart(node)
        more = {"window": window} if window else {}
        progress.pytest_runtest_logreport(report("setup", node, **more))
    monkeypatch.setattr(time, "monotonic", lambda: 1050.0)
    assert progress.line == (
        "0 of 3 tests; under way: hardening, maas_gateway; the longest window takes 70 s more (a)"
    )
    for node in nodes[1:]:
        broken = ["backend", "path /a", "path /b", "text"]
        progress.pytest_runtest_logreport(
            report("call", node, "failed", requirements=["HD-1"], failure=broken)
        )
        progress.pytest_runtest_logreport(report("teardown", node))
    progress.pytest_sessionfinish()
    assert progress.line.startswith("2 of 3 tests, 2 red; under way: maas_gateway; the longest")
    assert [line for line in out.lines if "of 3" not in line] == [
        "✗ HD-1 t.py::b", "    backend: expected path /a, observed path /b",
    ]  # fmt: skip
