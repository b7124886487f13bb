"""conformance.yaml: the run for machines, in the spirit of Gateway API's ConformanceReport.

`conformance.schema.json` says what it looks like, and each that was written is held to it.

Source: kubernetes-sigs/gateway-api `conformance/apis/v1/conformancereport.go`: profiles,
core and extended, statistics and failures.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from fixtures.evidence import Hop
from fixtures.evidence.requirements import Requirement
from fixtures.evidence.verdicts import (
    CONFORMANT,
    GAP_CLOSED,
    GAP_PRESENT,
    NONCONFORMANT,
    NOT_APPLICABLE,
    NOT_RUN,
    Failure,
    TestResult,
    Verdict,
)
from fixtures.secrets import redact_prose
from manifests import ManifestError
from manifests import render as render_manifests

_COUNTED = {
    CONFORMANT: "conformant",
    NONCONFORMANT: "nonconformant",
    GAP_PRESENT: "gapPresent",
    GAP_CLOSED: "gapClosed",
    NOT_APPLICABLE: "notApplicable",
    NOT_RUN: "notRun",
}


@dataclass(frozen=True)
class Run:
    """What ran where; `began` in Unix seconds."""

    cluster: str
    kustomization: Path
    images: list[str]
    claimed: list[str]
    components: dict[str, str]
    began: float
    seconds: float
    is_default: bool
    lost: str = ""


SCHEMA = json.loads((Path(__file__).parent / "conformance.schema.json").read_text())


def render(run: Run, verdicts: list[Verdict]) -> str:
    """The report as YAML."""
    profiles = sorted({v.requirement.profile for v in verdicts})
    report = {
        "apiVersion": SCHEMA["properties"]["apiVersion"]["const"],
        "kind": "ConformanceReport",
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(run.began)),
        "durationSeconds": round(run.seconds, 1),
        "cluster": {"name": run.cluster, "components": _components(run)},
        "manifests": _manifests(run),
        "profiles": [
            _profile(name, [v for v in verdicts if v.requirement.profile == name])
            for name in profiles
        ],
    }
    if run.lost:
        report["lost"] = run.lost
    return redact_prose(
        yaml.dump(report, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True, width=100)
    )


def problem(text: str) -> str:
    """What the schema has against a report; "" when nothing."""
    try:
        jsonschema.validate(yaml.load(text, Loader=yaml.CSafeLoader), SCHEMA)
    except jsonschema.ValidationError as error:
        return f"{error.json_path}: {error.message}"
    return ""


def judged(report: dict[str, Any], known: dict[str, Requirement]) -> list[Verdict]:
    """The verdicts of a report that was written, for the requirements that are still known."""
    found = []
    for profile in report["profiles"]:
        for one in (r for r in profile["requirements"] if r["id"] in known):
            failures = [Failure(**{"text": "", **f}) for f in one.get("failures", [])]
            results = [_result(one["id"], e) for e in one["evidence"]]
            found.append(Verdict(known[one["id"]], one["verdict"], failures, one.get("reason", ""),
                                 one.get("outcome", ""), results))  # fmt: skip
    return found


def _result(requirement: str, evidence: dict[str, Any]) -> TestResult:
    way = [Hop(one["hop"], "", one["observed"]) for one in evidence.get("way", [])]
    return TestResult(evidence["test"], [requirement], evidence["outcome"],
                      evidence["seconds"], way=way)  # fmt: skip


def _components(run: Run) -> dict[str, Any]:
    """Versions of what was found on the cluster, and the programs that replaced stand-ins."""
    found: dict[str, Any] = {**run.components}
    if run.images:
        found["images"] = run.images
    if run.claimed:
        found["claimedCapabilities"] = run.claimed
    return found


def _manifests(run: Run) -> dict[str, str]:
    try:
        text = json.dumps(render_manifests(run.kustomization), sort_keys=True)
        digest = f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
    except ManifestError as error:
        digest = f"not rendered: {error}"
    name = "default" if run.is_default else run.kustomization.name
    return {"kustomization": name, "digest": digest}


def _profile(name: str, verdicts: list[Verdict]) -> dict[str, Any]:
    out: dict[str, Any] = {"name": name}
    for level in ("core", "extended"):
        mine = [v for v in verdicts if v.requirement.level == level]
        counted = Counter(v.verdict for v in mine)
        failed = [v.requirement.id for v in mine if v.failed]
        out[level] = {
            "result": "failure" if failed else "success",
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
