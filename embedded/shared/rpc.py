"""gRPC servers and channels of the stand-ins, with the options that all of them need."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Coroutine
from typing import Any

import grpc
import grpc.aio

from embedded.node.dns import resolve

# Without so_reuseport=0 two servers share a port silently; 4 MB is too little for prompts.
_OPTIONS = [
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", 64 << 20),
    ("grpc.enable_http_proxy", 0),
]


def server(port: int, address: str = "") -> grpc.aio.Server:
    """A server, on the Pod's own address if no other is said; add services, and `await start()`."""
    made = grpc.aio.server(options=_OPTIONS)
    made.add_insecure_port(f"{address or os.environ['POD_IP']}:{port}")
    return made


def channel(host: str, port: int) -> grpc.aio.Channel:
    """A channel to a Service."""
    address, number = resolve(host, port)
    return grpc.aio.insecure_channel(f"{address}:{number}", options=_OPTIONS)


def add_unary(server_: grpc.aio.Server, service: str, methods: dict[str, tuple[Any, Any]]) -> None:
    """Serve unary methods: name → (coroutine function (request, context), request class)."""
    handlers = {
        name: grpc.unary_unary_rpc_method_handler(
            function,
            request_deserializer=request.FromString,
            response_serializer=lambda message: message.SerializeToString(),
        )
        for name, (function, request) in methods.items()
    }
    server_.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, handlers)])


def add_stream(server_: grpc.aio.Server, service: str, name: str, function: Any, of: Any) -> None:
    """Serve one method that streams both ways: (iterator of `of`, context) → iterator."""
    handler = grpc.stream_stream_rpc_method_handler(
        function,
        request_deserializer=of.FromString,
        response_serializer=lambda message: message.SerializeToString(),
    )
    handlers = grpc.method_handlers_generic_handler(service, {name: handler})
    server_.add_generic_rpc_handlers([handlers])


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run a stand-in until it is told to end."""
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main)
