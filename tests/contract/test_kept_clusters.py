"""A cluster that was kept: Pods have the files that were deployed last."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from fixtures.kube import Kube
from fixtures.plugin import deploy
from fixtures.waiting import until
from tests.conftest import Cluster

OBJECTS = """
apiVersion: v1
kind: ConfigMap
metadata: {{name: words, namespace: {namespace}}}
data: {{word: {word}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: main
        image: docker.io/library/python:3.12-alpine
        command: [python, -uc, "import time; print(open('/words/word').read()); time.sleep(999)"]
        volumeMounts:
        - {{name: words, mountPath: /words}}
      volumes:
      - name: words
        {volume}
"""
LOG_SECONDS = 5.0
MOUNTED, OTHER = "configMap: {name: words}", "configMap: {name: kube-root-ca.crt}"


def deployed(kube: Kube, folder: Path, namespace: str, word: str) -> dict[str, tuple[str, str]]:
    """Deploy with this word: Deployment → (its Pod's uid, what it printed)."""
    reader = OBJECTS.format(namespace=namespace, word=word, name="reader", volume=MOUNTED)
    other = OBJECTS.format(namespace=namespace, word=word, name="other", volume=OTHER)
    other = other.partition("---\n")[2].replace("open('/words/word').read()", "'-'")
    (folder / "all.yaml").write_text(f"{reader}---\n{other}")
    (folder / "kustomization.yaml").write_text("resources: [all.yaml]\n")
    deploy(kube, folder)
    found = {}
    for name in ("reader", "other"):
        (pod,) = kube.all("v1", "Pod", namespace, {"app": name})
        read = partial(kube.pod_log, namespace, pod["metadata"]["name"], "main")
        log = until("its first line", read, bool, LOG_SECONDS)
        found[name] = (pod["metadata"]["uid"], log.strip())
    return found


def test_new_files_have_new_pods(cluster: Cluster, namespace: str, tmp_path: Path) -> None:
    """Of those that mount them, and only when they have changed."""
    kube = Kube(cluster.state.kubeconfig)
    first = deployed(kube, tmp_path, namespace, "one")
    assert first["reader"][1] == "one"
    assert deployed(kube, tmp_path, namespace, "one") == first
    second = deployed(kube, tmp_path, namespace, "two")
    assert second["reader"][1] == "two"
    assert second["reader"][0] != first["reader"][0]
    assert second["other"] == first["other"]
