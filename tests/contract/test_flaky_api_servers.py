"""An API server that fails now and then costs nobody a verdict, and leaves nothing behind."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from kubernetes.client.exceptions import ApiException

from fixtures import again
from fixtures.again import LOG_IN, by_environment
from fixtures.clusters.existing import record
from fixtures.clusters.existing.ownership import Ownership
from fixtures.clusters.existing.shared import SharedKube
from fixtures.kube import Kube
from tests.conftest import Cluster
from tests.flaky import Flaky, before
from tests.shared_runs import UNDER_WAY_SECONDS, options, unchanged, verdicts

TIERS = "maas-default-gateway-tier-"


@pytest.fixture
def admin(cluster: Cluster, namespace: str) -> Iterator[str]:
    """A token that may do everything."""
    kube = Kube(cluster.state.kubeconfig)
    kube.service_account(namespace, "admin")
    api = "rbac.authorization.k8s.io"
    kube.apply(
        {"apiVersion": f"{api}/v1", "kind": "ClusterRoleBinding", "metadata": {"name": namespace},
         "roleRef": {"apiGroup": api, "kind": "ClusterRole", "name": "cluster-admin"},
         "subjects": [{"kind": "ServiceAccount", "name": "admin", "namespace": namespace}]}
    )  # fmt: skip
    yield kube.token(namespace, "admin").reveal()
    kube.delete(f"{api}/v1", "ClusterRoleBinding", "", namespace)


def test_a_run_at_a_flaky_api_server(cluster: Cluster, admin: str, tmp_path: Path) -> None:
    """At discovery, while running and at clean-up; and the next run is not refused."""
    flaky, chosen = Flaky(), ["suites/mixed_providers", "--requirement=MP-20"]
    login = Cluster(cluster.state)
    with before(cluster.state.kubeconfig, admin, tmp_path / "login", flaky) as kubeconfig:
        login.env = {**cluster.env, "KUBECONFIG": str(kubeconfig)}
        with unchanged(cluster):
            done = login.run(*options(cluster, tmp_path / "out"), *chosen,
                             seconds=UNDER_WAY_SECONDS)  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert verdicts(tmp_path / "out") == {"MP-20": "conformant"}
    assert min(flaky.seen[how] for how in ("500", "429", "reset")) > 0, flaky.seen
    assert record.runs(Kube(cluster.state.kubeconfig)) == []


def test_clean_up_goes_on_past_what_it_cannot_delete(
    cluster: Cluster, admin: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says what stays, and the next run is not refused for it."""
    monkeypatch.setattr(again, "TRIES", 2)
    run, kept = uuid.uuid4().hex[:8], Kube(cluster.state.kubeconfig)
    flaky = Flaky()
    flaky.denied = f"DELETE /api/v1/namespaces/conformance-a-{run}"
    with before(cluster.state.kubeconfig, admin, tmp_path / "login", flaky) as kubeconfig:
        kube = SharedKube(kubeconfig, Ownership(run, False))
        record.begin(kube, run, "me", TIERS)
        for letter in "abc":
            kube.namespace(f"conformance-{letter}-{run}")
        said: list[str] = []
        (problem,) = record.clean(Kube(kubeconfig), run, TIERS, said.append)
    assert problem.startswith(f"Namespace conformance-a-{run} stays: the API server answered 500")
    left = [kept.get("v1", "Namespace", "", f"conformance-{letter}-{run}") for letter in "abc"]
    assert [one is not None for one in left] == [True, False, False]
    assert record.run_of(kept) == ""
    assert record.clean(kept, run, TIERS, print) == []


def test_what_the_environment_broke_is_not_decided(
    cluster: Cluster, admin: str, tmp_path: Path
) -> None:
    """An API server that does not give one kind of answer any more: not decided, with the reason,
    and an exit code of its own."""
    flaky = Flaky()
    flaky.denied = "/token"
    login = Cluster(cluster.state)
    with before(cluster.state.kubeconfig, admin, tmp_path / "login", flaky) as kubeconfig:
        login.env = {**cluster.env, "KUBECONFIG": str(kubeconfig)}
        done = login.run(*options(cluster, tmp_path / "out"), "suites/mixed_providers",
                         "--requirement=MP-29", "-x", seconds=UNDER_WAY_SECONDS)  # fmt: skip
    assert done.returncode == 2, done.stdout + done.stderr
    assert verdicts(tmp_path / "out") == {"MP-29": "not decided"}
    assert "etcdserver: leader changed" in done.stdout
    assert "No verdict" in (tmp_path / "out" / "signoff.html").read_text()


def test_a_token_that_expired(cluster: Cluster, admin: str, tmp_path: Path) -> None:
    flaky = Flaky()
    with before(cluster.state.kubeconfig, admin, tmp_path / "login", flaky) as kubeconfig:
        kube = Kube(kubeconfig)
        flaky.unauthorized = True
        with pytest.raises(ApiException) as caught:
            kube.all("v1", "Pod")
        assert by_environment(caught.value) == LOG_IN
        with pytest.raises(ApiException) as caught:
            kube.namespace("anything")
        assert by_environment(caught.value) == LOG_IN


def test_an_object_is_made_once(cluster: Cluster, admin: str, tmp_path: Path) -> None:
    """Whatever fails; of one that was there before, nobody is told that it is his."""
    flaky = Flaky(fails=2, is_busy=3, resets=5)
    name = f"once-{uuid.uuid4().hex[:8]}"
    made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    with before(cluster.state.kubeconfig, admin, tmp_path / "login", flaky) as kubeconfig:
        kube = Kube(kubeconfig)
        assert kube.create(made)
        other = {**made, "metadata": {"name": name, "labels": {"of": "another"}}}
        assert not kube.create(other)
        kube.delete("v1", "Namespace", "", name)
