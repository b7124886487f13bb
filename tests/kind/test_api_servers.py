"""What one API server takes and the other refuses: nothing.

Every manifest of the repo as it is, broken in every way that the real CRDs' schemas know of, and
specs that break a rule in CEL. All by a dry run, with strict field validation.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from fixtures.kube import Kube
from manifests import FOLDER, Object, load, render
from tests.kind.broken import broken

NAME = "agreement"
RULES = yaml.safe_load((Path(__file__).parent / "rules.yaml").read_text())


def manifests() -> list[Object]:
    """Every object that the repo deploys, but for each cluster's own platform, once."""
    found = {}
    for path in sorted(FOLDER.rglob("kustomization.yaml")):
        if "platform" not in path.parts:
            for obj in render(path.parent):
                found[json.dumps(obj, sort_keys=True)] = obj
    return list(found.values())


JOBS = {"Job", "CronJob"}  # the embedded cluster runs none: the suite is beside it


def renamed(obj: Object) -> Object:
    """A copy that meets nothing that is there already."""
    made = copy.deepcopy(obj)
    made["metadata"]["name"] = NAME
    made["metadata"].pop("namespace", None)
    return made


def schemas(kube: Kube) -> dict[tuple[str, str], Any]:
    """(apiVersion, kind) → schema, of each kind that a CRD brings."""
    return {
        (f"{crd['spec']['group']}/{version['name']}", crd["spec"]["names"]["kind"]):
            version["schema"]["openAPIV3Schema"]
        for crd in kube.all("apiextensions.k8s.io/v1", "CustomResourceDefinition")
        for version in crd["spec"]["versions"]
        if version["served"]
    }  # fmt: skip


class Sides:
    """The two API servers, asked the same."""

    def __init__(self, real: Kube, ours: Kube) -> None:
        self._real, self._ours = real, ours

    def difference(self, what: str, obj: Object) -> Iterator[str]:
        """Where one takes what the other refuses, or they refuse it by different codes."""
        real, ours = self._real.try_create(obj), self._ours.try_create(obj)
        if real[0] != ours[0]:
            yield (
                f"{obj['kind']}, {what}:\n    Kind {real[0]} {real[1][:200]}\n"
                f"    embedded {ours[0]} {ours[1][:200]}"
            )


@pytest.fixture
def sides(kube: Kube, embedded_kube: Kube) -> Sides:
    return Sides(kube, embedded_kube)


def test_manifests_are_taken_by_both(sides: Sides) -> None:
    found = [
        line
        for obj in manifests()
        if obj["kind"] not in JOBS
        for line in sides.difference("as it is", renamed(obj))
    ]
    assert not found, "\n".join(found)


def test_jobs_are_taken(kube: Kube) -> None:
    """The suite's own, inside the cluster that it tests."""
    jobs = [obj for name in ("job", "cronjob") for obj in load(FOLDER / "nightly" / f"{name}.yaml")]
    assert {obj["kind"] for obj in jobs} == JOBS
    assert [kube.try_create(renamed(obj)) for obj in jobs] == [(201, "")] * len(jobs)


def test_broken_manifests_are_refused_by_both(sides: Sides, kube: Kube) -> None:
    """Each fault once for each kind, wherever in a list it is."""
    known, seen, found = schemas(kube), set(), []
    for obj in manifests():
        kind = (obj["apiVersion"], obj["kind"])
        for what, made in broken(renamed(obj), known[kind]) if kind in known else []:
            fault = (kind, "".join(c for c in what if not c.isdigit()))
            if fault not in seen:
                seen.add(fault)
                found += sides.difference(what, made)
    assert len(seen) > 300, "the schemas' faults were not found"
    assert not found, "\n".join(found)


@cache
def _cases() -> list[tuple[str, Object, bool]]:
    return [
        (what, {"apiVersion": group["apiVersion"], "kind": group["kind"],
                "metadata": {"name": NAME}, "spec": spec}, verdict == "taken")
        for group in RULES
        for verdict in ("taken", "refused")
        for what, spec in group[verdict].items()
    ]  # fmt: skip


def test_rules_hold_on_both(sides: Sides, kube: Kube) -> None:
    """And each spec is taken, or refused as invalid, as `rules.yaml` says."""
    found = []
    for what, obj, taken in _cases():
        found += sides.difference(what, obj)
        code, message = kube.try_create(obj)
        if (code == 201) != taken:
            found.append(f"{obj['kind']}, {what}: Kind says {code} {message}")
    assert not found, "\n".join(found)
