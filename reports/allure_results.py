"""Allure: one behaviour tree, document → section → requirement; of each test the way of its most
telling request and the exchange itself; of the run its environment. `allurerc.json` has the
categories that results fall into, and `allure_report.py` makes the HTML.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import allure
import allure_commons
import pytest

from fixtures.evidence import Exchange
from fixtures.evidence.requirements import Requirement
from fixtures.evidence.verdicts import CLOSED, PRESENT
from fixtures.secrets import redact, redact_prose

_SEVERITY = {"core": allure.severity_level.CRITICAL, "extended": allure.severity_level.NORMAL}


def label(item: pytest.Item, requirements: list[Requirement]) -> None:
    """Label the test that begins with its requirements, and say what they rest on."""
    dynamic: Any = allure.dynamic
    if case := getattr(item, "callspec", None):
        # Allure takes cases whose other parameters look alike (bytes do) for one that was retried.
        dynamic.parameter("case", case.id)
    for one in requirements:
        dynamic.epic(one.document)
        dynamic.feature(one.section)
        dynamic.story(f"{one.id} {one.title}")
        dynamic.severity(_SEVERITY[one.level])
        dynamic.tag(one.id)
        dynamic.link(f"../signoff.html#{one.id}", name=f"{one.document}, line {one.line}")
    said = (f"> {redact_prose(one.quote)}\n\n{one.id}: {one.expects}" for one in requirements)
    # The plugin takes the docstring when the set-up is over, unless there is a marker.
    item.add_marker(pytest.mark.allure_description("\n\n".join(said)))


def tell(telling: Exchange | None, properties: list[tuple[str, Any]]) -> None:
    """Attach the way of a request, and which outcome the test found."""
    dynamic: Any = allure.dynamic
    for name, value in properties:
        if name == "outcome":
            gap = value[1] in (PRESENT, CLOSED)
            dynamic.label("outcome", f"gap {value[1]}" if gap else "disputed")
            dynamic.tag(f"{value[0]}: {value[1]}")
    if telling is None:
        return
    kind: Any = allure.attachment_type.TEXT
    hops = "\n".join(f"{hop.where:<16} {hop.observed}" for hop in telling.seen())
    allure.attach(redact(hops), "hops", kind)
    allure.attach(telling.told(), "exchange", kind)


class Redacted:
    """Allure reads exceptions itself: of what it writes, the messages lose their secrets here."""

    @allure_commons.hookimpl(tryfirst=True)
    def report_result(self, result: Any) -> None:
        _redact(result)

    @allure_commons.hookimpl(tryfirst=True)
    def report_container(self, container: Any) -> None:
        _redact(container)


def _redact(one: Any) -> None:
    """A result, a container, and the steps and fixtures in them."""
    if details := getattr(one, "statusDetails", None):
        details.message, details.trace = redact(details.message or ""), redact(details.trace or "")
    for parts in ("steps", "befores", "afters"):
        for part in getattr(one, parts, None) or []:
            _redact(part)


def write(folder: Path, components: dict[str, Any]) -> None:
    """The run's environment."""
    lines = [f"{_key(name)}={_value(value)}" for name, value in components.items()]
    (folder / "environment.properties").write_text(
        redact("\n".join([*lines, ""])), encoding="utf-8"
    )


def _key(name: str) -> str:
    return name.replace(" ", "_").replace(":", "_").replace("=", "_")


def _value(value: Any) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value)
