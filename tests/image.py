"""The suite's image, as `make image` built it: with nothing but what OpenShift gives a Pod, or
Docker with the same options, it judges, and its reports come out.

    pytest tests/image.py
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from kind.images.suite import reference
from reports.parcel import unpack

USER = 12345  # of whom the image knows nothing; group 0
CONFINED = [
    "--rm", f"--user={USER}:0", "--read-only", "--tmpfs=/tmp", "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
]  # fmt: skip
CHOSEN = ["--cluster=embedded", "--requirement=MP-28", "-n2"]


def run(*words: str, options: list[str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["docker", "run", *CONFINED, *(options or []), reference(), *words],
        capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip


def verdicts(folder: Path) -> dict[str, Any]:
    report = yaml.safe_load((folder / "conformance.yaml").read_text(encoding="utf-8"))
    return {one["id"]: one["verdict"] for p in report["profiles"] for one in p["requirements"]}


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    """A folder of the machine's that the container's user may write into."""
    folder = tmp_path / "reports"
    folder.mkdir()
    folder.chmod(0o777)
    return folder


def test_it_judges_and_its_reports_come_out(reports: Path) -> None:
    done = run(*CHOSEN, options=[f"--volume={reports}:/tmp/reports"])
    assert done.returncode == 0, done.stdout + done.stderr
    assert verdicts(reports / "out")["MP-28"] == "conformant"
    assert (reports / "out" / "signoff.html").stat().st_uid == USER


def test_a_jobs_reports_come_out_through_its_log(tmp_path: Path) -> None:
    """As manifests/nightly calls it."""
    done = run("parcel", "run", *CHOSEN)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    unpack(done.stdout.splitlines(), tmp_path)
    assert verdicts(tmp_path)["MP-28"] == "conformant"


def test_without_words_it_is_the_whole_suite() -> None:
    """On the embedded cluster, with workers."""
    asked = ["docker", "image", "inspect", "--format", "{{json .Config}}", reference()]
    done = subprocess.run(asked, capture_output=True, text=True, check=True)
    config = yaml.safe_load(done.stdout)
    assert config["Entrypoint"] == ["ai-gateway-conformance"]
    assert config["Cmd"] == ["--cluster=embedded", "-n", "5", "--dist", "worksteal"]
    assert config["User"] == "65532:0"
