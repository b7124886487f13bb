"""`python -m reports.merge A B …`: the `conformance.yaml` of all parts of a run, put together.

Each part comes from a run with `--shard=K/N`. The whole is judged anew from what the tests said,
and written as any run's: `conformance.yaml`, `traceability.md` and `signoff.html`. Exit code 0 when
nothing is red, or nothing that `--baseline` has not, 1 otherwise; 2 when something is not decided,
and 4 when the parts are not those of one run.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from fixtures.evidence.requirements import by_id, read_all
from fixtures.evidence.verdicts import UNDECIDED, judge
from reports import compare, conformance, exits, history, signoff, step_summary, traceability
from reports.compare import CompareError

SUITES = Path(__file__).parent.parent / "suites"


def whole(paths: list[Path]) -> list[dict[str, Any]]:
    """All parts; raises CompareError, in one line, when some are missing or of another run."""
    parts = [(path, compare.load(path)) for path in paths]
    for path, part in parts:
        if "shard" not in part:
            raise CompareError(f"{path}: no part of a run: it was not made with --shard=K/N")
    same = (("shard", "of"), ("cluster", "name"), ("manifests", "digest"), ("suite", "commit"))
    for what, key in same:
        said = [part.get(what, {}).get(key, "unknown") for _, part in parts]
        if len({*said}) > 1:
            shown = "; ".join(f"{path}: {one}" for path, one in zip(paths, said, strict=True))
            raise CompareError(f"parts of more than one run differ in {what}.{key}: {shown}")
    reports = [part for _, part in parts]
    count = Counter(part["shard"]["number"] for part in reports)
    expected = range(1, reports[0]["shard"]["of"] + 1)
    if wrong := [f"{n}/{len(expected)}" for n in expected if count[n] != 1]:
        raise CompareError(f"each part once is wanted; missing or doubled: {', '.join(wrong)}")
    return reports


def merged(parts: list[dict[str, Any]]) -> conformance.Run:
    """What ran: since the first part's beginning, as long as the longest."""
    components: dict[str, Any] = {}
    images: set[tuple[tuple[str, str], ...]] = set()
    for part in parts:
        components |= part["cluster"]["components"]
        images |= {tuple(one.items()) for one in part["cluster"].get("images", [])}
    return conformance.Run(
        cluster=parts[0]["cluster"]["name"],
        manifests=parts[0]["manifests"],
        suite=parts[0].get("suite", {}),
        components=components,
        images=[dict(one) for one in sorted(images)],
        date=min(part["date"] for part in parts),
        seconds=max(part["durationSeconds"] for part in parts),
        lost="; ".join(part["lost"] for part in parts if "lost" in part),
        unready=_lines(parts, "unready"),
        undecided=_lines(parts, "undecided"),
        instead=_lines(parts, "instead"),
        unjudged=_lines(parts, "unjudged"),
        surface=parts[0].get("surface", []),
    )


def _lines(parts: list[dict[str, Any]], what: str) -> list[str]:
    return list(dict.fromkeys(line for part in parts for line in part.get(what, [])))


def main(argv: list[str]) -> int:
    """See the module."""
    parser = argparse.ArgumentParser(prog="python -m reports.merge")
    parser.add_argument("parts", nargs="+", type=Path, help="the parts' conformance.yaml")
    parser.add_argument("--out", type=Path, required=True, help="the folder of the whole's reports")
    parser.add_argument("--history", type=Path, help="keep the whole among earlier runs there")
    parser.add_argument("--baseline", type=Path, help="what was red before, as of pytest's option")
    parser.add_argument(
        "--documents", action="append", default=[], type=Path, help="folders, as of pytest's option"
    )
    flags = parser.parse_args(argv)
    try:
        parts = whole(flags.parts)
        known = compare.baseline(flags.baseline) if flags.baseline else None
    except CompareError as error:
        print(error, file=sys.stderr)
        return 4
    readings = read_all(SUITES, *flags.documents)
    verdicts = judge(by_id(readings), conformance.results(parts), conformance.wanted(parts))
    run = merged(parts)
    text = conformance.render(run, verdicts)
    flags.out.mkdir(parents=True, exist_ok=True)
    (flags.out / "conformance.yaml").write_text(text, encoding="utf-8")
    (flags.out / "traceability.md").write_text(
        traceability.render(readings, verdicts), encoding="utf-8"
    )
    report = compare.load(flags.out / "conformance.yaml")
    facts = signoff.facts_of(report, flags.history, known=known)
    (flags.out / "signoff.html").write_text(
        signoff.render(facts, readings, verdicts), encoding="utf-8"
    )
    step_summary.append(facts, verdicts)
    if flags.history:
        history.keep(flags.history, text, report["date"], report["cluster"]["name"])
    tally = Counter(v.verdict for v in verdicts)
    print(f"{flags.out}: {', '.join(f'{n} {verdict}' for verdict, n in tally.items())}")
    red = [v.requirement.id for v in verdicts if v.failed]
    if red:
        print(f"red: {', '.join(red)}")
    is_open = run.is_open or any(v.verdict == UNDECIDED for v in verdicts)
    ended = exits.Ended(0, set(red), run.unjudged, known, closed=False, undecided=is_open,
                        wrong=False)  # fmt: skip
    return exits.code(ended)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
