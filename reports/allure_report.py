"""`python -m reports.allure_report`: the HTML of Allure's results, one file that needs no network.

Allure 3 comes from npm into the virtual environment. Exit code 4 and one line where Node is not.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

from reports import allure_history, history

FOLDER = Path(__file__).parent
NODE = FOLDER.parent / ".venv" / "node"
VERSION = "3"
CONFIG = FOLDER / "allurerc.json"
# Who opens the report would be told to Google, whatever is configured (plugin-awesome 3.18).
_ANALYTICS = re.compile(r"<script[^>]*googletagmanager[^>]*>\s*</script>")
HINT = "Node.js 20 or newer makes Allure's report (nodejs.org, or your system's package nodejs)"


class ReportError(Exception):
    """Why there is no report, and what to do; one line."""


def installed() -> Path:
    """Allure's program, installed when it is not there."""
    program = NODE / "node_modules" / ".bin" / "allure"
    if not (shutil.which("node") and shutil.which("npm")):
        raise ReportError(f"there is no Node here: {HINT}; signoff.html needs none")
    if not program.exists():
        _run("npm", "install", "--no-fund", "--no-audit", "--silent", "--prefix", str(NODE),
             f"allure@{VERSION}")  # fmt: skip
    return program


def make(results: Path, out: Path, past: Path) -> Path:
    """The report of a folder of results; earlier runs are in the folder `past`, and this one among
    them afterwards, if it was not."""
    if not any(results.glob("*-result.json")):
        raise ReportError(f"{results} has no results of Allure: run the suite first")
    program = installed()
    allure_history.keep(results, past)
    # Allure compares with every line that it finds: a run is not its own past.
    earlier, written = results.parent / ".allure.jsonl", results.parent / "allurerc.json"
    lines = allure_history.before(results, past)
    earlier.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    config = {
        **json.loads(CONFIG.read_text(encoding="utf-8")),
        "historyPath": str(earlier.resolve()),
    }
    written.write_text(json.dumps(config), encoding="utf-8")
    try:
        shutil.rmtree(out, ignore_errors=True)
        _run(str(program), "generate", str(results.resolve()), "--config", str(written.resolve()),
             "--output", str(out.resolve()))  # fmt: skip
    finally:
        written.unlink()
        earlier.unlink()
    # One plugin's report stands in the folder itself, several would each have their own.
    (page,) = sorted(out.glob("index.html")) or sorted(out.glob("awesome/index.html"))
    page.write_text(_ANALYTICS.sub("", page.read_text(encoding="utf-8")), encoding="utf-8")
    return page


def _run(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["nothing"]
        raise ReportError(f"{Path(words[0]).name} failed and said: {said[0]}; {HINT}")


def main(argv: list[str]) -> int:
    """See the module."""
    parser = argparse.ArgumentParser(prog="python -m reports.allure_report")
    parser.add_argument("--reports", type=Path, default=FOLDER / "out", help="the run's reports")
    parser.add_argument("--history", type=Path, default=history.FOLDER, help="earlier runs'")
    flags = parser.parse_args(argv)
    try:
        print(
            make(flags.reports / "allure-results", flags.reports / "allure-report", flags.history)
        )
    except ReportError as error:
        print(error, file=sys.stderr)
        return 4
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
