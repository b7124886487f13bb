"""traceability.md: statement → requirement → tests → verdict, in the documents' order."""

from __future__ import annotations

from fixtures.verdicts import Verdict


def render(verdicts: list[Verdict]) -> str:
    """A Markdown table for each document."""
    lines = ["# Traceability", ""]
    for document in dict.fromkeys(v.requirement.document for v in verdicts):
        lines += [
            f"## {document}",
            "",
            "| Requirement | Section | Statement | Expected | Tests | Verdict |",
            "|---|---|---|---|---|---|",
        ]
        lines += [_row(v) for v in verdicts if v.requirement.document == document]
        lines.append("")
    return "\n".join(lines)


def _row(verdict: Verdict) -> str:
    one = verdict.requirement
    names = dict.fromkeys(t.split("::", 1)[1].split("[")[0] for t in verdict.tests)
    shown = verdict.verdict + (f": {verdict.outcome}" if verdict.outcome else "")
    cells = [one.id, one.section, one.title, one.expects, ", ".join(names) or "none", shown]
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
