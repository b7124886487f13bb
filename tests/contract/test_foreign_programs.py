"""`--image NAME=COMMAND`: a real program of somebody else's in a container's place."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest

from embedded import lifecycle
from embedded.state import State
from fixtures.kube import Kube
from fixtures.waiting import DEPLOYED_SECONDS, until

IMAGE = "registry.example/kubectl"
ROLE = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list"]}


@pytest.fixture(scope="module")
def kube() -> Iterator[Kube]:
    """A cluster whose image for kubectl is the machine's own kubectl, a Go program."""
    state = State(f"foreign-{os.getpid()}")
    program = shutil.which("kubectl")
    assert program, "there is no kubectl on PATH"
    command = f"{program} --cache-dir=$(CONTAINER_ROOT)/cache"
    process = lifecycle.up(state, [f"{IMAGE}={command}"], None, lifeline=True)
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
