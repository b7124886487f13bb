"""pytest's command line: wrong options, wrong citations, and what a failure tells."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT

README = ROOT / "README.md"


def suite(
    *words: str, cwd: Path = ROOT, more: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """A run of the suite, with `more` in its environment."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", *words],
        cwd=cwd, env={**os.environ, **(more or {})}, capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--cluster=minikube"], "--cluster=minikube: unknown; this version knows: embedded"),
        (["--requirement=MP-99"], "--requirement=MP-99: unknown; the nearest: MP-9, "),
        (["--kustomization=/nowhere"], "/nowhere/kustomization.yaml: No such file or directory"),
        (["--image=nonsense"], "--image wants NAME=COMMAND, got 'nonsense'"),
        (["--image=no-such=x"], "--image=no-such: nothing that is deployed uses this image; "),
        (["--image=quay.io/kuadrant/limitadr=x"], "the nearest: quay.io/kuadrant/limitador"),
        (["--cluster=kind", "--image=no-such=x"], "--image=no-such: nothing that is deployed uses"),
        (["--cluster=kind", "--image=x"], "--image wants NAME=IMAGE, got 'x'"),
        (["--cluster=openshift", "--image=no-such=x"], "--image=no-such: nothing that is deployed"),
        (["--cluster=openshift", "--image=x"], "--image wants NAME=REFERENCE, got 'x'"),
        (["--capability=wings"], "--capability=wings: unknown; there are aws_load_balancer"),
    ],
)
def test_wrong_options_are_one_clear_line(words: list[str], says: str, tmp_path: Path) -> None:
    """And what the run before reported is still there."""
    reported = tmp_path / "conformance.yaml"
    reported.write_text("profiles: []")
    done = suite("suites", f"--reports={tmp_path}", *words)
    assert done.returncode == 4
    assert reported.read_text() == "profiles: []"
    errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
    assert len(errors) == 1
    assert says in errors[0]


@pytest.mark.parametrize("name", ["a/b", "..", "A", "-x", "x" * 64])
def test_cluster_name_is_a_name(name: str) -> None:
    """Not a path, nor anything that Kubernetes would not take."""
    done = subprocess.run(
        [sys.executable, "-m", "embedded", "up", f"--name={name}"],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith(f"embedded: --name={name}: a cluster's name has small letters")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The project in a folder where it may be broken."""
    for name in ("embedded", "fixtures", "manifests", "reports", "suites"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("out"))
    for name in ("conftest.py", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('@requirement("MP-10")\n', "", "test_listing_has_all_models: cites no requirement"),
        ('"MP-10"', '"MP-100"', "test_listing_has_all_models: cites 'MP-100'; there are"),
        ('"MP-10"', '"MP-11"', "requirements without a test: MP-10"),
    ],
)
def test_wrong_citations_stop_the_collection(copy: Path, old: str, new: str, says: str) -> None:
    test = copy / "suites" / "mixed_providers" / "test_listing.py"
    test.write_text(test.read_text().replace(old, new))
    done = suite("--collect-only", "-q", cwd=copy)
    assert done.returncode == 4
    assert says in done.stderr


def test_wrong_citations_are_told_by_workers_too(copy: Path) -> None:
    """In the same words: with xdist only they collect."""
    test = copy / "suites" / "mixed_providers" / "test_listing.py"
    test.write_text(test.read_text().replace('"MP-10"', '"MP-100"'))
    done = suite("suites/mixed_providers", "-q", "-n", "2", cwd=copy)
    assert done.returncode == 4, done.stdout
    (error,) = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
    assert "test_listing_has_all_models: cites 'MP-100'; there are" in error
    assert "INTERNALERROR" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    "option",
    ["--ignore=suites/maas_gateway", "--ignore-glob=suites/maas_*",
     "--ignore=suites/maas_gateway/test_topology.py"],
)  # fmt: skip
def test_what_is_ignored_needs_no_test(option: str) -> None:
    """A profile that was not asked for whole; one that was does."""
    done = suite("suites", option, "--collect-only", "-q")
    assert done.returncode == 0, done.stderr
    assert "suites/mixed_providers/" in done.stdout


def test_a_subset_leaves_the_rest_not_run(tmp_path: Path) -> None:
    """One requirement's tests run; the report has all, and says what did not run."""
    done = suite("suites", "--requirement=MP-8", f"--reports={tmp_path}", "-q")
    assert done.returncode == 0, done.stdout
    profiles = yaml.safe_load((tmp_path / "conformance.yaml").read_text())["profiles"]
    verdicts = {r["id"]: r["verdict"] for p in profiles for r in p["requirements"]}
    assert {one for one, verdict in verdicts.items() if verdict != "not run"} == {"MP-8"}
    assert "not all requirements ran" in done.stdout


def test_readmes_own_limitador_limits(tmp_path: Path) -> None:
    """README's example as it stands, with a program of ours that hears of other limits as the real
    one does, by what a kubelet swaps, and not by a rename (`limitador_file`). At its start there
    are none yet: one that heard of nothing would limit nobody."""
    (example,) = re.findall(r"`(--image='quay.io/kuadrant/limitador=.+?')`", README.read_text())
    own = f"{sys.executable} -m embedded.images limitador"
    (word,) = shlex.split(example.replace("/path/to/limitador-server", own))
    assert "--rls-ip=$(POD_IP) --http-ip=$(POD_IP)" in word
    chosen = ["--requirement=MP-44", "--requirement=HD-30"]
    done = suite("suites", "--cluster=embedded", "-m", "not window", *chosen, word,
                 f"--reports={tmp_path}", "-q")  # fmt: skip
    assert done.returncode == 0, done.stdout
    report = yaml.safe_load((tmp_path / "conformance.yaml").read_text())
    (ran,) = [i for i in report["cluster"]["images"] if "kuadrant/limitador:" in i["image"]]
    assert (ran["kind"], ran["what"]) == ("build", word.partition("limitador=")[2])
    found = {one["id"]: one["verdict"] for p in report["profiles"] for one in p["requirements"]}
    assert (found["MP-44"], found["HD-30"]) == ("conformant", "gap present")


def test_an_edited_manifest_names_requirement_hop_and_paths(copy: Path, tmp_path: Path) -> None:
    """Drop the egress rewrite of one provider, as a developer would by accident."""
    routes = copy / "manifests" / "mixed-providers" / "base" / "routes.yaml"
    text = routes.read_text()
    filters = re.search(r"    filters:\n.*?(?=    backendRefs)", text, re.DOTALL)
    assert filters is not None
    routes.write_text(text.replace(filters[0], "", 1))
    out = tmp_path / "out"
    done = suite("--cluster=embedded", "--requirement=MP-28", f"--reports={out}", "-q", cwd=copy)
    assert done.returncode == 1
    assert "✗ MP-28 The egress gateway rewrites /openai/* to /*" in done.stdout
    _, example = README.read_text().split("and\n`make conformance` ends with:\n\n```text\n")
    assert example.partition("```")[0] in done.stdout, "README's example is no real one"
    shown = re.sub(r" +", " ", done.stdout)
    for line in (
        "mixed-providers-demo.md:437, 'E2E Traffic Flow: External Provider (e.g., OpenAI)'",
        "says 2. URL rewrite: /openai/* → /*",
        "so the OpenAI simulator receives /v1/chat/completions and /v1/models",
        "hop backend",
        "expected path /v1/chat/completions",
        "observed path /openai/v1/chat/completions",
    ):
        assert line in shown
    conditions = (out / "diagnostics" / "conditions.yaml").read_text()
    assert "openai-route" in conditions
    assert "Programmed=True" in conditions
    logs = [p.name for p in (out / "diagnostics").glob("default.envoy-poc-gateway*.envoy.log")]
    assert len(logs) == 1


def test_no_secret_in_any_report(copy: Path, tmp_path: Path) -> None:
    """A run that fails at keys and tokens shows neither, in no file and not in the terminal."""
    bridge = copy / "manifests" / "mixed-providers" / "base" / "bridge.yaml"
    bridge.write_text(bridge.read_text().replace("sk-openai-key-for-demo", "sk-some-other-key"))
    out = tmp_path / "out"
    chosen = ["--requirement=MP-29", "--requirement=MP-36", "--requirement=MP-35"]
    done = suite("--cluster=embedded", *chosen, f"--reports={out}", "-q", cwd=copy)
    assert done.returncode == 1
    texts = [done.stdout, *(p.read_text() for p in out.rglob("*") if p.is_file())]
    assert len(texts) > 10
    for secret in ("sk-some-other-key", "sk-openai-key-for-demo", "sk-ant-", "eyJhbGciOiJSUzI1NiI"):
        assert [text[:80] for text in texts if secret in text] == []
