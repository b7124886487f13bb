"""traceability.md: the documents read through, with the verdicts at each sentence."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from fixtures.evidence.documents import Document
from fixtures.evidence.requirements import Reading, Statement
from fixtures.evidence.verdicts import Verdict
from fixtures.secrets import redact_prose

_HEAD = """# Traceability

Each document from top to bottom: what it says (with its line), then the requirements that prove
it, their verdicts on this run and the tests behind them, or why it cannot be tested here.
"""


def render(readings: list[Reading], verdicts: list[Verdict]) -> str:
    """Markdown: a chapter for each document, its sections and statements in order."""
    by_id = {v.requirement.id: v for v in verdicts}
    lines = [_HEAD]
    for reading in readings:
        lines += [f"## {reading.document.name}", ""]
        for section, statements in groupby(reading.statements, key=lambda s: s.section):
            lines += [f"### {section}", ""]
            for statement in statements:
                lines += _said(reading.document, statement)
                lines += _proved(statement, by_id)
    return redact_prose("\n".join(lines))


def _said(document: Document, statement: Statement) -> Iterator[str]:
    numbers = statement.lines
    where = f"line {numbers[0]}" + (f" to {numbers[-1]}" if len(numbers) > 1 else "")
    if len(numbers) == 1:
        yield f"> {_cell(statement.quote)}"
        yield ">"
        yield f"> ({where})"
    else:
        yield from (f"{where.capitalize()}:", "", "````text")
        yield from (document.line(number) for number in numbers)
        yield "````"
    yield ""


def _proved(statement: Statement, verdicts: dict[str, Verdict]) -> Iterator[str]:
    if statement.not_testable:
        yield f"- *not testable here*: {statement.not_testable}"
    for one in statement.requirements:
        yield f"- {_shown(verdicts[one])}"
    yield ""


def _shown(verdict: Verdict) -> str:
    one = verdict.requirement
    names = ", ".join(dict.fromkeys(t.split("::", 1)[1].split("[")[0] for t in verdict.tests))
    outcome = f" ({verdict.outcome})" if verdict.outcome else ""
    reason = f": {verdict.reason}" if verdict.reason else ""
    for test, why in verdict.untried.items():
        reason += f"; not tried: {test.rpartition('::')[2]} ({why})"
    text = f"**{one.id}** {one.title}: {one.expects} → **{verdict.verdict}**{outcome}{reason}"
    return _cell(text) + (f" · {names}" if names else "")


def _cell(text: str) -> str:
    return " ".join(text.split())
