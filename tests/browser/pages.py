"""Runs as the sign-off page shows them: all requirements of the project, with made-up results."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from fixtures.evidence import Hop
from fixtures.evidence.requirements import Requirement, by_id, read_all
from fixtures.evidence.verdicts import Failure, TestResult, judge
from reports import signoff
from reports.history import Past

READINGS = read_all(Path(__file__).parent.parent.parent / "suites")
KNOWN = by_id(READINGS)
DATE = "2026-03-04T05:06:07Z"
HOSTILE = "<script>document.title = 'taken'</script><img src=x onerror=\"document.title='taken'\">"
WAY = [
    Hop("client", "", "sent POST /external/openai/v1/chat/completions"),
    Hop("egress gateway", "", "received /openai/v1/chat/completions"),
    Hop("backend", "", "openai received POST /v1/chat/completions; x-provider-api-key: <redacted>"),
    Hop("client", "", "got 200"),
]
LONG = "/external/openai/v1/models?x=" + "a" * 8192
LONG_WAY = [
    Hop("client", "", f"sent GET {LONG}"),
    Hop("egress gateway", "", f"received {LONG}"),
    Hop("backend", "", f"openai received GET {LONG}; x-provider-api-key: <redacted>"),
    Hop("client", "", "got 200"),
    Hop("client", "", "a line more"),
]
IMAGES = [
    {"image": f"quay.io/{'somebody/' * 8}{name}:v1", "kind": kind, "what": what}
    for name, kind, what in (
        ("limitador", "stand-in", "embedded.images.kuadrant.limitador"),
        ("envoy", "upstream", f"sha256:{'0' * 64}"),
        ("maas-api", "build", "/home/somebody/maas-api"),
    )
]
SURFACE = [
    {"gateway": "openshift-ingress/maas", "route": "default/openai-bridge", "hosts": ["maas.test"],
     "paths": ["/external/openai"], "policies": ["AuthPolicy default/openai"],
     "origin": "of the documents"},
    {"gateway": "openshift-ingress/maas", "route": "team/forgotten", "hosts": ["maas.test"],
     "paths": ["/forgotten"], "policies": [], "origin": "no document knows it"},
]  # fmt: skip
SUITE = {"version": "1.2.3", "commit": "0123456789abcdef" * 2, "dirty": True}
DEFECTS = {
    "MP-28": Failure("suites/mixed_providers/test_rewrites.py::test_a[openai]", "backend",
                     "path /v1/chat/completions", "path /openai/v1/chat/completions", ""),
    "MG-19": Failure("suites/maas_gateway/test_limits.py::test_b", "client", "status 429",
                     "status 200", ""),
    "DG-26": Failure("suites/dual_gateway/test_topology.py::test_c", "", "", "", HOSTILE),
}  # fmt: skip
ONE = DEFECTS["MP-28"]
BECAUSE = ("MP-13", "MP-19", "MP-20", "MP-21", "MP-25", "MP-29", "MP-44", "HD-1", "HD-2")


def _result(one: Requirement) -> TestResult:
    outcomes = {}
    if one.kind == "gap":
        outcomes = {one.id: "present"}
    if one.kind == "disputed":
        outcomes = {one.id: next(iter(one.outcomes))}
    nodeid = f"suites/{one.profile}/test_{one.kind}.py::test_{one.id}"
    if one.capability:
        return TestResult(nodeid, [one.id], "skipped", 0.1, reason="there is no GPU")
    return TestResult(nodeid, [one.id], "passed", 0.2, outcomes=outcomes, way=WAY)


def _page(results: list[TestResult], past: list[Past], **more: Any) -> str:
    made_of = {"kubernetes": "v1.34.4", "API server": "https://127.0.0.1:6443", "images": ["a"]}
    name = "of-our-team" if more.get("differs") else "default"
    facts = signoff.Facts("embedded", name, "sha256:0", DATE, 130.0, made_of,
                          more.pop("images", []), past, suite=SUITE, **more)  # fmt: skip
    return signoff.render(facts, READINGS, judge(KNOWN, results))


def green() -> str:
    """Everything holds, and it is the first run."""
    return _page([_result(one) for one in KNOWN.values()], [])


def red() -> str:
    """Three defects, one of which was there a run before, and one says HTML."""
    results = []
    for one in KNOWN.values():
        result = _result(one)
        if failure := DEFECTS.get(one.id):
            result.outcome, result.failure = "failed", failure
        results.append(result)
    before = dict.fromkeys(KNOWN, "conformant")
    past = [Past("2026-03-02T05:06:07Z", "embedded", "default", before),
            Past("2026-03-03T05:06:07Z", "embedded", "default",
                 {**before, "MP-28": "nonconformant"})]  # fmt: skip
    return _page(results, past)


def lost() -> str:
    """The cluster ended when a part of the suite had run."""
    some = [_result(one) for one in KNOWN.values() if one.profile == "dual_gateway"]
    return _page(some, [], lost="the cluster was lost at 05:07:00: its API server ended")


def unready() -> str:
    """A part did not come up, of which nothing that was looked at wanted anything."""
    what = "Deployment llm/model: 0 of 1 available\n  Pod llm/model-1, main: CrashLoopBackOff\n    "
    return _page(
        [_result(one) for one in KNOWN.values()],
        [],
        unready=(what + "no/such/path" * 30).splitlines(),
    )


def one_defect() -> str:
    """One defect of three places: what is red because of it, and paths of 8 KiB at other hops."""
    results = [_result(one) for one in KNOWN.values()]
    for result in results:
        (name,) = result.requirements
        if name == "MP-28":
            result.outcome, result.failure = "failed", replace(ONE, test=result.nodeid)
        elif name in BECAUSE:
            result.outcome = "failed"
            result.failure = Failure(result.nodeid, "client", "status 200", "status 404", "")
        elif name == "HD-3":
            result.way = LONG_WAY
            result.tried = {"default/openai-bridge": 40}
    return _page(results, [], images=IMAGES, surface=SURFACE, differs=["HTTPRoute a/b: x is 1"])


def undecided() -> str:
    """The environment broke tests off."""
    results = [_result(one) for one in KNOWN.values()]
    for result in results[:3]:
        result.outcome = "undecided"
        result.reason = "the API server answered 500: etcdserver: leader changed"
    return _page(results, [], undecided=[f"{results[5].nodeid}: worker 'gw1' crashed"])


PAGES: dict[str, Callable[[], str]] = {
    "green": green, "red": red, "lost": lost, "unready": unready, "one defect": one_defect,
    "undecided": undecided,
}  # fmt: skip
