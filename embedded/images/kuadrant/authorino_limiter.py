"""How often Authorino asks the API server: client-go's rate limit, which it leaves at its default.

Each rule that asks for reviews has a client of its own (`pkg/evaluators` of 0.22:
`identity/kubernetes_auth.go`, `authorization/kubernetes_authz.go`), so five questions a second, and
ten at once. Who would have to wait longer than his request has left is refused at once
(Kuadrant/authorino issue 568). Later releases have flags to raise it, here `--reviews-per-second`.
"""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections.abc import Callable

REVIEWS_PER_SECOND = 5.0  # and twice as many at once
_REFUSAL = (
    "client rate limiter Wait returned an error: rate: Wait(n=1) would exceed context deadline"
)
# When, by `time.monotonic()`, whoever asked Authorino has stopped waiting; None: never.
deadline: contextvars.ContextVar[float | None] = contextvars.ContextVar("deadline", default=None)


class Hurried(Exception):
    """A question that would come too late."""


class Limiter:
    """A bucket of twice `rate` that fills by `rate` a second; `clock` gives seconds."""

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._room, self._clock = rate, 2 * rate, clock
        self._left, self._seen = self._room, clock()

    async def wait(self) -> None:
        """Until it is this question's turn; raises Hurried when that would be too late."""
        now = self._clock()
        self._left = min(self._room, self._left + (now - self._seen) * self._rate)
        self._seen = now
        pause = max(0.0, (1 - self._left) / self._rate)
        ends = deadline.get()
        if ends is not None and now + pause > ends:
            raise Hurried(_REFUSAL)
        self._left -= 1
        await asyncio.sleep(pause)
