"""Holes in what is counted, at one operation or for one way to report it."""

from __future__ import annotations

import json
from typing import Any

from tests.mutants.faults import fault


@fault("one-operation-of-one-bridge-is-free", "wasm_shim")
def _(_: Any) -> None:
    """Nobody tells Limitador what embeddings by one provider used."""
    from embedded.images.kuadrant import shim_actions

    right = shim_actions.Call.report

    async def report(self: Any) -> None:
        if self._data["request"]["path"] != "/external/anthropic/v1/embeddings":
            await right(self)

    shim_actions.Call.report = report  # type: ignore[method-assign]


@fault("parts-of-the-usage-counted", "wasm_shim")
def _(_: Any) -> None:
    """Where an answer says how much was prompt and how much was completion, their sum counts."""
    from embedded.images.kuadrant import shim_actions

    right = shim_actions.Call.report

    async def report(self: Any) -> None:
        try:
            body = json.loads(self.bodies["response"])
            usage = body["usage"]
            usage["total_tokens"] = usage["prompt_tokens"] + usage["completion_tokens"]
        except (ValueError, KeyError, TypeError):
            pass
        else:
            self.bodies["response"] = json.dumps(body).encode()
        await right(self)

    shim_actions.Call.report = report  # type: ignore[method-assign]
