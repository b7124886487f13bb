"""No token, no key of a run is in anything that it writes, whatever breaks and whoever says it."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest

from fixtures.secrets import forms
from tests.conftest import DEMO, ROOT


def ran(tmp_path: Path, **env: str) -> tuple[set[str], str, list[Path]]:
    """A run that breaks: the secrets that it had, what it printed, and the files that it wrote."""
    seen, reports = tmp_path / "seen", tmp_path / "reports"
    seen.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.secrets_seen", "suites/mixed_providers",
         "-n", "2", "--cluster=embedded", f"--kustomization={DEMO}", f"--reports={reports}",
         f"--history={tmp_path / 'history'}",
         *(f"--requirement={one}" for one in ("MP-13", "MP-28", "MP-29"))],
        cwd=ROOT, env={**os.environ, "SECRETS_SEEN": str(seen), **env},
        capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    secrets = {one for file in seen.glob("*.json") for one in json.loads(file.read_text())}
    files = [p for p in tmp_path.rglob("*") if p.is_file() and seen not in p.parents]
    return secrets, done.stdout + done.stderr, files


def found(secrets: set[str], text: str) -> list[str]:
    """Where one of them stands, in any form; the words around it without it."""
    hits = []
    for one in secrets:
        for form in forms(one):
            at = text.find(form)
            if at >= 0:
                hits.append(f"{one[:6]}… after {text[max(0, at - 60) : at]!r}")
    return hits


def test_whatever_breaks(tmp_path: Path) -> None:
    """Tests that say what they know, in reports, on the terminal, and in diagnostics."""
    secrets, said, files = ran(tmp_path)
    assert sum(one.startswith("eyJ") for one in secrets) >= 4
    assert {"sk-openai-key-for-demo", "change-me-super-secret"} <= secrets
    assert any(len(one) == 64 and one.isascii() for one in secrets), "no line of a private key"
    names = {path.name for path in files}
    assert {"conformance.yaml", "signoff.html", "junit.xml", "traceability.md"} <= names
    assert any("diagnostics" in path.parts for path in files)
    assert any(path.name.endswith("-attachment.txt") for path in files)
    assert "<redacted " in said
    assert found(secrets, said) == []
    for path in files:
        hits = found(secrets, path.read_text(errors="replace"))
        assert hits == [], f"{path.relative_to(tmp_path)}: {hits[:3]}"


def test_a_run_that_dies_itself(tmp_path: Path) -> None:
    """Of an error in the controlling process, whose message has all it knows."""
    secrets, said, files = ran(tmp_path, SECRETS_SEEN_ENDS="1")
    assert "INTERNALERROR" in said
    assert found(secrets, said) == []
    for path in files:
        assert found(secrets, path.read_text(errors="replace")) == [], path.name


@pytest.mark.parametrize("secret", ["eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJ4In0.c2ln", "sk-a+b/c&d=e"])
def test_the_search_itself_finds(secret: str) -> None:
    """Or the tests above would say nothing."""
    for before in ("", "k", "ke", "key"):
        encoded = base64.b64encode(f"{before}{secret} and more".encode()).decode()
        assert found({secret}, encoded)
    assert found({secret}, f"?token={quote(secret, safe='')}")
    assert not found({secret}, "something else")
