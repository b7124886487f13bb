"""The parts of the stack that a test can take away, start anew or silence, and how it waits for
them."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import TypeVar

from fixtures.evidence import CLIENT, expect
from fixtures.found import only
from fixtures.kube import Kube
from fixtures.objects import existing
from fixtures.waiting import DEPLOYED_SECONDS, until
from manifests import Object

AUTHORINO = ("kuadrant-system", "authorino")
LIMITADOR = ("kuadrant-system", "limitador-limitador")
OPERATOR = ("kuadrant-system", "kuadrant-operator-controller-manager")
MAAS_API = ("opendatahub", "maas-api")
MAAS_PROXY = ("openshift-ingress", "maas-default-gateway-openshift-default")
EGRESS_PROXY = ("default", "envoy-poc-gateway")
ROUTER = ("vllm-semantic-router-system", "semantic-router-kserve")
SIMULATOR = ("external-models", "openai-simulator")
SLACK_SECONDS = 4.0  # of a busy machine
SAY_THEMSELVES = {"Authorino", "Limitador"}  # kinds whose operators keep their Deployments
Part = tuple[str, str]  # namespace and name of a Deployment
T = TypeVar("T")


@contextlib.contextmanager
def scaled(kube: Kube, replicas: int, *parts: Part) -> Iterator[None]:
    """Give these so many Pods each, all at once, and at the end what they had."""
    before = [_replicas(kube, one) for one in parts]
    pods = [len(_pods(kube, one)) for one in parts]
    for one in parts:
        _scale(kube, one, replicas)
    try:
        for one in parts:
            until_scaled(kube, one, replicas)
        yield
    finally:
        for one, had in zip(parts, before, strict=True):
            _scale(kube, one, had)
        for one, there in zip(parts, pods, strict=True):
            until_scaled(kube, one, there)


def gone(kube: Kube, part: Part) -> AbstractContextManager[None]:
    """Take a Deployment's Pods away, and have them back at the end."""
    return scaled(kube, 0, part)


def _scaled_by(kube: Kube, part: Part) -> tuple[str, str, str, str]:
    """Who says how many Pods a Deployment has: itself, or whom it belongs to if that says it too,
    as its operator would put it back then (limitador-operator and authorino-operator, which leave
    the Deployment's alone where their own object has none)."""
    found = existing(kube, "apps/v1", "Deployment", *part)
    for owner in found["metadata"].get("ownerReferences", []):
        named = (owner["apiVersion"], owner["kind"], part[0], owner["name"])
        if owner["kind"] in SAY_THEMSELVES and "replicas" in existing(kube, *named)["spec"]:
            return named
    return "apps/v1", "Deployment", *part


def _replicas(kube: Kube, part: Part) -> int | None:
    found: int | None = existing(kube, *_scaled_by(kube, part))["spec"].get("replicas")
    return found


def _scale(kube: Kube, part: Part, replicas: int | None) -> None:
    kube.merge(*_scaled_by(kube, part), {"spec": {"replicas": replicas}})


def _pods(kube: Kube, part: Part) -> list[Object]:
    found = existing(kube, "apps/v1", "Deployment", *part)
    return kube.all("v1", "Pod", part[0], found["spec"]["selector"]["matchLabels"])


def until_scaled(kube: Kube, part: Part, replicas: int) -> None:
    """Until so many Pods are ready, or gone."""

    def seen() -> tuple[int, int]:
        found = existing(kube, "apps/v1", "Deployment", *part)
        return len(_pods(kube, part)), found["status"].get("readyReplicas", 0)

    until(f"{replicas} Pods of {part[1]}", seen, lambda found: found == (replicas, replicas),
          DEPLOYED_SECONDS)  # fmt: skip


def replaced(kube: Kube, part: Part) -> None:
    """Delete a Deployment's Pods, and wait for others in their place."""
    namespace, _ = part
    pods = _pods(kube, part)
    for pod in pods:
        kube.delete("v1", "Pod", namespace, pod["metadata"]["name"])
    _until_others(kube, part, pods)


def rolled(kube: Kube, part: Part) -> None:
    """Renew a Deployment's Pods as `kubectl rollout restart` does, and wait until the old ones are
    gone."""
    pods, now = _pods(kube, part), time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    template = {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": now}}}
    kube.merge("apps/v1", "Deployment", *part, {"spec": {"template": template}})
    _until_others(kube, part, pods)


def _until_others(kube: Kube, part: Part, pods: list[Object]) -> None:
    """As many others are ready, and these are gone."""
    before = {pod["metadata"]["uid"] for pod in pods}

    def ready() -> bool:
        found = _pods(kube, part)
        new = {pod["metadata"]["uid"] for pod in found if _is_ready(pod)} - before
        return len(new) == len(found) == len(before)

    until(f"other Pods of {part[1]}", ready, bool, DEPLOYED_SECONDS)


def _is_ready(pod: Object) -> bool:
    conditions = pod["status"].get("conditions") or []
    return any((one["type"], one["status"]) == ("Ready", "True") for one in conditions)


def waits(kube: Kube, *services: str) -> float:
    """For how many seconds Kuadrant waits for these services at most, by its own configuration."""
    plugin = only(kube.all("extensions.istio.io/v1alpha1", "WasmPlugin", MAAS_PROXY[0]), "shim")
    found = plugin["spec"]["pluginConfig"]["services"]
    seconds = 0.0
    for one in services:
        timeout = re.fullmatch(r"(\d+)(ms|s)", found[one]["timeout"])
        assert timeout, f"{one} has the timeout {found[one]['timeout']!r}"
        seconds += int(timeout[1]) * {"ms": 0.001, "s": 1.0}[timeout[2]]
    return seconds


def in_time(requests: Sequence[Callable[[], T]], seconds: float) -> list[T]:
    """Their answers, asked for side by side while a part is silent."""
    began = time.monotonic()
    with ThreadPoolExecutor(len(requests)) as pool:
        asked = [pool.submit(one) for one in requests]
        answers = [one.result() for one in asked]
    passed = time.monotonic() - began
    wanted = f"answers within {seconds + SLACK_SECONDS:.1f} s"
    expect(passed < seconds + SLACK_SECONDS, CLIENT, wanted, f"after {passed:.1f} s")
    return answers
