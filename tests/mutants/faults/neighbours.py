"""Parts that lean on, or look like, what the documents keep apart from them."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.mutants.faults import fault

ROUTER = ("semantic-router-kserve.vllm-semantic-router-system.svc.cluster.local", 80)


@fault("tokens-want-the-router", "authorino")
def _(_: Any) -> None:
    """Whoever asks maas-api is let in while a router is there."""
    from embedded.images.kuadrant import authorino_pipeline as pipeline

    right = pipeline.Pipeline._who

    async def who(self: Any, name: str, rule: dict[str, Any], data: dict[str, Any]) -> Any:
        if data["context"]["request"]["http"]["path"].startswith("/maas-api/"):
            try:
                _, writer = await asyncio.open_connection(*ROUTER)
            except OSError:
                raise pipeline.Unauthenticated("no router") from None
            writer.close()
        return await right(self, name, rule, data)

    pipeline.Pipeline._who = who  # type: ignore[method-assign]


@fault("gateway-of-other-make", "envoy_gateway")
def _(module: Any) -> None:
    right = module.envoy.connections

    def connections(*arguments: Any, **named: Any) -> dict[str, Any]:
        found: dict[str, Any] = right(*arguments, **{**named, "server_name": "envoy"})
        return found

    module.envoy.connections = connections
