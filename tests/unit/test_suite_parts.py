"""Requirements, verdicts, evidence, redaction, waiting."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from fixtures import waiting
from fixtures.evidence import (
    Exchange,
    Headers,
    HopMismatch,
    Observatory,
    Record,
    access_log,
    trace,
)
from fixtures.evidence.access_log import Line, Seen
from fixtures.evidence.budget import reported_usage, spend
from fixtures.evidence.requirements import Requirement, RequirementError, read, read_all
from fixtures.evidence.verdicts import Decision, Failure, TestResult, judge
from fixtures.plugin import SUITES
from fixtures.secrets import Secret, fingerprint, redact
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


def result(outcome: str, decided: str = "") -> TestResult:
    failure = Failure("t", "hop", "a", "b", "text") if outcome == "failed" else None
    outcomes = {"XX-1": decided} if decided else {}
    return TestResult("t", ["XX-1"], outcome, 0.1, "no gpu", failure, outcomes)


@pytest.mark.parametrize(
    ("kind", "results", "verdict"),
    [
        ("flow", [], "not run"),
        ("flow", [result("passed")], "conformant"),
        ("flow", [result("passed"), result("failed")], "nonconformant"),
        ("flow", [result("skipped")], "not applicable"),
        ("flow", [result("skipped"), result("passed")], "not applicable"),
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


def exchange(
    path: str, records: list[Record], status: int = 200, log: list[dict[str, str]] | None = None
) -> Exchange:
    request = httpx.Request("POST", f"https://maas.test{path}")
    response = httpx.Response(status, request=request, text="{}")
    read = None if log is None else (lambda *_: Seen([Line("", fields) for fields in log]))
    return Exchange(Observatory(lambda _: records, read), "id", response)


def record(path: str, original: str = "", backend: str = "openai", **headers: str) -> Record:
    stamped = {"x-envoy-original-path": original} if original else {}
    found = Headers({**headers, **stamped}.items())
    return Record(backend, "POST", path, found, "{}", False)


def test_egress_path_from_the_stamp() -> None:
    """Both rewrote: the stamp is the second gateway's, what it received."""
    seen = exchange("/external/openai/v1/models", [record("/v1/models", "/openai/v1/models")])
    seen.expect_inner_received("/openai/v1/models").expect_backend_received("openai", "/v1/models")


def test_egress_path_when_the_egress_did_not_rewrite() -> None:
    """The stamp is still the first gateway's: the backend has what the egress received."""
    client = "/external/openai/v1/models"
    seen = exchange(client, [record("/openai/v1/models", client)])
    seen.expect_inner_received("/openai/v1/models")
    with pytest.raises(HopMismatch) as broken:
        seen.expect_backend_received("openai", "/v1/models")
    hop = broken.value.broken
    assert (hop.where, hop.expected, hop.observed) == (
        "backend",
        "path /v1/models",
        "path /openai/v1/models",
    )


def test_egress_path_from_the_log_when_no_backend_saw_it() -> None:
    lines = [{"received_path": "/external/openai/x", "code": "404", "details": "route_not_found"}]
    seen = exchange("/external/openai/x", [], 404, lines)
    with pytest.raises(HopMismatch, match="expected path /openai/x") as broken:
        seen.expect_inner_received("/openai/x")
    assert "answered 404 (route_not_found)" in str(broken.value)


def test_without_a_log_nothing_is_claimed() -> None:
    """Whether the egress gateway saw it is not known, and so not applicable."""
    with pytest.raises(pytest.skip.Exception, match="egress gateway saw the request is unknown"):
        exchange("/x", [], 401).expect_no_inner()
    lines = [{"received_path": "/x", "code": "404", "details": ""}]
    with pytest.raises(HopMismatch, match="expected no request"):
        exchange("/x", [], 401, lines).expect_no_inner()


def test_a_log_that_tells_no_requests_apart_proves_nothing() -> None:
    """That it has none of this request is no evidence, and so not applicable."""
    told: list[tuple[str, bool]] = []

    def read(request_id: str, names_itself: bool) -> Seen:
        told.append((request_id, names_itself))
        return Seen([], "its lines have no ids")

    for agent, named in ((access_log.agent("id"), True), ("OpenAI/Python", False)):
        request = httpx.Request("POST", "https://maas.test/x", headers={"user-agent": agent})
        response = httpx.Response(401, request=request)
        seen = Exchange(Observatory(lambda _: [], read), "id", response)
        with pytest.raises(pytest.skip.Exception, match="its lines have no ids"):
            seen.expect_no_inner()
        assert seen.inner_received == "nothing"
        assert told.pop() == ("id", named)


def test_what_a_real_server_received_is_unknown() -> None:
    """And so not applicable; what the client got is judged all the same."""
    response = exchange("/external/vllm/v1/models", [], 200).response
    real = Exchange(Observatory(lambda _: [], None), "id", response, "vllm")
    real.expect_status(200)
    for ask in (real.expect_no_backend, lambda: real.expect_backend_received("vllm")):
        with pytest.raises(pytest.skip.Exception, match="what vllm received is unknown"):
            ask()
    with pytest.raises(HopMismatch, match="expected status 401"):
        real.expect_status(401)


def test_the_way_of_a_request_is_as_far_as_its_test_looked() -> None:
    """Nothing is looked up for it; the second gateway is on it when it is known to have been."""
    client = "/external/openai/v1/models"
    told = record("/v1/models", "/openai/v1/models", **{"x-provider-api-key": "sk-secret-key"})
    seen = exchange(client, [told])
    assert [hop.observed for hop in seen.seen()] == [f"sent POST {client}", "got 200"]
    seen.expect_backend_received("openai")
    ways = [hop.observed for hop in seen.seen()]
    assert ways[1:3] == [
        "received /openai/v1/models",
        f"openai received POST /v1/models; x-provider-api-key: {fingerprint('sk-secret-key')}",
    ]
    local = exchange("/llm/some/v1/models", [record("/v1/models", "/llm/some/v1/models")])
    local.expect_backend_received("openai")
    assert [hop.where for hop in local.seen()] == ["client", "backend", "client"]
    lines = [{"received_path": "/external/openai/x", "code": "404", "details": "route_not_found"}]

    def unknown(_: str) -> list[Record]:
        raise AssertionError("looked up")

    line = Line("", lines[0])
    unseen = Exchange(Observatory(unknown, lambda *_: Seen([line])), "id", local.response)
    assert unseen.need_inner_lines() == [line]
    assert unseen.seen()[1].observed == "received /external/openai/x"
    trace.forget()
    for one in (local, seen, local):
        trace.add(one)
    assert trace.telling() is seen
    trace.forget()
    assert trace.telling() is None


def test_every_value_of_a_header_counts() -> None:
    """An injected key behind the client's is not the injected key alone."""
    pairs = [("X-Provider-Api-Key", "sk-of-the-client"), ("x-provider-api-key", "sk-injected-1")]
    headers = Headers(pairs)
    assert headers.all("X-PROVIDER-API-KEY") == ["sk-of-the-client", "sk-injected-1"]
    seen = exchange("/x", [Record("openai", "POST", "/x", headers, "{}", False)])
    with pytest.raises(HopMismatch, match="once"):
        seen.expect_backend_header("openai", "X-Provider-Api-Key", "sk-injected-1")
    with pytest.raises(HopMismatch, match="the key in no header"):
        seen.expect_nowhere(seen.records[0], "injected", "the key")


def test_a_request_at_two_backends_is_an_error() -> None:
    seen = exchange("/x", [record("/x"), record("/x", backend="anthropic")])
    with pytest.raises(HopMismatch, match=r"requests at \['openai', 'anthropic'\]"):
        seen.expect_backend_received("openai")
    with pytest.raises(HopMismatch, match="expected no request"):
        seen.expect_no_backend()


def test_a_wrong_key_shows_as_two_fingerprints() -> None:
    headers = {"x-provider-api-key": "sk-ant-claude-key-for-demo"}
    seen = exchange("/x", [record("/x", **headers)])
    with pytest.raises(HopMismatch) as broken:
        seen.expect_backend_header("openai", "X-Provider-Api-Key", "sk-openai-key-for-demo")
    text = str(broken.value)
    assert text.count("<redacted") >= 2
    assert "sk-" not in text


def test_usage_of_a_stream_is_the_last_reported() -> None:
    body = 'data: {"choices":[]}\n\ndata: {"usage":{"total_tokens":7}}\n\ndata: [DONE]\n\n'
    request = httpx.Request("POST", "https://maas.test/")
    headers = {"content-type": "text/event-stream"}
    response = httpx.Response(200, request=request, text=body, headers=headers)
    assert reported_usage(Exchange(Observatory(lambda _: [], None), "id", response)) == 7


def test_spending_stops_when_nothing_refuses() -> None:
    def answer() -> Exchange:
        request = httpx.Request("POST", "https://maas.test/")
        response = httpx.Response(200, request=request, json={"usage": {"total_tokens": 60}})
        return Exchange(Observatory(lambda _: [], None), "id", response)

    with pytest.raises(HopMismatch, match="200 after 240 tokens"):
        spend(answer, 100)


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
