"""`--image NAME=COMMAND`: a real program of somebody else's in a container's place."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from kubernetes.client import ApiException

from embedded.running import lifecycle
from embedded.running.state import State
from fixtures.kube import Kube
from fixtures.waiting import DEPLOYED_SECONDS, until

IMAGE, WATCHER = "registry.example/kubectl", "registry.example/watcher"
ROLE = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list"]}


@pytest.fixture(scope="module")
def kube() -> Iterator[Kube]:
    """A cluster whose image for kubectl is the machine's own kubectl, a Go program, and which has
    one that watches a file."""
    state = State(f"foreign-{os.getpid()}")
    program = shutil.which("kubectl")
    assert program, "there is no kubectl on PATH"
    command = f"{program} --cache-dir=$(CONTAINER_ROOT)/cache"
    watcher = f"{WATCHER}={sys.executable} -u {Path(__file__).with_name('watcher.py')}"
    process = lifecycle.up(state, [f"{IMAGE}={command}", watcher], None, lifeline=True)
    yield Kube(state.kubeconfig)
    lifecycle.down(state)
    process.wait()


def ran(kube: Kube, name: str, arguments: list[str], command: list[str]) -> tuple[str, str]:
    """(the Pod's phase at its end, its log)."""
    container = {"name": "main", "image": IMAGE, "args": arguments, "command": command}
    spec = {"serviceAccountName": "reader", "restartPolicy": "Never", "containers": [container]}
    metadata = {"name": name, "namespace": "default"}
    kube.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})

    def phase() -> str:
        found = kube.get("v1", "Pod", "default", name) or {}
        return str(found.get("status", {}).get("phase"))

    ended = until(f"{name} to end", phase, lambda seen: seen in ("Succeeded", "Failed"),
                  DEPLOYED_SECONDS)  # fmt: skip
    return ended, kube.pod_log("default", name, "main")


def test_a_go_program_has_its_accounts_rights(kube: Kube) -> None:
    """By its $KUBECONFIG: what its ServiceAccount may, and nothing else. The words of its command
    after the program are its arguments too."""
    kube.service_account("default", "reader")
    metadata = {"name": "reader", "namespace": "default"}
    rbac = "rbac.authorization.k8s.io/v1"
    kube.apply({"apiVersion": rbac, "kind": "Role", "metadata": metadata, "rules": [ROLE]})
    subject = {"kind": "ServiceAccount", "name": "reader", "namespace": "default"}
    ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"}
    kube.apply({"apiVersion": rbac, "kind": "RoleBinding", "metadata": metadata, "roleRef": ref,
                "subjects": [subject]})  # fmt: skip
    phase, log = ran(kube, "allowed", ["-o", "name"], ["kubectl", "get", "configmaps"])
    assert (phase, log.split()) == ("Succeeded", ["configmap/kube-root-ca.crt"])
    phase, log = ran(kube, "refused", ["get", "secrets"], [])
    assert phase == "Failed"
    assert 'User "system:serviceaccount:default:reader" cannot list resource "secrets"' in log


def test_a_program_that_watches_its_mounted_file_hears_of_another(kube: Kube) -> None:
    """As Limitador 2.1.0 does, which takes no notice when a file is renamed to its own: what a
    kubelet swaps is the link `..data`."""
    metadata = {"name": "watched", "namespace": "default"}
    of = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
    kube.apply({**of, "data": {"file": "one", "other": "same"}})
    container = {"name": "main", "image": WATCHER, "args": ["/etc/watched/file"],
                 "volumeMounts": [{"name": "v", "mountPath": "/etc/watched"}]}  # fmt: skip
    spec = {"containers": [container], "volumes": [{"name": "v", "configMap": {"name": "watched"}}]}
    pod = {"metadata": {"name": "watcher", "namespace": "default"}, "spec": spec}
    kube.apply({"apiVersion": "v1", "kind": "Pod", **pod})

    def read() -> list[str]:
        try:
            return kube.pod_log("default", "watcher", "main").split()
        except ApiException:  # the container has not begun
            return []

    until("the file to be read", read, lambda seen: seen == ["one"], DEPLOYED_SECONDS)
    kube.apply({**of, "data": {"file": "two", "other": "same"}})
    until("another to be read", read, lambda seen: seen == ["one", "two"], DEPLOYED_SECONDS)
