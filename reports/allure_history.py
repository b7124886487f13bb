"""Allure's history: every run is a line of `allure.jsonl`, whether or not its HTML was made.

Source: allure3 `packages/core/src/history.ts` (a line), `packages/core/src/store/convert.ts` (a
test's id there).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reports.history import KEPT

NAME = "allure.jsonl"
LETTERS = 500  # of a message


def keep(results: Path, folder: Path) -> None:
    """Add a run's results, and drop the oldest runs; no more than once for a run."""
    found = list(_read(results))
    if not found:
        return
    folder.mkdir(parents=True, exist_ok=True)
    lines = [*before(results, folder), json.dumps(_point(found), ensure_ascii=False)]
    (folder / NAME).write_text("".join(f"{one}\n" for one in lines[-KEPT:]), encoding="utf-8")


def before(results: Path, folder: Path) -> list[str]:
    """The lines of other runs than that of these results, the oldest first."""
    file, own = folder / NAME, _uuid(list(_read(results)))
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return [one for one in lines if one.strip() and json.loads(one).get("uuid") != own]


def _read(results: Path) -> Iterator[dict[str, Any]]:
    for path in sorted(results.glob("*-result.json")):
        yield json.loads(path.read_text(encoding="utf-8"))


def _uuid(found: list[dict[str, Any]]) -> str:
    """A run's own, which its results alone decide."""
    return _md5(",".join(sorted(one.get("uuid", "") for one in found)))


def _point(found: list[dict[str, Any]]) -> dict[str, Any]:
    tests = [one for one in found if one.get("fullName")]
    return {
        "uuid": _uuid(found),
        "name": "AI gateway conformance",
        "timestamp": max(one.get("stop", 0) for one in found),
        "knownTestCaseIds": sorted({_md5(one["fullName"]) for one in tests}),
        "testResults": {_id(one): _result(one) for one in tests},
        "metrics": {},
        "url": "",
    }


def _id(one: dict[str, Any]) -> str:
    """The same in every run: of the test, and of its parameters in their order."""
    told = [p for p in one.get("parameters", []) if p.get("name") and not p.get("excluded")]
    words = sorted((p["name"], p.get("value", "")) for p in told)
    return f"{_md5(one['fullName'])}.{_md5(','.join(f'{name}:{value}' for name, value in words))}"


def _result(one: dict[str, Any]) -> dict[str, Any]:
    start, stop = one.get("start", 0), one.get("stop", 0)
    found = {
        "id": _md5(one.get("uuid", "")), "name": one["name"], "fullName": one["fullName"],
        "environment": "default", "status": one.get("status", "unknown"), "start": start,
        "stop": stop, "duration": stop - start, "labels": [], "url": "", "historyId": _id(one),
        "reportLinks": [],
    }  # fmt: skip
    if message := one.get("statusDetails", {}).get("message"):
        found["message"] = message[:LETTERS]
    return found


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
