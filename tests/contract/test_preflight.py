"""`--preflight`: what a login may do on a cluster of others, and what a run needs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from fixtures.clusters.certificates import issue
from fixtures.clusters.existing.obstacles import obstacles
from fixtures.clusters.existing.ownership import RECORD
from fixtures.clusters.existing.permissions import cluster_role, needs
from fixtures.kube import Kube
from fixtures.waiting import REMOVED_SECONDS, until
from manifests import FOLDER, load, render
from tests.conftest import Cluster
from tests.shared_runs import UNDER_WAY_SECONDS, options, unchanged, verdicts

OBJECTS = render(FOLDER / "conformance")


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


def preflight(
    cluster: Cluster, kubeconfig: Path, *words: str, ca: Path | None = None
) -> tuple[int, str]:
    as_login = Cluster(cluster.state)
    as_login.env = {**cluster.env, "KUBECONFIG": str(kubeconfig)}
    done = as_login.run(
        sys.executable, "-m", "pytest", "suites", "-q", "--preflight", "--cluster=openshift",
        f"--ca={ca or cluster.state.folder / 'ca.crt'}", *words, seconds=UNDER_WAY_SECONDS,
    )  # fmt: skip
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
    assert "GET /v1/models at openshift-ingress/maas-default-gateway: 401" in said
    assert "ready to run" in said


@pytest.mark.parametrize("ca", ["another's", "none"])
def test_a_certificate_that_nobody_vouches_for(cluster: Cluster, tmp_path: Path, ca: str) -> None:
    """Preflight asks the gateway as the run does, which would end with its first request."""
    path = tmp_path / "ca.crt"
    path.write_bytes(issue(["another.example"])[0] if ca == "another's" else b"nothing")
    code, said = preflight(cluster, cluster.state.kubeconfig, ca=path)
    if ca == "none":
        assert code == 4, said
        assert f"ERROR: --ca={path}: " in said
        return
    assert code == 1, said
    _, _, problems = said.partition("nothing can be proved here")
    assert "CERTIFICATE_VERIFY_FAILED" in problems
    assert "see --ca" in problems


def test_a_namespace_that_does_not_go(cluster: Cluster) -> None:
    """Before anything is made, by preflight and by a run alike."""
    kube, held = Kube(cluster.state.kubeconfig), ("v1", "ConfigMap", RECORD, "held")
    kube.namespace(RECORD)
    metadata = {"name": "held", "namespace": RECORD, "finalizers": ["example.com/held"]}
    kube.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})
    kube.delete("v1", "Namespace", "", RECORD)
    try:
        code, said = preflight(cluster, cluster.state.kubeconfig)
        run = cluster.run(*options(cluster, cluster.state.folder / "reports"), "suites")
    finally:
        kube.merge(*held, {"metadata": {"finalizers": None}})
        until("it to go", lambda: kube.get("v1", "Namespace", "", RECORD),
              lambda found: found is None, REMOVED_SECONDS)  # fmt: skip
    assert code == 1, said
    assert f"{RECORD}, Terminating since " in said
    assert "nothing can be made in it until it is gone" in said.partition("proved here")[2]
    assert run.returncode == 4, run.stdout
    assert f"({RECORD}, Terminating since " in run.stdout + run.stderr


def is_whole(obj: dict[str, Any]) -> bool:
    """Not maas-api's Deployment, of which the demo has some fields and its operator the others."""
    return obj["kind"] != "Deployment" or "selector" in obj["spec"]


def test_what_is_deployed_is_tried(cluster: Cluster, namespace: str) -> None:
    """By the API server, and stays undone: no object is refused, and none is made."""
    moved = [
        {**one, "metadata": {**one["metadata"], "namespace": namespace}}
        for one in OBJECTS
        if one["metadata"].get("namespace") and is_whole(one)
    ]
    kube = Kube(cluster.state.kubeconfig)
    assert obstacles(kube, moved, []) == []
    (service,) = [one for one in moved if one["kind"] == "Service"][:1]
    service = {**service, "spec": {**service["spec"], "ports": [{"port": 0}]}}
    (refused,) = obstacles(kube, [service], [])
    assert refused.what == "refused"
    assert refused.needed
    assert "spec.ports[0].port" in refused.problem
    assert kube.all("v1", "Service", namespace) == []


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


def test_the_nightly_jobs_role_is_what_a_run_needs(cluster: Cluster) -> None:
    """manifests/nightly/cluster-role.yaml is what `--preflight --role` prints."""
    (shipped,) = load(FOLDER / "nightly" / "cluster-role.yaml")
    kube = Kube(cluster.state.kubeconfig)
    assert shipped == cluster_role("ai-gateway-conformance", needs(kube, OBJECTS))
    code, said = preflight(cluster, cluster.state.kubeconfig, "--role")
    assert code == 0, said
    assert yaml.safe_load(said.partition("\nno tests ran")[0]) == shipped
