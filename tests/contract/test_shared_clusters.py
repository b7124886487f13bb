"""A cluster that is others' too: what is left alone, what goes away again, and who may what."""

from __future__ import annotations

import contextlib
import functools
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from fixtures.clusters import Access, ClusterError, Wanted
from fixtures.clusters.existing import record
from fixtures.clusters.existing.ownership import RUN, ForeignObject, Ownership
from fixtures.clusters.existing.permissions import cluster_role, needs
from fixtures.clusters.existing.shared import SharedKube
from fixtures.clusters.openshift import OpenShiftCluster
from fixtures.kube import Kube
from fixtures.waiting import until
from manifests import FOLDER, load, render
from reports import diagnostics
from tests.conftest import Cluster
from tests.snapshot import differences, taken

TIERS = "maas-default-gateway-tier-"
MAPPING = ("v1", "ConfigMap", "opendatahub", "tier-to-group-mapping")
OBJECTS = render(FOLDER / "conformance")


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


def at_rest(kube: Kube) -> dict[str, Any]:
    """What is deployed, once controllers have nothing more to make of it."""
    seen = [taken(kube)]

    def changes() -> list[str]:
        seen.append(taken(kube))
        return differences(*seen[-2:])

    until("the cluster to be at rest", changes, lambda found: not found, REST_SECONDS,
          in_a_row=2, every=0.3)  # fmt: skip
    return seen[-1]


@contextlib.contextmanager
def unchanged(cluster: Cluster) -> Iterator[None]:
    """Nothing is more, less or other afterwards than it was before."""
    kube = Kube(cluster.state.kubeconfig)
    before = at_rest(kube)
    yield
    assert differences(before, taken(kube)) == []


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


def test_one_run_at_a_time(cluster: Cluster, run: str) -> None:
    kube = shared(cluster, run)
    record.begin(kube, run, "the one", TIERS)
    with pytest.raises(ClusterError, match=f"run {run} of the one is under way here since"):
        record.begin(shared(cluster, "other"), "other", "another", TIERS)
    assert record.runs(kube) == [run]


def login(cluster: Cluster, namespace: str, folder: Path, role: dict[str, Any]) -> Path:
    """A kubeconfig of a ServiceAccount that is bound to a ClusterRole."""
    kube = Kube(cluster.state.kubeconfig)
    kube.service_account(namespace, "login")
    kube.apply(role)
    api = "rbac.authorization.k8s.io"
    ref = {"apiGroup": api, "kind": "ClusterRole", "name": role["metadata"]["name"]}
    subject = {"kind": "ServiceAccount", "name": "login", "namespace": namespace}
    kube.apply(
        {"apiVersion": f"{api}/v1", "kind": "ClusterRoleBinding",
         "metadata": {"name": role["metadata"]["name"]}, "roleRef": ref, "subjects": [subject]}
    )  # fmt: skip
    made = yaml.safe_load(cluster.state.kubeconfig.read_text())
    made["users"][0]["user"] = {"token": kube.token(namespace, "login").reveal()}
    path = folder / "login"
    path.write_text(yaml.safe_dump(made))
    return path


def preflight(cluster: Cluster, kubeconfig: Path, *words: str) -> tuple[int, str]:
    as_login = Cluster(cluster.state)
    as_login.env = {**cluster.env, "KUBECONFIG": str(kubeconfig)}
    done = as_login.run(sys.executable, "-m", "pytest", "suites", "-q", "--preflight",
                        "--cluster=openshift", *words)  # fmt: skip
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def role(cluster: Cluster, namespace: str) -> Iterator[dict[str, Any]]:
    """What `permissions` says that a run needs, as a ClusterRole."""
    kube = Kube(cluster.state.kubeconfig)
    name = f"login-{namespace}"
    yield cluster_role(name, needs(kube, OBJECTS))
    for kind in ("ClusterRoleBinding", "ClusterRole"):
        kube.delete("rbac.authorization.k8s.io/v1", kind, "", name)


def test_preflight_with_everything(cluster: Cluster) -> None:
    with unchanged(cluster):
        code, said = preflight(cluster, cluster.state.kubeconfig)
    assert code == 0, said
    assert "openshift-ingress/maas-default-gateway: maas.apps.embedded.test at 127." in said
    assert "the login may do all that a run does" in said
    assert "openshift: there is no ClusterVersion" in said
    assert "MG-51" in said
    assert " ! " not in said.replace("! no ClusterVersion", "")
    assert "ready to run" in said


def test_preflight_with_the_listed_rights(
    cluster: Cluster, namespace: str, tmp_path: Path, role: dict[str, Any]
) -> None:
    code, said = preflight(cluster, login(cluster, namespace, tmp_path, role))
    assert code == 0, said
    assert "the login may do all that a run does" in said


def without(role: dict[str, Any], *resources: str) -> dict[str, Any]:
    """The role without any right to these."""
    rules = [
        {**rule, "resources": [one for one in rule["resources"] if one not in resources]}
        for rule in role["rules"]
    ]
    return {**role, "rules": rules}


def test_preflight_names_what_is_missing(
    cluster: Cluster, namespace: str, tmp_path: Path, role: dict[str, Any]
) -> None:
    """Logs cost what they show; without models nothing can be proved."""
    code, said = preflight(cluster, login(cluster, namespace, tmp_path, without(role, "pods/log")))
    assert code == 0, said
    assert "get pods/log" in said
    assert "maas_gateway_log: the login may not get pods/log" in said
    less = without(role, "pods/log", "llminferenceservices", "kuadrants")
    code, said = preflight(cluster, login(cluster, namespace, tmp_path, less))
    assert code == 1, said
    assert "get,list,create,patch,delete llminferenceservices.serving.kserve.io" in said
    _, _, problems = said.partition("nothing can be proved here")
    assert "llminferenceservices.serving.kserve.io" in problems
    assert "Kuadrant: the login may not look: kuadrants.kuadrant.io is forbidden" in problems


@pytest.mark.parametrize(
    ("user", "said"),
    [
        ({"token": "x"}, "has expired or is unknown there: log in again"),
        ({}, "has expired or is unknown there: log in again"),
        (
            {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "false",
                      "interactiveMode": "Never"}},
            "its token comes from `false`, which may have failed",
        ),
    ],
    ids=["token", "nobody", "exec"],
)  # fmt: skip
def test_logins_that_are_none(
    cluster: Cluster, tmp_path: Path, user: dict[str, Any], said: str
) -> None:
    made = yaml.safe_load(cluster.state.kubeconfig.read_text())
    made["users"][0]["user"] = user
    path = tmp_path / "login"
    path.write_text(yaml.safe_dump(made))
    code, text = preflight(cluster, path)
    assert code == 4, text
    (line,) = [one for one in text.splitlines() if one.startswith("ERROR: context")]
    assert said in line


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


ONE = [
    "suites/mixed_providers",
    "suites/maas_gateway",
    "--requirement=MP-20",
    "--requirement=MG-53",
]
REST_SECONDS = 20.0
UNDER_WAY_SECONDS = 180.0  # with other tests beside it


def options(cluster: Cluster, reports: Path) -> list[str]:
    ca = cluster.state.folder / "ca.crt"
    return [sys.executable, "-m", "pytest", "-q", "--cluster=openshift", f"--ca={ca}",
            f"--reports={reports}"]  # fmt: skip


def verdicts(reports: Path) -> dict[str, str]:
    found = yaml.safe_load((reports / "conformance.yaml").read_text())
    return {
        one["id"]: one["verdict"]
        for profile in found["profiles"]
        for one in profile["requirements"]
        if one["verdict"] != "not run"
    }


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


def test_a_run_with_the_listed_rights(
    cluster: Cluster, namespace: str, tmp_path: Path, role: dict[str, Any]
) -> None:
    """They are enough for users, grants, models of their own and requests from inside."""
    with_rights = Cluster(cluster.state)
    kubeconfig = login(cluster, namespace, tmp_path, role)
    with_rights.env = {**cluster.env, "KUBECONFIG": str(kubeconfig)}
    words = [*options(cluster, tmp_path / "reports"), "suites/mixed_providers", "suites/hardening"]
    wanted = [f"--requirement={one}" for one in ("MP-20", "HD-27", "HD-35")]
    with unchanged(cluster):
        done = with_rights.run(*words, *wanted, seconds=UNDER_WAY_SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert verdicts(tmp_path / "reports") == {
        "MP-20": "conformant", "HD-27": "gap present", "HD-35": "gap closed",
    }  # fmt: skip


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


def test_the_nightly_jobs_role_is_what_a_run_needs(cluster: Cluster) -> None:
    """manifests/nightly/cluster-role.yaml is what `--preflight --role` prints."""
    (shipped,) = load(FOLDER / "nightly" / "cluster-role.yaml")
    kube = Kube(cluster.state.kubeconfig)
    assert shipped == cluster_role("ai-gateway-conformance", needs(kube, OBJECTS))
    code, said = preflight(cluster, cluster.state.kubeconfig, "--role")
    assert code == 0, said
    assert yaml.safe_load(said.partition("\nno tests ran")[0]) == shipped


def test_diagnostics_of_a_shared_cluster(cluster: Cluster, run: str, tmp_path: Path) -> None:
    """Of the run's own namespaces and the named ones alone."""
    kube = shared(cluster, run)
    kube.service_account(f"conformance-{run}", "user")
    access = Access(cluster.state.kubeconfig, run=run, watched=("opendatahub",))
    spaces = diagnostics.namespaces(kube, access)
    assert spaces == {f"conformance-{run}", "opendatahub"}
    diagnostics.write(kube, tmp_path, spaces)
    logs = {path.name.partition(".")[0] for path in tmp_path.glob("*.log")}
    assert logs == {"opendatahub"}
    conditions = yaml.safe_load((tmp_path / "conditions.yaml").read_text())
    seen = {name.partition("/")[0] for kind in conditions.values() for name in kind}
    assert seen == {"", "opendatahub"}
    assert diagnostics.namespaces(kube, Access(cluster.state.kubeconfig)) is None
