"""Envoy's ext_proc messages and their gRPC service, for the stand-ins that are such servers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import grpc.aio
from envoy.service.ext_proc.v3 import external_processor_pb2 as pb

from embedded.shared import rpc

SERVICE = "envoy.service.ext_proc.v3.ExternalProcessor"
Process = Callable[[AsyncIterator[pb.ProcessingRequest], Any], AsyncIterator[pb.ProcessingResponse]]


def add_to(server: grpc.aio.Server, process: Process) -> None:
    """Serve `process`: one call for each HTTP request."""
    rpc.add_stream(server, SERVICE, "Process", process, pb.ProcessingRequest)


def headers_of(message: pb.HttpHeaders) -> dict[str, str]:
    """Name → value, pseudo-headers such as `:path` included; of doubled names the last."""
    return {
        h.key: (h.raw_value or h.value.encode()).decode("latin-1") for h in message.headers.headers
    }


def common(
    headers: Mapping[str, str],
    body: bytes | None = None,
    added: Mapping[str, str] | None = None,
    **more: Any,
) -> pb.CommonResponse:
    """Headers to set, in place of what is there under their names, and a body if it changes;
    headers `added` come after what is there."""
    answer = pb.CommonResponse(**more)
    if body is not None:
        answer.body_mutation.body = body
    for name, value in headers.items():
        option = answer.header_mutation.set_headers.add()
        option.header.key, option.header.raw_value = name, value.encode()
        option.append_action = option.OVERWRITE_IF_EXISTS_OR_ADD
    for name, value in (added or {}).items():
        option = answer.header_mutation.set_headers.add()
        option.header.key, option.header.raw_value = name, value.encode()
        option.append.value = True  # Envoy's ext_proc looks at this, not at append_action
    return answer


def immediate(
    code: int, body: bytes, headers: Mapping[str, str], details: str = ""
) -> pb.ProcessingResponse:
    """An answer to the client in place of the upstream's."""
    answer = pb.ImmediateResponse(body=body, details=details)
    answer.status.code = code
    for name, value in headers.items():
        option = answer.headers.set_headers.add()
        option.header.key, option.header.raw_value = name, value.encode()
    return pb.ProcessingResponse(immediate_response=answer)
