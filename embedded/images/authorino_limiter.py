"""How often Authorino asks the API server: client-go's rate limit, which it leaves at its default.

Each rule that asks for reviews has a client of its own (`pkg/evaluators` of 0.22:
`identity/kubernetes_auth.go`, `authorization/kubernetes_authz.go`), so five questions a second, and
ten at once. Who would have to wait longer than his request has left is refused at once
(Kuadrant/authorino issue 568; releases after 0.22 have 20 and 30, and flags for it).
"""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections.abc import Callable

QUESTIONS_PER_SECOND, AT_ONCE = 5.0, 10
_REFUSAL = (
    "client rate limiter Wait returned an error: rate: Wait(n=1) would exceed context deadline"
)
# When, by `time.monotonic()`, whoever asked Authorino has stopped waiting; None: never.
deadline: contextvars.ContextVar[float | None] = contextvars.ContextVar("deadline", default=None)


class Hurried(Exception):
    """A question that would come too late."""


class Limiter:
    """A bucket of `AT_ONCE` that fills by `QUESTIONS_PER_SECOND`; `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._left, self._seen = clock, float(AT_ONCE), clock()

    async def wait(self) -> None:
        """Until it is this question's turn; raises Hurried when that would be too late."""
        now = self._clock()
        filled = (now - self._seen) * QUESTIONS_PER_SECOND
        self._left, self._seen = min(float(AT_ONCE), self._left + filled), now
        pause = max(0.0, (1 - self._left) / QUESTIONS_PER_SECOND)
        ends = deadline.get()
        if ends is not None and now + pause > ends:
            raise Hurried(_REFUSAL)
        self._left -= 1
        await asyncio.sleep(pause)
