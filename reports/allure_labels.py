"""One Allure behaviour tree: document → section → requirement."""

from __future__ import annotations

from typing import Any

import allure

from fixtures.requirements import Requirement
from fixtures.secrets import redact_prose

_SEVERITY = {"core": allure.severity_level.CRITICAL, "extended": allure.severity_level.NORMAL}


def attach(requirements: list[Requirement]) -> None:
    """Label the running test with its requirements."""
    dynamic: Any = allure.dynamic
    for one in requirements:
        dynamic.epic(one.document)
        dynamic.feature(one.section)
        dynamic.story(f"{one.id} {one.title}")
        dynamic.severity(_SEVERITY[one.level])
        dynamic.tag(one.id)
    said = (f"> {redact_prose(one.quote)}\n\n{one.id}: {one.expects}" for one in requirements)
    dynamic.description("\n\n".join(said))
