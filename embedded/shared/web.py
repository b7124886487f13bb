"""HTTP servers: the API server's, and those of the stand-ins on the Pod's own address."""

from __future__ import annotations

import asyncio
import contextlib
import os
from types import FrameType
from typing import Any

import uvicorn

# asyncio's own loop, also where uvloop is there, which uvicorn would take: on uvloop 0.23 an API
# server died twice in the midst of a run, of memory freed twice, of a size that its transports have
# (MagicStack/uvloop issue 706 is open).
LOOP = "asyncio"
# A Go server closes no idle connection of its own accord. uvicorn does so after five seconds, and
# one that Envoy takes out of its pool at that very moment costs its request: 503, "connection
# termination".
IDLE_SECONDS = 24 * 3600


class Server(uvicorn.Server):
    """uvicorn's, which wakes ten times a second to see whether it should end, and so would be most
    of what an idle cluster does. This one is told, and wakes once a second for the Date header."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._ending = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def main_loop(self) -> None:
        """Until it should end."""
        self._loop = asyncio.get_running_loop()
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), 1)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal's handler."""
        super().handle_exit(sig, frame)
        if self._loop:
            self._loop.call_soon_threadsafe(self._ending.set)

    def end(self) -> None:
        """End it; idle clients are not waited for: they need not say good-bye."""
        self.should_exit = self.force_exit = True
        self._ending.set()


def server(app: Any, port: int, idle: int = IDLE_SECONDS, address: str = "", **more: Any) -> Server:
    """A server of an ASGI application, on the Pod's own address if no other is said, which closes
    connections that were `idle` for so many seconds; `more` is uvicorn's."""
    host = address or os.environ["POD_IP"]
    config = uvicorn.Config(
        app, host=host, port=port, loop=LOOP, lifespan="off", timeout_keep_alive=idle, **more
    )
    return Server(config)
