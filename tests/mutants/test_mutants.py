"""For each named defect the suite must fail: at the requirement that it violates, and at
nothing that the defect does not touch."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.mutants.faults import FAULTS

ROOT = Path(__file__).parent.parent.parent
MANIFESTS = Path(__file__).parent / "manifests"
TIMEOUT_SECONDS = 300
IMAGES = {
    "authorino": "quay.io/kuadrant/authorino",
    "envoy_gateway": "quay.io/openshift/gateway-controller",
    "kserve": "quay.io/kserve/llmisvc-controller",
    "kuadrant": "quay.io/kuadrant/kuadrant-operator",
    "limitador": "quay.io/kuadrant/limitador",
    "maas_api": "ghcr.io/nerdalert/maas-api",
    "wasm_shim": "quay.io/kuadrant/wasm-shim",
    "wg_ai_gateway": "ghcr.io/nerdalert/wg-ai-gateway",
}


def mp(*numbers: int) -> frozenset[str]:
    return frozenset(f"MP-{number}" for number in numbers)


def mg(*numbers: int) -> frozenset[str]:
    return frozenset(f"MG-{number}" for number in numbers)


# What cannot hold when a provider answers nobody: its flow, what wants a 200 of it on the way
# to something else, and the limits that are spent on it.
NO_OPENAI = mp(13, 19, 20, 21, 25, 26, 28, 29, 36, 43, 44, 45, 47, 48)
NO_ANTHROPIC = mp(14, 19, 20, 21, 25, 31, 32, 36, 43, 47, 48)
NO_VLLM = mp(15, 19, 20, 21, 25, 34, 35, 43, 48)
NO_LOCAL = mp(16, 19, 20, 25, 38, 40, 41, 43)
NO_TOKEN_LIMIT = mp(43, 45, 46, 47)
NO_LIMIT = NO_TOKEN_LIMIT | mp(19, 25, 26, 44)
# Everything that needs some user's budget: with one counter for all of them it is soon gone.
NO_BUDGET = NO_OPENAI | NO_ANTHROPIC | NO_VLLM | NO_LOCAL | mp(10, 11, 27, 30, 33, 42)


@dataclass(frozen=True)
class Mutant:
    """A defect by its name (of a folder in manifests/ or of a fault), what must go red, and what
    may go red with it; `outcomes` are decisions of disputed requirements that it changes."""

    name: str
    caught: frozenset[str]
    implied: frozenset[str] = frozenset()
    outcomes: dict[str, str] = field(default_factory=dict)
    windows: bool = False

    @property
    def profile(self) -> str:
        """The suite that has to catch it."""
        ids = self.caught | self.outcomes.keys()
        return "maas_gateway" if any(one.startswith("MG") for one in ids) else "mixed_providers"


MIXED_PROVIDERS = [
    # rewrites
    Mutant("maas-rewrite-missing", mp(30), NO_ANTHROPIC),
    Mutant("openai-prefix-wrong", mp(27)),
    Mutant("vllm-prefix-wrong", mp(33)),
    Mutant("egress-rewrite-missing", mp(34), NO_VLLM),
    Mutant("egress-doubles-slash", mp(28, 31, 34), NO_OPENAI | NO_ANTHROPIC | NO_VLLM),
    # keys
    Mutant("keys-swapped", mp(29, 32), NO_OPENAI | NO_ANTHROPIC),
    Mutant("key-not-injected", mp(29), NO_OPENAI),
    Mutant("authorization-not-overridden", mp(15, 20, 35), NO_VLLM),
    Mutant("client-key-kept", mp(36)),
    Mutant("key-in-response", mp(37)),
    Mutant("key-for-everybody", mp(41, 48)),
    Mutant("keys-not-checked", mp(5, 6)),
    Mutant("vllm-key-not-checked", mp(18)),
    # who is let in
    Mutant("anonymous-allowed", mp(17, 22, 23, 24, 25), mp(19, 43)),
    Mutant("audience-not-checked", mp(23), mp(25)),
    Mutant("expiry-not-checked", mp(22), mp(25)),
    Mutant("access-review-ignored", mp(39), mp(10, 25)),
    Mutant("expiration-ignored", mp(9)),
    # limits
    Mutant("token-limit-off", mp(43, 45), NO_LIMIT),
    Mutant("limit-answer-ignored", mp(19, 43), NO_LIMIT),
    Mutant("counters-shared", mp(44), NO_BUDGET, {"MP-47": "across_providers"}),
    Mutant("counters-per-gateway", mp(), mp(20), outcomes={"MP-47": "across_providers"}),
    Mutant("usage-counted-twice", mp(43)),
    Mutant("streams-not-counted", mp(45)),
    Mutant("window-halved", mp(46), windows=True),
    Mutant("tier-always-free", mp(26)),
    # who serves
    Mutant("route-to-other-backend", mp(4, 14), NO_ANTHROPIC),
    Mutant("openai-serves-other-model", mp(13), NO_OPENAI),
    Mutant("other-model-served", mp(16), NO_LOCAL),
    Mutant("model-behind-egress", mp(38)),
    Mutant("model-over-http", mp(40)),
    Mutant("provider-over-tls", mp(21), mp(18)),
    Mutant("model-path-kept", mp(16), NO_LOCAL | mp(10, 11), {"MP-42": "kept"}),
    # listing
    Mutant("model-missing-from-listing", mp(10), mp(12)),
    Mutant("registry-ignored", mp(8, 12)),
    Mutant("model-readiness-missing", mp(11)),
    # topology
    Mutant("listener-not-programmed", mp(1)),
    Mutant("egress-service-not-owned", mp(2)),
    Mutant("model-route-not-owned", mp(3)),
    Mutant("backend-not-fqdn", mp(4), NO_VLLM),
    Mutant("policy-under-other-name", mp(7)),
]
# Every request needs some of a budget that all users share.
SHARED_REQUESTS = mg(*range(8, 43))
MAAS_GATEWAY = [
    # topology
    Mutant("class-not-accepted", mg(1)),
    Mutant("gateway-labels-wrong", mg(2)),
    Mutant("listener-by-selector", mg(3)),
    Mutant("gateway-not-accepted", mg(4)),
    Mutant("routes-of-own-namespace-only", mg(5), mg(37)),
    Mutant("any-namespace-attaches", mg(6)),
    Mutant("rate-limit-shown-unenforced", mg(7)),
    # access and identity
    Mutant("audience-not-checked", mg(8)),
    Mutant("lowest-tier-wins", mg(9, 17, 18), mg(14, 16, 20, 21, 26, 27)),
    Mutant("tier-lookup-fails", mg(9, 19, 25), mg(14, 15, 16, *range(20, 33))),
    Mutant("no-tier-may", mg(10), SHARED_REQUESTS),
    Mutant("tiers-open-to-all", mg(11, 12), mg(36)),
    Mutant("premium-model-for-free", mg(11), mg(36)),
    Mutant("review-of-wrong-segment", mg(11, 12), mg(36)),
    Mutant("route-for-unknown-model", mg(13), mg(35)),
    Mutant("tier-told-wrong", mg(14, 16)),
    Mutant("group-not-forwarded", mg(14), mg(15)),
    Mutant("identity-of-client-kept", mg(15)),
    # request limits
    Mutant("free-requests-six", mg(19)),
    Mutant("premium-requests-more", mg(20)),
    Mutant("enterprise-requests-fewer", mg(21)),
    Mutant("requests-per-gateway", mg(22), SHARED_REQUESTS),
    Mutant("request-limit-after-upstream", mg(23), mg(19, 20, 21, 25, 26, 27)),
    Mutant("request-window-halved", mg(24), windows=True),
    # token limits
    Mutant("free-tokens-120", mg(25)),
    Mutant("premium-tokens-fewer", mg(26)),
    Mutant("enterprise-tokens-more", mg(27)),
    Mutant("limits-off-by-one", mg(19, 20, 21, 25, 26, 27)),
    Mutant("streams-not-counted", mg(28)),
    Mutant("streams-counted-without-usage", mg(29)),
    Mutant("last-answer-withheld", mg(30), mg(26)),
    Mutant("errors-counted", mg(31), mg(29)),
    Mutant("token-window-doubled", mg(32), windows=True),
    # opt-in and segregation
    Mutant("opted-in-model-everywhere", mg(33)),
    Mutant("default-gateway-limited", mg(34), mg(37)),
    Mutant("standard-model-on-maas", mg(35)),
    Mutant("listing-not-filtered", mg(36)),
    # What is refused while the bad policy is there depends on what runs beside it.
    Mutant("one-bad-policy-stops-all", mg(37), mg(*range(7, 43))),
    # maas-api
    Mutant("token-without-id", mg(38)),
    Mutant("expiration-ignored", mg(39), mg(38, 40)),
    Mutant("short-expirations-taken", mg(40)),
    Mutant("revocation-does-nothing", mg(41)),
    Mutant("identity-not-cached", mg(), outcomes={"MG-42": "at_once"}),
]
MUTANTS = MIXED_PROVIDERS + MAAS_GATEWAY


def options(mutant: Mutant) -> list[str]:
    """The suite's options that bring the defect in."""
    if mutant.name in FAULTS:
        module = FAULTS[mutant.name][0].rpartition(".")[2]
        command = f"{sys.executable} -m tests.mutants.faults {mutant.name}"
        return [f"--image={IMAGES[module]}={command}"]
    return [f"--kustomization={MANIFESTS / mutant.name}"]


def run_suite(profile: str, arguments: list[str], folder: Path) -> tuple[int, dict[str, Any], str]:
    """Run a suite in a process of its own: (exit code, its profile's report, its output)."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", f"suites/{profile}", "--cluster=embedded", "-q",
         f"--reports={folder}", *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False,
    )  # fmt: skip
    report = folder / "conformance.yaml"
    assert report.exists(), f"the suite did not run:\n{done.stdout}{done.stderr}"
    profiles = yaml.safe_load(report.read_text())["profiles"]
    (found,) = [p for p in profiles if p["name"] == profile]
    return done.returncode, found, done.stdout


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: f"{m.profile}-{m.name}")
def test_mutant_is_caught(mutant: Mutant, tmp_path: Path) -> None:
    """Red where it should be, green everywhere else."""
    chosen = [] if mutant.windows else ["-m", "not window"]
    arguments = [*options(mutant), *chosen]
    code, profile, output = run_suite(mutant.profile, arguments, tmp_path)
    verdicts = {r["id"]: r["verdict"] for r in profile["requirements"]}
    red = {one for one, verdict in verdicts.items() if verdict == "nonconformant"}
    assert mutant.caught <= red, f"not caught: {sorted(mutant.caught - red)}\n{output}"
    unrelated = red - mutant.caught - mutant.implied
    assert not unrelated, f"red without a reason: {sorted(unrelated)}\n{output}"
    decided = {one: profile["disputed"].get(one) for one in mutant.outcomes}
    assert decided == mutant.outcomes
    assert code == (1 if red else 0)


def test_every_requirement_has_a_mutant() -> None:
    """One that no defect surely turns red, or decides otherwise, is not tested."""
    files = (ROOT / "suites").glob("*/requirements.yaml")
    known = [entry for file in files for entry in yaml.safe_load(file.read_text())]
    touched = {one for m in MUTANTS for one in m.caught | m.outcomes.keys()}
    assert {r["id"] for r in known} - touched == set()


def test_every_defect_is_used() -> None:
    """No fault and no folder lies about unused."""
    folders = {folder.name for folder in MANIFESTS.iterdir()}
    assert {m.name for m in MUTANTS} == folders | FAULTS.keys()
