"""A difference of two runs as a page, in the sign-off page's clothes: what is newly red first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fixtures.evidence.verdicts import NONCONFORMANT, NOT_APPLICABLE, NOT_RUN, UNDECIDED
from fixtures.secrets import redact_prose
from reports import judged
from reports.template import template

Explained = dict[str, tuple[str, str]]


@dataclass(frozen=True)
class Difference:
    """One requirement on which two runs differ."""

    id: str
    kind: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.id}: {self.before} → {self.after}"


def render(
    reports: tuple[dict[str, Any], dict[str, Any]],
    groups: dict[str, list[Difference]],
    explained: Explained,
) -> str:
    """The page: `reports` are the two runs' `conformance.yaml`, `groups` what differs, by kind, and
    `explained` has what the second run may say, and why."""
    every = [one for found in groups.values() for one in found]
    newly = [one for one in every if one.after.startswith(NONCONFORMANT)]
    open_ = [one for one in every if not _why(one, explained)]
    titles = {one["id"]: one.get("title", "") for report in reports for one in _each(report)}
    page = template("difference.html.j2").render(
        word=_word(every, open_),
        kind="bad" if [one for one in newly if one in open_] else "open" if open_ else "good",
        sentence=_sentence(groups, len(every) - len(open_)),
        gone=sorted(explained.keys() - {one.id for one in every}),
        runs=list(_runs(*reports)),
        groups=[
            (name, [(one, titles[one.id], _why(one, explained)) for one in found])
            for name, found in groups.items()
            if found
        ],
    )
    return redact_prose(page)


def _why(one: Difference, explained: Explained) -> str:
    says, because = explained.get(one.id, ("", ""))
    return because if says == one.after else ""


def _word(every: list[Difference], open_: list[Difference]) -> str:
    if not every:
        return "No differences"
    return "Different" if open_ else "Different, and all is explained"


def _sentence(groups: dict[str, list[Difference]], explained: int) -> str:
    said = [f"{len(found)} {name}" for name, found in groups.items() if found]
    if not said:
        return "Both runs decided every requirement alike."
    return f"{', '.join(said)}; {explained} explained."


def _runs(before: dict[str, Any], after: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """What was judged in each."""
    for name, of in (
        ("began", lambda one: one.get("date", "unknown")),
        ("suite", lambda one: judged.said(one.get("suite", {}))),
        ("cluster", lambda one: one.get("cluster", {}).get("name", "unknown")),
        ("manifests", lambda one: one.get("manifests", {}).get("kustomization", "unknown")),
        ("digest", lambda one: one.get("manifests", {}).get("digest", "unknown")),
        ("decided", _decided),
    ):
        yield name, of(before), of(after)
    for image in dict.fromkeys([*_images(before), *_images(after)]):
        old, new = (_images(one).get(image, "nothing") for one in (before, after))
        if old != new:
            yield image, old, new


def _images(report: dict[str, Any]) -> dict[str, str]:
    ran = report.get("cluster", {}).get("images", [])
    return {one["image"]: f"{one['kind']}: {one['what']}" for one in ran}


def _decided(report: dict[str, Any]) -> str:
    every = list(_each(report))
    left = sum(one["verdict"] in (NOT_RUN, NOT_APPLICABLE, UNDECIDED) for one in every)
    return f"{len(every) - left} of {len(every)} requirements"


def _each(report: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for profile in report["profiles"]:
        yield from profile["requirements"]
