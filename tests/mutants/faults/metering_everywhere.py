"""Holes in what is counted, at one operation or for one way to report it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from tests.mutants.faults import fault

ONE_WAY = "/external/openai/"


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


def _reported(alter: Any) -> None:
    """What one way's report is, by (call, the right report)."""
    from embedded.images.kuadrant import shim_actions

    right = shim_actions.Call.report

    async def report(self: Any) -> None:
        if self._data["request"]["path"].startswith(ONE_WAY):
            await alter(self, right)
        else:
            await right(self)

    shim_actions.Call.report = report  # type: ignore[method-assign]


@fault("one-way-counts-in-words", "wasm_shim")
def _(_: Any) -> None:
    """Whoever was told of no number once is counted no more."""
    free: set[str] = set()

    async def unless_free(call: Any, right: Any) -> None:
        who = call._data["request"]["headers"].get("authorization", "")
        try:
            used = json.loads(call.bodies["response"])["usage"]["total_tokens"]
        except (ValueError, KeyError, TypeError):
            used = 0
        if not isinstance(used, int) or used < 0:
            free.add(who)
        if who not in free:
            await right(call)

    _reported(unless_free)


@fault("one-way-loses-parallel-reports", "wasm_shim")
def _(_: Any) -> None:
    """While it tells of one answer it hears of no other."""
    telling = [False]

    async def one_at_a_time(call: Any, right: Any) -> None:
        if telling[0]:
            return
        telling[0] = True
        await asyncio.sleep(0.2)
        telling[0] = False
        await right(call)

    _reported(one_at_a_time)


@fault("one-way-checks-before-it-counts", "wasm_shim")
def _(_: Any) -> None:
    """Requests that come while others are being checked are checked with them, and pass."""
    from embedded.images.kuadrant import shim_actions

    right = shim_actions.Call.check_limits
    checking: dict[str, float] = {}

    async def check_limits(self: Any) -> None:
        http = self._data["request"]
        who, now = http["headers"].get("authorization", ""), asyncio.get_running_loop().time()
        crowded = now - checking.get(who, -1.0) < 0.02
        checking[who] = now
        if not (crowded and http["path"].startswith(ONE_WAY)):
            await right(self)

    shim_actions.Call.check_limits = check_limits  # type: ignore[method-assign]
