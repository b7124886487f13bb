"""A cluster that is others' too: what is left alone, what goes away again, and who may what."""

from __future__ import annotations

import contextlib
import functools
import signal
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from fixtures import spaces
from fixtures.clusters import Access, ClusterError, Wanted
from fixtures.clusters.existing import record
from fixtures.clusters.existing.ownership import RUN, ForeignObject, Ownership
from fixtures.clusters.existing.shared import SharedKube
from fixtures.clusters.openshift import OpenShiftCluster
from fixtures.kube import Kube
from fixtures.put_back import Snapshot
from fixtures.waiting import until
from reports import diagnostics
from tests.conftest import Cluster
from tests.shared_runs import UNDER_WAY_SECONDS, options, unchanged, verdicts

TIERS = "maas-default-gateway-tier-"
MAPPING = ("v1", "ConfigMap", "opendatahub", "tier-to-group-mapping")


@pytest.fixture
def run(cluster: Cluster) -> Iterator[str]:
    """A run of the test's own; what it leaves goes away."""
    name = uuid.uuid4().hex[:8]
    yield name
    if name in record.runs(Kube(cluster.state.kubeconfig)):
        clean(cluster, name)


def shared(cluster: Cluster, run: str, alters: bool = False) -> SharedKube:
    return SharedKube(cluster.state.kubeconfig, Ownership(run, alters))


def clean(cluster: Cluster, run: str) -> list[str]:
    return record.clean(Kube(cluster.state.kubeconfig), run, TIERS, print)


def config_map(namespace: str, name: str, **data: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


ONE = [
    "suites/mixed_providers",
    "suites/maas_gateway",
    "--requirement=MP-20",
    "--requirement=MG-53",
]


@pytest.mark.parametrize("change", ["more", "less", "other"])
def test_a_snapshot_sees_what_changes(cluster: Cluster, namespace: str, change: str) -> None:
    """Or none of the tests here would say anything."""
    kube = Kube(cluster.state.kubeconfig)
    kube.apply(config_map(namespace, "some", word="one"))

    def changed() -> None:
        with unchanged(cluster):
            if change == "less":
                kube.delete("v1", "ConfigMap", namespace, "some")
            else:
                kube.apply(config_map(namespace, "some" if change == "other" else "new", word="2"))

    with pytest.raises(AssertionError, match=f"{change}: v1 ConfigMap {namespace} "):
        changed()


def test_what_is_anothers_is_left_alone(cluster: Cluster, namespace: str, run: str) -> None:
    theirs = config_map(namespace, "theirs", word="one")
    Kube(cluster.state.kubeconfig).apply(theirs)
    kube = shared(cluster, run)
    with unchanged(cluster):
        kube.apply(theirs)  # as it is: no change
        for alter in (
            lambda: kube.apply(config_map(namespace, "theirs", word="two")),
            lambda: kube.delete("v1", "ConfigMap", namespace, "theirs"),
            lambda: kube.merge("v1", "ConfigMap", namespace, "theirs", {"data": {"word": "two"}}),
            lambda: kube.annotate("v1", "ConfigMap", namespace, "theirs", {"a": "b"}),
            lambda: kube.scale("opendatahub", "maas-api", 0),
            lambda: kube.set_image("opendatahub", "maas-api", "maas-api", "other"),
            lambda: kube.delete("v1", "Namespace", "", namespace),
        ):
            with pytest.raises(ForeignObject, match="is not the suite's and would be altered"):
                alter()


def test_what_is_ours_is_marked_and_goes_away(cluster: Cluster, namespace: str, run: str) -> None:
    """In others' namespaces, and with namespaces of our own, whatever else is in these."""
    kube = shared(cluster, run)
    with unchanged(cluster):
        record.begin(kube, run, "me", TIERS)
        kube.apply(config_map(namespace, "ours", word="one"))
        kube.apply(config_map(namespace, "ours", word="two"))
        kube.service_account(f"conformance-{run}", "user")
        kube.delete("v1", "ServiceAccount", f"conformance-{run}", "default")  # in ours: ours
        found = kube.get("v1", "ConfigMap", namespace, "ours") or {}
        assert found["data"] == {"word": "two"}
        assert found["metadata"]["labels"] == {RUN: run}
        kube.service_account(f"{TIERS}free", f"ours-{run}")
        kube.service_account(f"{TIERS}new", f"ours-{run}")
        others = Kube(cluster.state.kubeconfig)
        name = f"system-serviceaccount-conformance-users-{run}"
        others.service_account(f"{TIERS}free", name)  # as maas-api would
        assert clean(cluster, run) == []
        assert record.runs(kube) == []


def test_tiers_of_others_stay(cluster: Cluster, run: str) -> None:
    """A tier's namespace that somebody else uses since, and an account that was there before and
    is called as the suite's are."""
    kube, tier = shared(cluster, run), f"{TIERS}since"
    others = Kube(cluster.state.kubeconfig)
    before = f"system-serviceaccount-conformance-team-{run}"
    others.service_account(f"{TIERS}free", before)
    record.begin(kube, run, "me", TIERS)
    others.service_account(tier, "somebody")
    kube.service_account(tier, "ours")
    assert clean(cluster, run) == []
    left = {one["metadata"]["name"] for one in others.all("v1", "ServiceAccount", tier)}
    kept = others.get("v1", "ServiceAccount", f"{TIERS}free", before)
    others.delete("v1", "Namespace", "", tier)
    others.delete("v1", "ServiceAccount", f"{TIERS}free", before)
    assert {"somebody"} <= left <= {"somebody", "default"}
    assert kept is not None


def test_cleanup_touches_no_other_runs_record(cluster: Cluster, run: str) -> None:
    """What an earlier run left is taken away, while another is under way."""
    kube, earlier = shared(cluster, run), f"earlier-{run}"
    record.begin(kube, run, "me", TIERS)
    shared(cluster, earlier).service_account(f"conformance-{earlier}", "user")
    assert record.runs(kube) == sorted([run, earlier])
    assert clean(cluster, earlier) == []
    assert record.runs(kube) == [run]


def test_what_may_be_altered_is_restored(cluster: Cluster, run: str) -> None:
    """Also what is altered twice, and what is deleted."""
    theirs = Kube(cluster.state.kubeconfig)
    theirs.apply(config_map("opendatahub", f"gone-{run}", word="one"))
    before = (theirs.get(*MAPPING) or {})["data"]
    kube = shared(cluster, run, alters=True)
    record.begin(kube, run, "me", TIERS)
    for text in ("[]", "[1]"):
        kube.apply(config_map(*MAPPING[2:], tiers=text))
    assert (kube.get(*MAPPING) or {})["data"] == {"tiers": "[1]"}
    kube.delete("v1", "ConfigMap", "opendatahub", f"gone-{run}")
    assert clean(cluster, run) == []
    assert (theirs.get(*MAPPING) or {})["data"] == before
    back = theirs.get("v1", "ConfigMap", "opendatahub", f"gone-{run}") or {}
    assert back["data"] == {"word": "one"}
    theirs.delete("v1", "ConfigMap", "opendatahub", f"gone-{run}")


@pytest.mark.parametrize(
    "full",
    [("v1", "Namespace", "", "opendatahub"),
     ("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", "authpolicies.kuadrant.io")],
    ids=["namespace", "crd"],
)  # fmt: skip
def test_what_holds_more_is_never_deleted(
    cluster: Cluster, run: str, full: tuple[str, str, str, str]
) -> None:
    """Whoever restores one has not restored what was in it."""
    kube = shared(cluster, run, alters=True)
    with pytest.raises(ForeignObject, match="and what is in it others'"):
        kube.delete(*full)
    assert kube.get(*full) is not None


def test_one_run_at_a_time(cluster: Cluster, run: str) -> None:
    kube = shared(cluster, run)
    record.begin(kube, run, "the one", TIERS)
    with pytest.raises(ClusterError, match=f"run {run} of the one is under way here since"):
        record.begin(shared(cluster, "other"), "other", "another", TIERS)
    assert record.runs(kube) == [run]


def test_cleanup_of_runs_that_died(
    cluster: Cluster, run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By name and all of them; a name that is none is an error that says which there are."""
    monkeypatch.setenv("KUBECONFIG", str(cluster.state.kubeconfig))
    said: list[str] = []
    with contextlib.closing(OpenShiftCluster(Wanted(say=said.append))) as owner:
        kube = shared(cluster, run)
        record.begin(kube, run, "me", TIERS)
        kube.service_account(f"conformance-{run}", "user")
        with pytest.raises(ClusterError, match=f"--cleanup=other: no such run .* are {run}"):
            owner.cleaned("other")
        assert owner.cleaned(run) == []
        kube.service_account(f"conformance-{run}-two", "user")
        assert owner.cleaned("all") == []
        assert owner.cleaned("all") == []
    assert record.runs(kube) == []
    assert "nothing to clean up" in said[-1]


def test_a_run_leaves_the_cluster_as_it_was(cluster: Cluster, tmp_path: Path) -> None:
    """What would alter MaaS is not applicable, and the rest is proved."""
    with unchanged(cluster):
        done = cluster.run(*options(cluster, tmp_path), *ONE, seconds=UNDER_WAY_SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert verdicts(tmp_path) == {"MP-20": "conformant", "MG-53": "not applicable"}
    assert "ConfigMap opendatahub/tier-to-group-mapping is not the suite's" in done.stdout


def test_a_run_that_may_alter_maas_restores_it(cluster: Cluster, tmp_path: Path) -> None:
    mapping = (Kube(cluster.state.kubeconfig).get(*MAPPING) or {})["data"]
    words = [*options(cluster, tmp_path), *ONE, "--own-maas"]
    done = cluster.run(*words, seconds=UNDER_WAY_SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert verdicts(tmp_path) == {"MP-20": "conformant", "MG-53": "conformant"}
    assert (Kube(cluster.state.kubeconfig).get(*MAPPING) or {})["data"] == mapping


def users_of_runs(kube: Kube) -> list[str]:
    accounts = kube.all("v1", "ServiceAccount", labels={RUN: None})
    names = [one["metadata"]["name"] for one in accounts]
    return [name for name in names if name.startswith("user-")]


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL], ids=["ctrl-c", "killed"])
def test_a_run_that_is_broken_off(cluster: Cluster, tmp_path: Path, end: signal.Signals) -> None:
    """By Ctrl-C it takes everything away; killed it leaves that to --cleanup."""
    kube = Kube(cluster.state.kubeconfig)
    with unchanged(cluster), (tmp_path / "log").open("w") as log:
        words = [*options(cluster, tmp_path / "reports"), "suites/maas_gateway", "-mnot window"]
        # A shell's background jobs, and what they start, are deaf to Ctrl-C.
        hears = functools.partial(signal.signal, signal.SIGINT, signal.default_int_handler)
        started = subprocess.Popen(words, env=cluster.env, stdout=log, stderr=log, preexec_fn=hears)
        try:
            until("a run with users", lambda: users_of_runs(kube), bool, UNDER_WAY_SECONDS)
            (run,) = record.runs(kube)
            started.send_signal(end)
            code = started.wait(UNDER_WAY_SECONDS)
        finally:
            started.kill()
            started.wait()
        if end == signal.SIGKILL:
            assert record.runs(kube) == [run]
            words = [*options(cluster, tmp_path / "reports"), f"--cleanup={run}"]
            done = cluster.run(*words, seconds=UNDER_WAY_SECONDS)
            assert done.returncode == 0, done.stdout + done.stderr
        else:
            assert code == pytest.ExitCode.INTERRUPTED, (tmp_path / "log").read_text()
        assert record.runs(kube) == []


def test_diagnostics_of_a_shared_cluster(cluster: Cluster, run: str, tmp_path: Path) -> None:
    """Of the run's own namespaces and the named ones alone."""
    kube = shared(cluster, run)
    kube.service_account(f"conformance-{run}", "user")
    access = Access(cluster.state.kubeconfig, run=run, watched=("opendatahub",))
    readable = spaces.namespaces(kube, access)
    assert readable == {f"conformance-{run}", "opendatahub"}
    diagnostics.write(kube, tmp_path, readable)
    logs = {path.name.partition(".")[0] for path in tmp_path.glob("*.log")}
    assert logs == {"opendatahub"}
    conditions = yaml.safe_load((tmp_path / "conditions.yaml").read_text())
    seen = {name.partition("/")[0] for kind in conditions.values() for name in kind}
    assert seen == {"", "opendatahub"}
    assert spaces.namespaces(kube, Access(cluster.state.kubeconfig)) is None


def test_what_others_do_meanwhile_is_not_put_back(
    cluster: Cluster, namespace: str, run: str
) -> None:
    """Of what differs afterwards, only what was the run's own, or is saved, is made as it was."""
    theirs = Kube(cluster.state.kubeconfig)
    kube = shared(cluster, run, alters=True)
    record.begin(kube, run, "me", TIERS)
    for name in ("saved", "edited", "deleted"):
        theirs.apply(config_map(namespace, name, word="one"))
    kube.apply(config_map(namespace, "ours", word="one"))
    before = Snapshot(kube)
    theirs.apply(config_map(namespace, "edited", word="theirs"))
    theirs.apply(config_map(namespace, "new", word="theirs"))
    theirs.delete("v1", "ConfigMap", namespace, "deleted")
    kube.apply(config_map(namespace, "saved", word="two"))
    kube.delete("v1", "ConfigMap", namespace, "ours")
    kube.apply(config_map(namespace, "more", word="two"))
    said = before.put_back()
    assert sorted(line.split()[-1] for line in said) == ["more", "ours", "saved"]
    names = ("saved", "edited", "deleted", "ours", "new", "more")
    found = {name: theirs.get("v1", "ConfigMap", namespace, name) for name in names}
    words = {name: one["data"]["word"] for name, one in found.items() if one}
    assert words == {"saved": "one", "edited": "theirs", "ours": "one", "new": "theirs"}
