"""One Allure behaviour tree: document → section → requirement."""

from __future__ import annotations

import allure

from fixtures.requirements import Requirement

_SEVERITY = {"core": allure.severity_level.CRITICAL, "extended": allure.severity_level.NORMAL}


def attach(requirements: list[Requirement]) -> None:
    """Label the running test with its requirements."""
    for one in requirements:
        allure.dynamic.epic(one.document)
        allure.dynamic.feature(one.section)
        allure.dynamic.story(f"{one.id} {one.title}")
        allure.dynamic.severity(_SEVERITY[one.level])
        allure.dynamic.tag(one.id)
