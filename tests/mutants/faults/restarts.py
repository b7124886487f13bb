"""Parts that start anew and have forgotten something, or that do not know of their like."""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path
from typing import Any

from tests.mutants.faults import fault

Object = dict[str, Any]
FORGOTTEN_SECONDS = 2.0
REFUSING_SECONDS = 4.0
REMEMBERED_SECONDS = 120.0


@fault("one-route-is-forgotten-at-the-start", "envoy_controller")
def _(module: Any) -> None:
    """The egress gateway's controller does not know of one provider yet."""
    right, route = module.Controller.run, "anthropic-route"

    async def run(self: Any) -> None:
        began, listed = time.monotonic(), self._cache.list

        def known(resource: str, *more: str) -> list[Object]:
            found: list[Object] = listed(resource, *more)
            if resource != module.ROUTES or time.monotonic() > began + FORGOTTEN_SECONDS:
                return found
            return [one for one in found if one["metadata"]["name"] != route]

        async def later() -> None:
            await asyncio.sleep(FORGOTTEN_SECONDS)
            self._cache.touch()

        self._cache.list = known
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(later())
            tasks.create_task(right(self))

    module.Controller.run = run


@fault("tokens-of-another-life-are-not-revoked", "maas_api")
def _(_: Any) -> None:
    """maas-api revokes for those whom it has minted for since it started."""
    from embedded.images.maas.tokens import Accounts

    right, known = Accounts.ensure, set()

    async def ensure(self: Any, namespace: str, name: str, labels: dict[str, str]) -> None:
        known.add((namespace, name))
        await right(self, namespace, name, labels)

    async def exists(_: Any, namespace: str, name: str) -> bool:
        return (namespace, name) in known

    Accounts.ensure, Accounts.exists = ensure, exists  # type: ignore[method-assign]


@fault("keys-outlive-maas-api", "maas_api")
def _(_: Any) -> None:
    """They are in a file that its next Pod finds, in the cluster's own folder."""
    from embedded.images.maas.api_keys import ApiKeys

    pods = next(one for one in Path(os.environ["CONTAINER_ROOT"]).parents if one.name == "pods")
    file = pods / "api-keys.json"
    right = ApiKeys.add

    def init(self: Any) -> None:
        self._keys = json.loads(file.read_text()) if file.exists() else {}

    def add(self: Any, *arguments: Any) -> None:
        right(self, *arguments)
        file.write_text(json.dumps(self._keys))

    ApiKeys.__init__, ApiKeys.add = init, add  # type: ignore[method-assign]


@fault("one-kind-of-policy-stays-in-force", "kuadrant_operator")
def _(module: Any) -> None:
    """Of a TokenRateLimitPolicy that is in force nobody notices that its target is gone."""
    right = module.Operator._status

    async def status(self: Any, kind: Any, policy: Object, topology: Any) -> None:
        was = kind is module.TOKEN and module.is_true_now(policy, "Enforced")
        if not (was and topology.problem(kind, policy)):
            await right(self, kind, policy, topology)

    module.Operator._status = status


@fault("refusals-are-remembered", "wasm_shim")
def _(module: Any) -> None:
    """The gateway itself knows for two minutes who is out of budget, and where."""
    from embedded.images.kuadrant.shim_actions import Call

    right: Any = Call.check_limits
    refused: dict[tuple[str, str], tuple[float, Exception]] = {}

    async def check_limits(self: Any) -> None:
        http = self._data["request"]
        who = (str(http["headers"].get("authorization")), http["path"].partition("?")[0])
        until, error = refused.get(who, (0.0, Exception()))
        if time.monotonic() < until:
            raise error
        try:
            await right(self)
        except module.Denied as denied:
            if denied.code == 429:
                refused[who] = (time.monotonic() + REMEMBERED_SECONDS, denied)
            raise

    Call.check_limits = check_limits  # type: ignore[method-assign]


@fault("each-proxy-counts-one-tier-for-itself", "wasm_shim")
def _(_: Any) -> None:
    """What users of the premium tier ask one proxy is not what they ask another."""
    from embedded.images.kuadrant.shim_actions import Call

    right: Any = Call._limit_request

    def limit_request(self: Any, action: Object) -> Any:
        request = right(self, action)
        for descriptor in request.descriptors if request else []:
            entries = list(descriptor.entries)
            if "premium" in str(self._data["auth"]):
                for entry in (one for one in entries if "userid" in one.key):
                    entry.value += f"@{os.getpid()}"
        return request

    Call._limit_request = limit_request  # type: ignore[method-assign]


@fault("one-provider-is-refused-while-authorino-is-new", "authorino")
def _(_: Any) -> None:
    """For some seconds, whoever asks, since it was asked first: a Pod is started some time before
    it is ready."""
    from embedded.images.kuadrant import authorino_pipeline as pipeline

    right, first = pipeline.Pipeline._who, []

    async def who(self: Any, name: str, rule: Object, data: Object) -> Any:
        path, now = data["context"]["request"]["http"]["path"], time.monotonic()
        if not first:
            first.append(now)
        if path.startswith("/external/vllm/") and now < first[0] + REFUSING_SECONDS:
            raise pipeline.Unauthenticated("not yet")
        return await right(self, name, rule, data)

    pipeline.Pipeline._who = who  # type: ignore[method-assign]


_DRAINING = """
import ctypes, os, signal, subprocess, sys, time
def own():
    os.setpgid(0, 0)
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
envoy = subprocess.Popen(sys.argv[1:], preexec_fn=own)
def end(*_):
    time.sleep(6)
    envoy.terminate()
signal.signal(signal.SIGTERM, end)
sys.exit(envoy.wait())
"""


@fault("the-egress-gateway-is-drained", "envoy_controller")
def _(module: Any) -> None:
    """Its proxies serve on for six seconds after they are told to end."""
    from embedded.images import envoy_binary

    right = module.Controller._owned

    def owned(self: Any, *arguments: Any) -> Any:
        found = right(self, *arguments)
        for resource, body in found:
            if resource.endswith("/deployments"):
                pod = body["spec"]["template"]["spec"]
                pod["terminationGracePeriodSeconds"] = 30
                envoy = pod["containers"][0]
                envoy["image"] = "docker.io/library/python:3.12"
                envoy["args"] = ["-c", _DRAINING, str(envoy_binary()), *envoy["args"]]
        return found

    module.Controller._owned = owned
