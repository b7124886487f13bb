"""A worker that was killed, as for want of memory: terminal, page and conformance.yaml agree."""

from __future__ import annotations

from pathlib import Path

import pytest

from reports import merge
from reports.signoff import __main__ as signoff
from tests.toy import Toy

KILLED = """
@requirement("MP-1")
def test_one(): pass

@requirement("MP-2")
def test_two():
    os.kill(os.getpid(), signal.SIGKILL)

@requirement("MP-3")
def test_three(): pass
"""


@pytest.mark.parametrize("when", ["call", "setup"])
def test_a_killed_worker_is_no_verdict_everywhere(tmp_path: Path, when: str) -> None:
    """Whether the test had begun or not, the run that lost it conforms to nothing."""
    text = KILLED
    if when == "setup":
        text = text.replace("    os.kill", "    pass\n\n@pytest.fixture(autouse=True)\ndef ends"
                            "(request):\n    if 'two' in request.node.name: os.kill")  # fmt: skip
    toy = Toy(tmp_path, text)
    done = toy.run("-n1", "--shard=1/1")
    assert done.returncode == 2, done.stdout
    undecided = {"MP-2": "not decided"} if when == "call" else {}
    assert toy.verdicts == {"MP-1": "conformant", "MP-3": "conformant", **undecided}
    (profile,) = [p for p in toy.report["profiles"] if p["name"] == "mixed_providers"]
    assert profile["core"]["result"] == "undecided"
    (why,) = toy.report["undecided"]
    assert "test_two: worker 'gw0' crashed while running" in why
    assert "NOT DECIDED (not all requirements ran): " in done.stdout
    assert "\nCONFORMANT" not in done.stdout
    assert f"not decided: {why}" in done.stdout
    page = (toy.reports / "signoff.html").read_text(encoding="utf-8")
    assert "No verdict" in page
    assert why.replace("'", "&#39;") in page
    # What is made of the file alone says the same.
    file = str(toy.reports / "conformance.yaml")
    assert signoff.main([file, f"--out={tmp_path / 'again.html'}"]) == 0
    assert "No verdict" in (tmp_path / "again.html").read_text(encoding="utf-8")
    assert merge.main([file, f"--out={tmp_path / 'merged'}"]) == 2


def test_what_is_red_beside_it_stays_red(tmp_path: Path) -> None:
    toy = Toy(tmp_path, KILLED.replace("test_three(): pass", "test_three(): assert False"))
    done = toy.run("-n1")
    assert done.returncode == 1, done.stdout
    assert toy.verdicts["MP-3"] == "nonconformant"


def test_parts_of_which_a_test_is_missing_decide_nothing(tmp_path: Path) -> None:
    """Each part of a run tells how many tests there are; the whole is judged by that."""
    two = (
        '@requirement("MP-1")\ndef test_one(): pass\n\n@requirement("MP-1")\ndef test_two(): pass\n'
    )
    toy = Toy(tmp_path, two)
    toy.run("--shard=1/1", "-k", "one")
    file = toy.reports / "conformance.yaml"
    toy.reports = tmp_path / "merged"
    assert merge.main([str(file), f"--out={toy.reports}"]) == 0
    assert toy.verdicts == {"MP-1": "not run"}
