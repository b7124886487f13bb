"""conformance.yaml: the run for machines, in the spirit of Gateway API's ConformanceReport.

`conformance.schema.json` says what it looks like, and each that was written is held to it.

Source: kubernetes-sigs/gateway-api `conformance/apis/v1/conformancereport.go`: profiles,
core and extended, statistics and failures.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from fixtures.evidence import Hop
from fixtures.evidence.verdicts import (
    CONFORMANT,
    GAP_CLOSED,
    GAP_PRESENT,
    NONCONFORMANT,
    NOT_APPLICABLE,
    NOT_RUN,
    UNDECIDED,
    Failure,
    TestResult,
    Verdict,
)
from fixtures.secrets import redact_prose

_COUNTED = {
    CONFORMANT: "conformant",
    NONCONFORMANT: "nonconformant",
    GAP_PRESENT: "gapPresent",
    GAP_CLOSED: "gapClosed",
    NOT_APPLICABLE: "notApplicable",
    NOT_RUN: "notRun",
    UNDECIDED: "notDecided",
}


@dataclass(frozen=True)
class Run:
    """What ran where: `manifests` and `suite` are as `reports.judged` has them, `components`
    versions of what was found on the cluster, `images` what ran under each image's name (image,
    kind, what), `date` is when it began (UTC, ISO 8601), and `shard` which part of the suite it
    was: (number, of how many), () for all of it; `unready` says what of that which was deployed did
    not become ready, `undecided` what else broke tests off, and `unjudged` failed tests that no
    requirement cites; `instead` says which provider was asked in the place of one that is not
    served; `surface` the routes that were there when the tests began
    (`fixtures.stack.surface.table`)."""

    cluster: str
    manifests: dict[str, Any]
    components: dict[str, Any]
    images: list[dict[str, str]]
    date: str
    seconds: float
    lost: str = ""
    shard: tuple[int, ...] = ()
    unready: list[str] = field(default_factory=list)
    undecided: list[str] = field(default_factory=list)
    instead: list[str] = field(default_factory=list)
    unjudged: list[str] = field(default_factory=list)
    surface: list[dict[str, Any]] = field(default_factory=list)
    suite: dict[str, Any] = field(default_factory=dict)

    @property
    def is_open(self) -> bool:
        """Whether something beside the requirements keeps it from a verdict."""
        return bool(self.lost or self.unready or self.undecided or self.unjudged)


SCHEMA = json.loads((Path(__file__).parent / "conformance.schema.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.validators.validator_for(SCHEMA)(SCHEMA)


def render(run: Run, verdicts: list[Verdict]) -> str:
    """The report as YAML."""
    profiles = sorted({v.requirement.profile for v in verdicts})
    report = {
        "apiVersion": SCHEMA["properties"]["apiVersion"]["const"],
        "kind": "ConformanceReport",
        "date": run.date,
        "durationSeconds": round(run.seconds, 1),
        **({"suite": run.suite} if run.suite else {}),
        "cluster": {"name": run.cluster, "components": run.components, "images": run.images},
        "manifests": run.manifests,
        "surface": run.surface,
        "profiles": [
            _profile(name, [v for v in verdicts if v.requirement.profile == name], run.is_open)
            for name in profiles
        ],
    }
    if run.lost:
        report["lost"] = run.lost
    for name in ("unready", "undecided", "unjudged", "instead"):
        if lines := getattr(run, name):
            report[name] = lines
    if run.shard:
        report["shard"] = dict(zip(("number", "of"), run.shard, strict=True))
    return redact_prose(
        yaml.dump(report, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True, width=100)
    )


def problem(text: str) -> str:
    """What the schema has against a report; "" when nothing."""
    errors = VALIDATOR.iter_errors(yaml.load(text, Loader=yaml.CSafeLoader))
    error = jsonschema.exceptions.best_match(errors)
    return f"{error.json_path}: {error.message}" if error else ""


def results(reports: Iterable[dict[str, Any]]) -> list[TestResult]:
    """What the tests of reports that were written said, each test once."""
    found: dict[str, TestResult] = {}
    for report in reports:
        for profile in report["profiles"]:
            for one in profile["requirements"]:
                broke = [Failure(**{"text": "", **f}) for f in one.get("failures", [])]
                failures = {failure.test: failure for failure in broke}
                for evidence in one["evidence"]:
                    result = found.setdefault(evidence["test"], _result(evidence))
                    result.requirements.append(one["id"])
                    result.failure = result.failure or failures.get(result.nodeid)
    for one in found.values():
        if one.outcome == "failed" and one.failure is None:
            one.failure = Failure(one.nodeid, "", "", "", "it failed, and the report has no reason")
    return list(found.values())


def wanted(reports: Iterable[dict[str, Any]]) -> dict[str, int]:
    """How many tests each requirement has, as reports that were written say."""
    found: dict[str, int] = {}
    for report in reports:
        for profile in report["profiles"]:
            for one in profile["requirements"]:
                found[one["id"]] = max(found.get(one["id"], 0), one.get("tests", 0))
    return found


def _result(evidence: dict[str, Any]) -> TestResult:
    way = [Hop(one["hop"], "", one["observed"]) for one in evidence.get("way", [])]
    return TestResult(
        nodeid=evidence["test"],
        requirements=[],
        outcome=evidence["outcome"],
        seconds=evidence["seconds"],
        reason=evidence.get("reason", ""),
        outcomes=evidence.get("decided", {}),
        way=way,
        tried=evidence.get("tried", {}),
        put_back=evidence.get("putBack", []),
    )


def _profile(name: str, verdicts: list[Verdict], is_open: bool) -> dict[str, Any]:
    out: dict[str, Any] = {"name": name}
    for level in ("core", "extended"):
        mine = [v for v in verdicts if v.requirement.level == level]
        counted = Counter(v.verdict for v in mine)
        failed = [v.requirement.id for v in mine if v.failed]
        undecided = is_open or counted[UNDECIDED] or counted[NOT_RUN] == len(mine) > 0
        out[level] = {
            "result": "failure" if failed else "undecided" if undecided else "success",
            "statistics": {key: counted[verdict] for verdict, key in _COUNTED.items()},
        }
        if failed:
            out[level]["failed"] = failed
    gaps = {v.requirement.id: v.verdict for v in verdicts if v.requirement.kind == "gap"}
    disputed = {v.requirement.id: v.outcome for v in verdicts if v.outcome}
    if gaps:
        out["gaps"] = gaps
    if disputed:
        out["disputed"] = disputed
    out["requirements"] = [v.to_dict() for v in verdicts]
    return out
