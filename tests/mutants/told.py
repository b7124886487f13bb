"""`-p tests.mutants.told`: pytest asks no more of what is told. A requirement that is red stays so,
whatever its other tests say, and where a defect has to turn it red they are most of the run."""

from __future__ import annotations

import pytest

_red: set[str] = set()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """What the environment broke says nothing."""
    from reports.collected import BROKEN  # pytest rewrites it, if it is not there too early

    properties = dict(report.user_properties)
    ids = properties.get("requirements")
    if report.failed and BROKEN not in properties and isinstance(ids, list):
        _red.update(ids)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skips, before any fixture, what could say no more."""
    from fixtures.evidence.requirements import cited

    ids = set(cited(item))
    if ids and ids <= _red:
        pytest.skip(f"red already: {', '.join(sorted(ids))}")
