"""The last runs' `conformance.yaml` in a folder: the trend, and since when a requirement is red.

A nightly keeps the folder, as a CI cache or a volume; nothing else is wanted. A file that is none
of ours is left alone and not read.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from fixtures.evidence.verdicts import NONCONFORMANT
from fixtures.invocation import HOME
from reports.compare import CompareError, load, seen

KEPT = 30  # runs; the oldest go
FOLDER = HOME / "reports" / "history"
_NAME = re.compile(r"\d{8}T\d{6}Z-[\w.-]+\.yaml")


@dataclass(frozen=True)
class Past:
    """One run: when it began (UTC, ISO 8601), on which cluster, of which manifests, and its
    verdicts: requirement → verdict."""

    date: str
    cluster: str
    kustomization: str
    verdicts: dict[str, str]

    @property
    def counts(self) -> Counter[str]:
        return Counter(self.verdicts.values())

    @property
    def red(self) -> set[str]:
        return {name for name, verdict in self.verdicts.items() if verdict == NONCONFORMANT}


def read(folder: Path, cluster: str, kustomization: str) -> list[Past]:
    """The runs of the same manifests on the same kind of cluster, the oldest first."""
    found = []
    for path in sorted(folder.glob("*.yaml")):
        if not _NAME.fullmatch(path.name):
            continue
        try:
            report = load(path)
        except CompareError:
            continue
        past = Past(
            report["date"],
            report["cluster"]["name"],
            report["manifests"]["kustomization"],
            {name: one.verdict for name, one in seen(report).items()},
        )
        if (past.cluster, past.kustomization) == (cluster, kustomization):
            found.append(past)
    return found


def keep(folder: Path, text: str, date: str, cluster: str) -> None:
    """Add a run's `conformance.yaml`, and drop the oldest of its cluster."""
    folder.mkdir(parents=True, exist_ok=True)
    stamp = re.sub(r"[:-]", "", date)
    (folder / f"{stamp}-{cluster}.yaml").write_text(text, encoding="utf-8")
    mine = sorted(p for p in folder.glob(f"*-{cluster}.yaml") if _NAME.fullmatch(p.name))
    for old in mine[:-KEPT]:
        old.unlink()


def red_since(runs: list[Past], name: str) -> str:
    """When the row of runs began, up to the last of `runs`, in each of which a requirement was red;
    "" if the last one did not find it so. Runs that did not decide it neither begin nor end one."""
    since = ""
    for past in reversed(runs):
        verdict = past.verdicts.get(name, "not run")
        if verdict in ("not run", "not applicable", "not decided"):
            continue
        if verdict != NONCONFORMANT:
            break
        since = past.date
    return since
