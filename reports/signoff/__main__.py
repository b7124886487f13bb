"""`python -m reports.signoff FILE`: the sign-off page of a `conformance.yaml` that there is.

It goes beside the file, or where `--out` says. Exit code 2 for a file that is none.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from fixtures.evidence.requirements import by_id, read_all
from fixtures.evidence.verdicts import judge
from reports import compare, conformance, signoff

SUITES = Path(__file__).parent.parent.parent / "suites"


def main(argv: list[str]) -> int:
    """See the module."""
    parser = argparse.ArgumentParser(prog="python -m reports.signoff")
    parser.add_argument("report", type=Path, help="a conformance.yaml")
    parser.add_argument("--out", type=Path, help="the page (default: signoff.html beside it)")
    parser.add_argument("--history", type=Path, help="the folder of earlier runs")
    parser.add_argument("--baseline", type=Path, help="a conformance.yaml: what was red before")
    parser.add_argument(
        "--documents", action="append", default=[], type=Path, help="folders, as of pytest's option"
    )
    flags = parser.parse_args(argv)
    try:
        report = compare.load(flags.report)
        known = compare.baseline(flags.baseline) if flags.baseline else None
    except compare.CompareError as error:
        print(error, file=sys.stderr)
        return 2
    readings = read_all(SUITES, *flags.documents)
    wanted = conformance.wanted([report])
    verdicts = judge(by_id(readings), conformance.results([report]), wanted)
    page = signoff.render(signoff.facts_of(report, flags.history, known=known), readings, verdicts)
    out = flags.out or flags.report.with_name("signoff.html")
    out.write_text(page, encoding="utf-8")
    print(out)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
