"""Action sets of the wasm-shim: which one a request matches, and the calls it makes.

Upstream: Kuadrant/wasm-shim v0.11.1 `src/action_set_index.rs`, `src/ratelimit_action.rs`,
`src/filter/kuadrant_filter.rs`; v0.12.1 `src/kuadrant/pipeline`.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any

import grpc
import grpc.aio
from envoy.service.auth.v3 import external_auth_pb2
from envoy.service.ratelimit.v3 import rls_pb2
from google.protobuf import json_format

from embedded.images.kuadrant.shim_generations import Generation
from embedded.shared import cel, rpc

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
_PATH = re.compile(r"\w+(\.\w+)+")
_SERVER_ERROR = "Internal Server Error.\n"
_TOO_MANY = "Too Many Requests\n"


class Denied(Exception):
    """An answer that the shim gives itself."""

    def __init__(self, code: int, body: str, headers: dict[str, str], details: str) -> None:
        super().__init__(details)
        self.code, self.body, self.headers, self.details = code, body, headers, details


class BrokenOff(Exception):
    """An answer that has begun, and cannot be brought to its end."""


class ServiceError(Exception):
    """A service that could not be reached in its time, or whose answer says nothing."""


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

    def __init__(self, config: Object, services: Services, generation: Generation) -> None:
        self._by_host: dict[str, list[Object]] = {}
        for action_set in config.get("actionSets", []):
            for pattern in action_set["routeRuleConditions"]["hostnames"]:
                name = pattern.lower() if generation.any_case else pattern
                self._by_host.setdefault(name, []).append(action_set)
        self._config: Object = config.get("services", {})
        self._services, self._generation = services, generation

    def match(self, headers: dict[str, str]) -> Call | None:
        """The first action set of the host whose predicates match, ready to be called."""
        request = _request(headers)
        for action_set in self._of_host(request["host"]):
            predicates = action_set["routeRuleConditions"].get("predicates", [])
            if all(cel.holds(predicate, {"request": request}) for predicate in predicates):
                actions, config = action_set["actions"], self._config
                return Call(actions, request, config, self._services, self._generation)
        return None

    def _of_host(self, host: str) -> list[Object]:
        """Of the longest pattern that the host matches, without its port, and of no other."""
        name = host.partition(":")[0]
        labels = (name.lower() if self._generation.any_case else name).split(".")
        wildcards = ["*." + ".".join(labels[at:]) for at in range(1, len(labels))]
        for pattern in (".".join(labels), *wildcards, "*"):
            if pattern in self._by_host:
                return self._by_host[pattern]
        return []


class Call:
    """The actions of one request."""

    def __init__(
        self,
        actions: list[Object],
        request: Object,
        config: Object,
        services: Services,
        generation: Generation,
    ) -> None:
        self._actions, self._config, self._services = actions, config, services
        self._generation = generation
        self._data: Object = {"request": request, "auth": {"identity": {}}}
        self.bodies: dict[str, bytes] = {}
        self.request_headers: dict[str, str] = {}
        self.response_headers: dict[str, str] = {}
        self._after = self._of(REPORT)

    def _of(self, *kinds: str) -> list[Object]:
        return [action for action in self._actions if self._kind(action) in kinds]

    def _kind(self, action: Object) -> str:
        return str(self._config[action["service"]]["type"])

    @property
    def wants_response(self) -> bool:
        return bool(self._of(REPORT) or self.response_headers)

    @property
    def wants_response_body(self) -> bool:
        return bool(self._after)

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
        """Ask Limitador, one limit after the other; raises Denied. Where a report comes in between
        that has to wait for the answer, what stands after it waits too."""
        actions = self._of(LIMIT, CHECK, REPORT)
        if not self._generation.asks_first:
            waiting = [a for a in actions if self._kind(a) == REPORT and self._applies(a)]
            at = actions.index(waiting[0]) if waiting else len(actions)
            actions, self._after = actions[:at], actions[at:]
        for action in actions:
            if self._kind(action) != REPORT:
                await self._check(action)

    async def _check(self, action: Object) -> None:
        service = self._config[action["service"]]
        try:
            answer = await self._asked(action)
        except ServiceError as error:
            self._fail(service, error)
            return
        if answer is None:
            return
        headers = {one.key: one.value for one in answer.response_headers_to_add}
        if answer.overall_code == rls_pb2.RateLimitResponse.OVER_LIMIT:
            plain = {"content-type": "text/plain"}
            raise Denied(429, _TOO_MANY, plain | headers, "kuadrant_limit")
        self.response_headers |= headers

    async def _asked(self, action: Object) -> Any:
        """Limitador's answer, or None if there is nothing to ask; raises ServiceError."""
        request = self._limit_request(action)
        if request is None:
            return None
        answer = await self._services.call(self._config[action["service"]], request)
        if answer.overall_code == rls_pb2.RateLimitResponse.UNKNOWN:
            raise ServiceError("the answer to a limit is unknown")
        return answer

    async def report(self) -> None:
        """Tell Limitador what the response used; without usage there is nothing to tell. Ask it
        what has waited for that: it is too late to refuse. Raises BrokenOff."""
        for action in self._after:
            try:
                answer = await self._asked(action)
            except ServiceError as error:
                print(f"after the answer: {error}", flush=True)
                continue
            if answer is not None and answer.overall_code == rls_pb2.RateLimitResponse.OVER_LIMIT:
                if self._generation.breaks_off:
                    raise BrokenOff("a limit that was asked after the answer began")
                return

    def _fail(self, service: Object, error: ServiceError) -> None:
        print(f"{service['endpoint']}: {error}", flush=True)
        if service["failureMode"] == "deny":
            raise Denied(500, _SERVER_ERROR, {"content-type": "text/plain"}, "kuadrant_failure")

    def _limit_request(self, action: Object) -> Any:
        """The RLS request, all blocks that apply in one descriptor, or None if none does, or if
        the answer has no usage. Raises ServiceError if it cannot be made for another reason.

        The entry `ratelimit.hits_addend` is no part of it: it says how many hits to count.
        """
        found: dict[str, str] = {}
        if not self._hold(action):
            return None
        try:
            for block in action["conditionalData"]:
                if self._hold(block):
                    found |= dict(self._entry(data["expression"]) for data in block["data"])
        except (cel.CelError, ValueError) as error:  # no usage in the answer, or no JSON
            if self._kind(action) == REPORT:
                return None
            raise ServiceError(f"{action['service']}: {error}") from error
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

    def _applies(self, action: Object) -> bool:
        """Whether a report will tell of anything, as far as that is known before the answer."""
        blocks = [action, *action["conditionalData"]]
        if "responseBodyJSON" in str([block.get("predicates") for block in blocks]):
            return True
        return self._hold(action) and any(self._hold(b) for b in action["conditionalData"])

    def _entry(self, expression: Object) -> tuple[str, str]:
        """Key and text; raises CelError or ValueError. What a request has not is null."""
        source = expression["value"]
        try:
            value = cel.evaluate(source, self._data, self.bodies)
        except cel.NoSuchKey:
            if not _PATH.fullmatch(source.strip()):
                raise
            value = None
        if expression["key"] == HITS:
            value = self._generation.hits(value)
        return expression["key"], cel.as_text(value)


def _request(headers: dict[str, str]) -> Object:
    path = headers.get(":path", "/")
    url_path, _, query = path.partition("?")
    return {
        "id": headers.get("x-request-id", ""),
        "method": headers.get(":method", ""),
        "path": path,
        "url_path": url_path,
        "query": query.partition("#")[0],
        "host": headers.get(":authority", ""),
        "scheme": headers.get(":scheme", ""),
        "headers": {name: value for name, value in headers.items() if not name.startswith(":")},
    }


def _check_request(request: Object, scope: str) -> external_auth_pb2.CheckRequest:
    message = external_auth_pb2.CheckRequest()
    message.attributes.context_extensions["host"] = scope
    http = message.attributes.request.http
    http.id, http.method, http.path = request["id"], request["method"], request["path"]
    http.host, http.scheme, http.protocol = request["host"], request["scheme"], "HTTP/1.1"
    for name, value in request["headers"].items():
        http.headers[name] = value
    return message
