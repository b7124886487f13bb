"""Reports that come out through a log."""

import base64
import io
import sys
import tarfile
from pathlib import Path

import pytest

from reports.parcel import BEGIN, END, ParcelError, packed, run, unpack


def test_what_was_packed_comes_out(tmp_path: Path) -> None:
    """Among a log's other lines, with a timestamp or not; the last parcel counts."""
    for word in ("one", "two"):
        folder = tmp_path / word / "deep"
        folder.mkdir(parents=True)
        (folder / "file").write_text(word * 5000)
    log = ["collected 3 items", *packed(tmp_path / "one"), "again", *packed(tmp_path / "two"), ""]
    unpack([f"{line}\r\n" for line in log], tmp_path / "out")
    assert (tmp_path / "out" / "deep" / "file").read_text() == "two" * 5000


@pytest.mark.parametrize(
    ("lines", "said"),
    [([], "there is none"), ([BEGIN, "QQ=="], "does not end"), ([BEGIN, END], "there is none")],
)
def test_logs_without_a_parcel(lines: list[str], said: str, tmp_path: Path) -> None:
    with pytest.raises(ParcelError, match=said):
        unpack(lines, tmp_path)


def test_a_parcel_stays_in_its_folder(tmp_path: Path) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:xz") as archive:
        archive.addfile(tarfile.TarInfo("../outside"))
    lines = [BEGIN, base64.b64encode(stream.getvalue()).decode(), END]
    with pytest.raises(tarfile.OutsideDestinationError):
        unpack(lines, tmp_path / "in")
    assert not (tmp_path / "outside").exists()


def test_run_has_the_suites_exit_code(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And its reports after it."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "fake"))
    (tmp_path / "fake").write_text(
        "#!/bin/sh\n"
        'for w; do case $w in --reports=*) echo "$*" > "${w#--reports=}/said";; esac; done\n'
        "exit 3\n"
    )
    (tmp_path / "fake").chmod(0o755)
    assert run(["suites", "-q"]) == 3
    unpack(capfd.readouterr().out.splitlines(), tmp_path / "out")
    assert (
        (tmp_path / "out" / "said")
        .read_text()
        .startswith("-m ai_gateway_conformance suites -q --reports=")
    )
