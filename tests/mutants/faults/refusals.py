"""Refusals that say more, or otherwise, than the components' own."""

from __future__ import annotations

import os
from typing import Any

from tests.mutants.faults import fault

Object = dict[str, Any]
_ERROR = {
    "message": "%RESPONSE_CODE% %RESPONSE_CODE_DETAILS%",
    "type": "gateway_error",
    "code": "%RESPONSE_CODE%",
}


@fault("refusals-are-openais-errors", "envoy_gateway")
def _(_: Any) -> None:
    """The gateway's Envoy writes its own answers, and its filters', in JSON."""
    from embedded.gatewayapi import envoy

    right = envoy.connections
    own = {"body_format": {"json_format": {"error": _ERROR}}}

    def connections(*arguments: Any, **more: Any) -> Object:
        return right(*arguments, local_reply_config=own, **more)

    envoy.connections = connections


def _come_back_in(seconds: str, path: str) -> None:
    """What is refused below `path` says so in Retry-After."""
    from embedded.images.kuadrant import shim_actions

    right = shim_actions.Call._check

    async def check(self: Any, action: Object) -> None:
        try:
            await right(self, action)
        except shim_actions.Denied as denied:
            if self._data["request"]["path"].startswith(path):
                denied.headers["retry-after"] = seconds
            raise

    shim_actions.Call._check = check  # type: ignore[method-assign]


@fault("refusals-say-when-to-come-back", "wasm_shim")
def _(_: Any) -> None:
    _come_back_in("60", "/")


@fault("one-route-says-to-come-back-at-once", "wasm_shim")
def _(_: Any) -> None:
    _come_back_in("0", "/external/anthropic/")


@fault("one-bridges-refusals-name-a-pod", "authorino")
def _(_: Any) -> None:
    from embedded.images.kuadrant import authorino_pipeline as pipeline

    right = pipeline.Pipeline._who

    async def who(self: Any, name: str, rule: Object, data: Object) -> Any:
        try:
            return await right(self, name, rule, data)
        except pipeline.Unauthenticated as error:
            if not data["context"]["request"]["http"]["path"].startswith("/external/vllm/"):
                raise
            address = os.environ["POD_IP"]
            raise pipeline.Unauthenticated(f"{error}, says {address}") from None

    pipeline.Pipeline._who = who  # type: ignore[method-assign]
