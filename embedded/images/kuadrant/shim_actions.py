"""Action sets of the wasm-shim: which one a request matches, and the calls it makes."""

from __future__ import annotations

import asyncio
import re
from typing import Any
from urllib.parse import urlsplit

import grpc
import grpc.aio
from envoy.service.auth.v3 import external_auth_pb2
from envoy.service.ratelimit.v3 import rls_pb2
from google.protobuf import json_format

from embedded import cel, rpc

Object = dict[str, Any]
AUTH, LIMIT, CHECK, REPORT = "auth", "ratelimit", "ratelimit-check", "ratelimit-report"
_METHODS = {
    AUTH: ("/envoy.service.auth.v3.Authorization/Check", external_auth_pb2.CheckResponse),
    LIMIT: (
        "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit",
        rls_pb2.RateLimitResponse,
    ),
    CHECK: (
        "/kuadrant.service.ratelimit.v1.RateLimitService/CheckRateLimit",
        rls_pb2.RateLimitResponse,
    ),
    REPORT: ("/kuadrant.service.ratelimit.v1.RateLimitService/Report", rls_pb2.RateLimitResponse),
}
_CLOSING_SECONDS = 10.0
HITS = "ratelimit.hits_addend"
_SERVER_ERROR = "Internal Server Error.\n"
_TOO_MANY = "Too Many Requests\n"


class Denied(Exception):
    """An answer that the shim gives itself."""

    def __init__(self, code: int, body: str, headers: dict[str, str], details: str) -> None:
        super().__init__(details)
        self.code, self.body, self.headers, self.details = code, body, headers, details


class ServiceError(Exception):
    """A service that could not be reached in its time."""


class Services:
    """Calls services by their configuration; one channel for each endpoint.

    An endpoint is the name of an Envoy cluster, which `clusters` knows as `host:port`. After a call
    that did not come through its name is looked up anew: a headless Service, as Limitador's is, has
    the address of its Pod.
    """

    def __init__(self) -> None:
        self.clusters: dict[str, str] = {}
        self._channels: dict[str, grpc.aio.Channel] = {}
        self._closing: set[asyncio.Task[None]] = set()

    async def call(self, service: Object, request: Any) -> Any:
        """Raises ServiceError after the service's timeout or any gRPC error."""
        method, response = _METHODS[service["type"]]
        named: str = service["endpoint"]
        endpoint = self.clusters.get(named, named)
        try:
            if endpoint not in self._channels:
                host, _, port = endpoint.rpartition(":")
                if not host:
                    raise ServiceError(f"no Envoy cluster is named {endpoint}")
                self._channels[endpoint] = rpc.channel(host, int(port))
            call = self._channels[endpoint].unary_unary(
                method,
                request_serializer=lambda message: message.SerializeToString(),
                response_deserializer=response.FromString,
            )
            return await call(request, timeout=seconds(service["timeout"]))
        except (grpc.RpcError, OSError) as error:
            self._forget(endpoint)
            raise ServiceError(str(error)) from error

    def _forget(self, endpoint: str) -> None:
        """Calls that are under way on its channel have their time."""
        if channel := self._channels.pop(endpoint, None):
            closing = asyncio.create_task(channel.close(_CLOSING_SECONDS))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)


def seconds(duration: str) -> float:
    """`200ms`, `1s` or `1m` in seconds."""
    found = re.fullmatch(r"([\d.]+)(ms|s|m)", duration)
    if not found:
        raise ValueError(f"not a duration: {duration!r}")
    return float(found[1]) * {"ms": 0.001, "s": 1.0, "m": 60.0}[found[2]]


class ActionSets:
    """The configuration, in the order in which requests are matched."""

    def __init__(self, config: Object, services: Services) -> None:
        self._sets: list[Object] = config.get("actionSets", [])
        self._config: Object = config.get("services", {})
        self._services = services

    def match(self, headers: dict[str, str]) -> Call | None:
        """The first action set whose host and predicates match, ready to be called."""
        request = _request(headers)
        for action_set in self._sets:
            rule = action_set["routeRuleConditions"]
            if _host_matches(rule["hostnames"], request["host"]) and all(
                cel.holds(predicate, {"request": request})
                for predicate in rule.get("predicates", [])
            ):
                return Call(action_set["actions"], request, self._config, self._services)
        return None


class Call:
    """The actions of one request."""

    def __init__(
        self, actions: list[Object], request: Object, config: Object, services: Services
    ) -> None:
        self._actions, self._config, self._services = actions, config, services
        self._data: Object = {"request": request, "auth": {"identity": {}}}
        self.bodies: dict[str, bytes] = {}
        self.request_headers: dict[str, str] = {}

    def _of(self, *kinds: str) -> list[Object]:
        return [a for a in self._actions if self._config[a["service"]]["type"] in kinds]

    @property
    def wants_response(self) -> bool:
        return bool(self._of(REPORT))

    @property
    def needs_request_body(self) -> bool:
        return "requestBodyJSON" in str(self._of(LIMIT, CHECK, REPORT))

    async def authorize(self) -> None:
        """Ask Authorino; raises Denied. Its metadata becomes `auth` for what follows."""
        for action in self._of(AUTH):
            service = self._config[action["service"]]
            request = _check_request(self._data["request"], action["scope"])
            try:
                answer = await self._services.call(service, request)
            except ServiceError as error:
                self._fail(service, error)
                continue
            if answer.HasField("denied_response"):
                denied = answer.denied_response
                headers = {o.header.key: o.header.value for o in denied.headers}
                raise Denied(denied.status.code or 403, denied.body, headers, "kuadrant_auth")
            for option in answer.ok_response.headers:
                self.request_headers[option.header.key] = option.header.value
            self._data["auth"] |= json_format.MessageToDict(answer.dynamic_metadata)

    async def check_limits(self) -> None:
        """Ask Limitador, request limits before token limits; raises Denied."""
        for action in self._of(LIMIT, CHECK):
            service = self._config[action["service"]]
            request = self._limit_request(action)
            if request is None:
                continue
            try:
                answer = await self._services.call(service, request)
            except ServiceError as error:
                self._fail(service, error)
                continue
            if answer.overall_code == rls_pb2.RateLimitResponse.OVER_LIMIT:
                raise Denied(429, _TOO_MANY, {"content-type": "text/plain"}, "kuadrant_limit")

    async def report(self) -> None:
        """Tell Limitador what the response used; without usage there is nothing to tell."""
        for action in self._of(REPORT):
            request = self._limit_request(action)
            if request is not None and request.hits_addend > 0:
                try:
                    await self._services.call(self._config[action["service"]], request)
                except ServiceError as error:
                    print(f"report failed: {error}", flush=True)

    def _fail(self, service: Object, error: ServiceError) -> None:
        print(f"{service['endpoint']}: {error}", flush=True)
        if service["failureMode"] == "deny":
            raise Denied(500, _SERVER_ERROR, {"content-type": "text/plain"}, "kuadrant_failure")

    def _limit_request(self, action: Object) -> Any:
        """The RLS request, all blocks that apply in one descriptor, or None if none does.

        The entry `ratelimit.hits_addend` is no part of it: it says how many hits to count.
        """
        found: dict[str, str] = {}
        if not self._hold(action):
            return None
        for block in action["conditionalData"]:
            if not self._hold(block):
                continue
            try:
                found |= dict(self._entry(data["expression"]) for data in block["data"])
            except (cel.CelError, ValueError):  # no usage in the answer, or no JSON
                continue
        hits = found.pop(HITS, "1")
        if not found or not hits.isdecimal():
            return None
        request = rls_pb2.RateLimitRequest(domain=action["scope"], hits_addend=int(hits))
        descriptor = request.descriptors.add()
        for key, value in found.items():
            entry = descriptor.entries.add()
            entry.key, entry.value = key, value
        return request

    def _hold(self, guarded: Object) -> bool:
        predicates = guarded.get("predicates", [])
        return all(cel.holds(p, self._data, self.bodies) for p in predicates)

    def _entry(self, expression: Object) -> tuple[str, str]:
        value = cel.evaluate(expression["value"], self._data, self.bodies)
        if expression["key"] == HITS and isinstance(value, float):
            value = int(value)
        return expression["key"], cel.as_text(value)


def _request(headers: dict[str, str]) -> Object:
    path = headers.get(":path", "/")
    parts = urlsplit(path)
    return {
        "id": headers.get("x-request-id", ""),
        "method": headers.get(":method", ""),
        "path": path,
        "url_path": parts.path,
        "query": parts.query,
        "host": headers.get(":authority", ""),
        "scheme": headers.get(":scheme", ""),
        "headers": {name: value for name, value in headers.items() if not name.startswith(":")},
    }


def _host_matches(patterns: list[str], host: str) -> bool:
    name = host.rsplit(":", 1)[0]
    return any(
        pattern in ("*", name) or (pattern.startswith("*.") and name.endswith(pattern[1:]))
        for pattern in patterns
    )


def _check_request(request: Object, scope: str) -> external_auth_pb2.CheckRequest:
    message = external_auth_pb2.CheckRequest()
    message.attributes.context_extensions["host"] = scope
    http = message.attributes.request.http
    http.id, http.method, http.path = request["id"], request["method"], request["path"]
    http.host, http.scheme, http.protocol = request["host"], request["scheme"], "HTTP/1.1"
    for name, value in request["headers"].items():
        http.headers[name] = value
    return message
