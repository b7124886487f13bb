"""`python -m reports.check FOLDER WORD…`: whether other people's documents (`--documents=FOLDER`)
prove what they say, as the project's own do.

Every line of theirs that says something is quoted; every requirement has a mutant; with nothing
broken none is red; and each mutant turns red what it should, and nothing else. The words go to
pytest with each run. Exit code 1 when something is lacking, 4 when it cannot be said.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from fixtures.evidence import mutants
from fixtures.evidence.mutants import Mutant, MutantError
from fixtures.evidence.requirements import RequirementError, read
from reports import compare

SUITE = [sys.executable, "-m", "ai_gateway_conformance"]
_RED = "nonconformant"


class CheckError(Exception):
    """A run that did not come to a report, with what it said."""


def verdicts(folder: Path, words: list[str]) -> dict[str, str]:
    """What a run says of each of the folder's requirements: its outcome or verdict."""
    with tempfile.TemporaryDirectory() as out:
        command = [*SUITE, str(folder), f"--documents={folder}", "-q", *words, f"--reports={out}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        try:
            report = compare.load(Path(out) / "conformance.yaml")
        except compare.CompareError as error:
            raise CheckError(f"{' '.join(command)}:\n{done.stdout}{done.stderr}") from error
    found: dict[str, str] = {}
    for profile in report["profiles"]:
        if profile["name"] == folder.name:
            found = {one["id"]: _said(one) for one in profile["requirements"]}
    return found


def _said(one: dict[str, Any]) -> str:
    verdict = str(one["verdict"])
    return _RED if verdict == _RED else str(one.get("outcome") or verdict.removeprefix("gap "))


def judged(mutant: Mutant, found: dict[str, str]) -> list[str]:
    """What a mutant's run should have said otherwise."""
    red = {one for one, said in found.items() if said == _RED}
    lines = [
        f"{one} is not red: {found.get(one, 'unknown')}" for one in mutant.caught if one not in red
    ]
    lines += [
        f"{one} is decided {found.get(one, 'not at all')}, not {outcome}"
        for one, outcome in mutant.outcomes.items()
        if found.get(one) != outcome
    ]
    return lines + [f"{one} is red too" for one in sorted(red - {*mutant.caught, *mutant.implied})]


def check(folder: Path, words: list[str]) -> list[str]:
    """What is lacking, a line each."""
    known = mutants.read(folder)
    lines = mutants.lacking(read(folder / "requirements.yaml"), known)
    whole = verdicts(folder, words)
    print(f"without a defect: {', '.join(f'{one} {said}' for one, said in whole.items())}")
    lines += [f"without a defect {one} is {said}" for one, said in whole.items()
              if said in (_RED, "not run", "not decided")]  # fmt: skip
    for mutant in known:
        found = verdicts(folder, [*words, f"--mutant={mutant.name}"])
        wrong = [*judged(mutant, found), *_no_news(mutant, whole)]
        print(f"{mutant.name}: {'; '.join(wrong) or 'caught'}", flush=True)
        lines += [f"{mutant.name}: {one}" for one in wrong]
    return lines


def _no_news(mutant: Mutant, whole: dict[str, str]) -> list[str]:
    """Outcomes that are the same without it."""
    same = [one for one, outcome in mutant.outcomes.items() if whole.get(one) == outcome]
    return [f"{one} is decided so without it" for one in same]


def main(argv: list[str]) -> int:
    """See the module."""
    parser = argparse.ArgumentParser(prog="ai-gateway-conformance check")
    parser.add_argument("folder", type=Path, help="with document, requirements.yaml, tests …")
    flags, words = parser.parse_known_args(argv)
    folder = flags.folder.resolve()
    try:
        lines = check(folder, words)
    except (MutantError, RequirementError, CheckError, OSError) as error:
        print(error, file=sys.stderr)
        return 4
    for line in lines:
        print(f"lacking: {line}")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
