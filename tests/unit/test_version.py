"""One version, wherever it is named."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from fixtures.version import version
from kind.components import table
from kind.images import suite
from manifests import FOLDER, load

ROOT = Path(__file__).parent.parent.parent
NIGHTLY = FOLDER / "nightly"


def test_changelog_begins_with_it() -> None:
    heads = re.findall(
        r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert heads[0] == version()


def test_image_has_it_everywhere() -> None:
    """As it is built, in the table of Kind's images, in the Jobs and in the documents."""
    ours = suite.reference()
    assert ours == f"{suite.NAME}:{version()}"
    assert [one.image for one in table().images if one.suite] == [ours]
    (job,), (cron,) = load(NIGHTLY / "job.yaml"), load(NIGHTLY / "cronjob.yaml")
    for spec in (job["spec"], cron["spec"]["jobTemplate"]["spec"]):
        (container,) = spec["template"]["spec"]["containers"]
        assert container["image"] == ours
    for page in (ROOT / "docs").glob("*.md"):
        named = re.findall(rf"{suite.NAME}:([\w.]+\w)", page.read_text(encoding="utf-8"))
        assert set(named) <= {version()}, page.name


def test_pyproject_has_it() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert tomllib.loads(text)["project"]["version"] == version()


def test_the_nightly_job_ends() -> None:
    """By a deadline; it may take no more than its limits, and the night's verdicts are kept."""
    (job,), (cron,) = load(NIGHTLY / "job.yaml"), load(NIGHTLY / "cronjob.yaml")
    assert job["spec"] == cron["spec"]["jobTemplate"]["spec"]
    assert job["spec"]["activeDeadlineSeconds"] == 3600
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert set(container["resources"]["limits"]) == {"cpu", "memory"}
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    (claim,) = load(NIGHTLY / "history.yaml")
    (kept,) = [v for v in job["spec"]["template"]["spec"]["volumes"] if v["name"] == "history"]
    assert kept["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    assert "--history=/history" in container["args"]
