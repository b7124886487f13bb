"""Recipes for CI say what their systems take, and call what there is here."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent.parent
WORKFLOW = ROOT / ".github" / "workflows" / "conformance.yml"
JOBS = yaml.load(WORKFLOW.read_text(), Loader=yaml.CSafeLoader)["jobs"]
COMMANDS = [step["run"] for job in JOBS.values() for step in job["steps"] if "run" in step]


def schema_says(file: Path) -> subprocess.CompletedProcess[str]:
    """What the schema of GitHub's workflows, as schemastore.org has it, says of a file."""
    words = [
        sys.executable,
        "-m",
        "check_jsonschema",
        "--builtin-schema",
        "vendor.github-workflows",
    ]
    return subprocess.run([*words, str(file)], capture_output=True, text=True, check=False)


def test_workflow_keeps_to_its_schema(tmp_path: Path) -> None:
    """And the check would say otherwise."""
    done = schema_says(WORKFLOW)
    assert done.returncode == 0, done.stdout
    broken = tmp_path / "broken.yml"
    broken.write_text(WORKFLOW.read_text().replace("runs-on:", "runs-off:", 1))
    assert schema_says(broken).returncode == 1


@pytest.mark.parametrize("command", [c for c in COMMANDS if "pytest" in c or "reports." in c])
def test_options_are_this_projects(command: str) -> None:
    """Every `--option=` of a command is one that the program knows."""
    words = shlex.split(re.sub(r"\$\{\{.*?\}\}", "1", command))
    program = [sys.executable, "-m", *(["pytest"] if "pytest" in words[0] else words[2:3])]
    known = subprocess.run(
        [*program, "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for word in (word.split("=")[0] for word in words if word.startswith("--")):
        assert word in known.stdout, word


def test_parts_are_the_matrix() -> None:
    """As many parts as the merge puts together."""
    (merge,) = [command for command in COMMANDS if "reports.merge" in command]
    parts = JOBS["kind"]["strategy"]["matrix"]["part"]
    assert [f"parts/kind-{number}/conformance.yaml" in merge for number in parts] == [True, True]
    assert any(f"--shard=${{{{ matrix.part }}}}/{len(parts)}" in command for command in COMMANDS)


def test_targets_are_the_makefiles() -> None:
    made = (ROOT / "Makefile").read_text()
    for command in (c for c in COMMANDS if c.startswith("make ")):
        assert f"\n{command.split()[1]}:" in made
