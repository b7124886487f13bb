"""Authorino: decides about a request by the AuthConfig of its host.

Stands for quay.io/kuadrant/authorino. Upstream: Kuadrant/authorino `pkg/service/auth.go`
(gRPC, status codes, headers), `pkg/service/auth_pipeline.go` (phases),
`pkg/evaluators/{identity,metadata,authorization,response}`.
Identity: kubernetesTokenReview, anonymous, plain. Metadata: http. Authorization:
kubernetesSubjectAccessReview, patternMatching. Response: plain and json, as headers and
as dynamic metadata. Left out: JWT, OAuth2, X.509, API keys, OPA, SpiceDB, festival wristbands,
callbacks. An AuthConfig that uses them, or CEL that does not compile, is not Ready, and what was
in force for its host before stays so; without that, every request is denied.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import httpx
from envoy.config.core.v3 import base_pb2
from envoy.service.auth.v3 import attribute_context_pb2, external_auth_pb2
from envoy.type.v3 import http_status_pb2
from google.protobuf import json_format, struct_pb2
from google.rpc import status_pb2

from embedded.gatewayapi.status import condition
from embedded.images.kuadrant.authorino_limiter import REVIEWS_PER_SECOND, deadline
from embedded.images.kuadrant.authorino_pipeline import REASON, Denied, Pipeline, UnsupportedError
from embedded.shared import rpc
from embedded.shared.kube import Cache, Kube

AUTH_CONFIGS = "authorino.kuadrant.io/v1beta3/authconfigs"
PORT = 50051
_OK, _DENIED, _UNAUTHENTICATED, _NOT_FOUND = 0, 7, 16, 5
Object = dict[str, Any]


class Authorino:
    """AuthConfigs by host, and the Check call."""

    def __init__(self, kube: Kube, client: httpx.AsyncClient, reviews_per_second: float) -> None:
        self._kube, self._client, self._rate = kube, client, reviews_per_second
        self._cache = Cache(kube, [AUTH_CONFIGS])
        self._pipelines: dict[str, tuple[Object, Pipeline | None]] = {}

    async def run(self) -> None:
        await self._cache.run(self._reconcile)

    async def _reconcile(self) -> None:
        found: dict[str, tuple[Object, Pipeline | None]] = {}
        for config in self._cache.list(AUTH_CONFIGS):
            spec = config["spec"]
            before, pipeline = self._pipelines.get(spec["hosts"][0], ({}, None))
            problem = ""
            if pipeline is None or before != spec:
                try:
                    pipeline = Pipeline(spec, self._kube, self._client, self._rate)
                except UnsupportedError as error:
                    problem, spec = str(error), {**before, "hosts": spec["hosts"]}
            for host in spec["hosts"]:
                found[host] = (spec, pipeline)
            reason = "Reconciled" if not problem else "Unknown"
            ready = condition("Ready", not problem, reason, problem, config)
            status = {"conditions": [ready], "summary": {"ready": not problem}}
            self._pipelines = {**self._pipelines, **found}
            await self._kube.set_status(AUTH_CONFIGS, config, status)
        self._pipelines = found

    async def check(self, request: Any, context: Any) -> Any:
        """`envoy.service.auth.v3.Authorization/Check`."""
        left = context.time_remaining()
        deadline.set(None if left is None else time.monotonic() + left)
        attributes = request.attributes
        host = attributes.context_extensions.get("host") or attributes.request.http.host
        _, pipeline = self._pipelines.get(host, ({}, None))
        if pipeline is None:
            return _denied(_NOT_FOUND, 404, {REASON: "Service not found"})
        try:
            headers, metadata = await pipeline.evaluate(_authorization_json(attributes))
        except Denied as denied:
            code = _UNAUTHENTICATED if denied.code == 401 else _DENIED
            return _denied(code, denied.code, denied.headers)
        return external_auth_pb2.CheckResponse(
            status=status_pb2.Status(code=_OK),
            ok_response=external_auth_pb2.OkHttpResponse(headers=_options(headers)),
            dynamic_metadata=json_format.ParseDict(metadata, struct_pb2.Struct()),
        )


def _authorization_json(attributes: attribute_context_pb2.AttributeContext) -> Object:
    """The data that expressions and selectors see (docs/architecture.md, "Authorization JSON")."""
    http = attributes.request.http
    path, _, query = http.path.partition("?")
    request = {
        "id": http.id,
        "method": http.method,
        "headers": dict(http.headers),
        "path": http.path,
        "url_path": path,
        "query": query,
        "host": http.host,
        "scheme": http.scheme,
        "protocol": http.protocol,
        "body": http.body,
    }
    context = json_format.MessageToDict(attributes, preserving_proto_field_name=True)
    return {
        "request": request,
        "context": context,
        "source": context.get("source", {}),
        "destination": context.get("destination", {}),
        "metadata": context.get("metadata_context", {}),
    }


def _options(headers: dict[str, str]) -> list[Any]:
    return [
        base_pb2.HeaderValueOption(header=base_pb2.HeaderValue(key=key, value=value))
        for key, value in headers.items()
    ]


def _denied(code: int, http_status: int, headers: dict[str, str]) -> Any:
    denied = external_auth_pb2.DeniedHttpResponse(
        status=http_status_pb2.HttpStatus(code=http_status), headers=_options(headers)
    )
    reason = headers.get(REASON, "")
    return external_auth_pb2.CheckResponse(
        status=status_pb2.Status(code=code, message=reason), denied_response=denied
    )


async def _serve(reviews_per_second: float) -> None:
    from embedded.shared.dial import client

    async with client() as http_client:
        authorino = Authorino(Kube("authorino"), http_client, reviews_per_second)
        server = rpc.server(PORT)
        rpc.add_unary(
            server,
            "envoy.service.auth.v3.Authorization",
            {"Check": (authorino.check, external_auth_pb2.CheckRequest)},
        )
        await server.start()
        await authorino.run()


def main(argv: list[str]) -> None:
    """`--reviews-per-second 5`: how often each rule asks the API server."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--reviews-per-second", type=float, default=REVIEWS_PER_SECOND)
    rpc.run(_serve(parser.parse_args(argv).reviews_per_second))
