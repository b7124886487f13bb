"""`--list` and `--explain`: what there is to prove, and how, with the last run's verdicts; no test
runs, and no cluster is started."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from fixtures.evidence.requirements import Requirement, cited
from fixtures.plugin import known_key, readings_key, write
from fixtures.selection import wanted_key
from reports.explained import explained


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("conformance")
    group.addoption(
        "--list", action="store_true", dest="list_requirements",
        help="print the requirements of the chosen tests, each with its verdict in the last run "
        "(of --reports); no test runs",
    )  # fmt: skip
    group.addoption(
        "--explain", action="append", default=[], metavar="ID",
        help="print what a requirement rests on: the sentence in its surroundings, what is "
        "asserted at which hop, its tests and mutants, and what is known of upstream (again for "
        "more)",
    )  # fmt: skip


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    if _asked(config):
        config.option.verbose, config.option.disable_warnings = -2, True  # nothing else is told


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> object:
    config = session.config
    if not _asked(config) or config.option.collectonly or hasattr(config, "workerinput"):
        return None
    known, last = config.stash[known_key], last_run(config.getoption("--reports"))
    if config.getoption("--explain"):
        for name in (one for one in known if one in config.stash[wanted_key]):
            mine = [item for item in session.items if name in cited(item)]
            for line in explained(known[name], config.stash[readings_key], mine, last.get(name)):
                write(config, line)
        return True
    chosen = {one for item in session.items for one in cited(item)}
    wanted = config.stash[wanted_key] or known.keys()
    rows = [known[one] for one in known if one in chosen and one in wanted]
    for line in listing(rows, last):
        write(config, line)
    return True


def listing(rows: list[Requirement], last: dict[str, dict[str, Any]]) -> Iterator[str]:
    """A line for each: id, verdict of the last run, kind, where it stands, title."""
    table = [
        (one.id, last.get(one.id, {}).get("verdict", "-"), one.kind,
         f"{one.document}:{one.line}", one.title)
        for one in rows
    ]  # fmt: skip
    widths = [max((len(row[column]) for row in table), default=0) for column in range(4)]
    for *cells, title in table:
        padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        yield f"{'  '.join(padded)}  {title}"


def last_run(folder: Path) -> dict[str, dict[str, Any]]:
    """Id → what the last run's conformance.yaml says of it; nothing where none was written."""
    try:
        text = (folder / "conformance.yaml").read_text(encoding="utf-8")
        report = yaml.load(text, Loader=yaml.CSafeLoader)
        return {
            one["id"]: {**one, "date": report["date"], "cluster": report["cluster"]["name"]}
            for profile in report["profiles"]
            for one in profile["requirements"]
        }
    except (OSError, yaml.YAMLError, KeyError, TypeError):
        return {}


def _asked(config: pytest.Config) -> bool:
    return bool(config.getoption("list_requirements") or config.getoption("--explain"))
