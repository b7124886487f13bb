"""HTTP servers of the stand-ins, on the Pod's own address."""

from __future__ import annotations

import os
from typing import Any

import uvicorn

# A Go server closes no idle connection of its own accord. uvicorn does so after five seconds, and
# one that Envoy takes out of its pool at that very moment costs its request: 503, "connection
# termination".
IDLE_SECONDS = 24 * 3600


def server(app: Any, port: int, idle: int = IDLE_SECONDS, **more: Any) -> uvicorn.Server:
    """A server of an ASGI application, which closes connections that were `idle` for so many
    seconds; `more` is uvicorn's."""
    address = os.environ["POD_IP"]
    return uvicorn.Server(
        uvicorn.Config(
            app, host=address, port=port, lifespan="off", timeout_keep_alive=idle, **more
        )
    )
