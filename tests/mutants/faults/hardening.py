"""What makes the gateway believe too much."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.mutants.faults import every_route, fault

Object = dict[str, Any]


@fault("first-token-counts", "authorino")
def _(_: Any) -> None:
    """Of two Authorization headers, which arrive as one list, the first is believed."""
    from embedded.images.kuadrant import authorino_pipeline as pipeline

    right = pipeline._credential

    def credential(rule: Object, data: Object) -> str | None:
        found = right(rule, data)
        return found.partition(",")[0] if found else None

    pipeline._credential = credential


@fault("token-in-the-query", "authorino")
def _(_: Any) -> None:
    from urllib.parse import parse_qs, urlsplit

    from embedded.images.kuadrant import authorino_pipeline as pipeline

    right = pipeline._credential

    def credential(rule: Object, data: Object) -> str | None:
        path = data["context"]["request"]["http"]["path"]
        found = parse_qs(urlsplit(path).query).get("access_token", [None])
        return right(rule, data) or found[0]

    pipeline._credential = credential


@fault("tokens-unverified", "authorino")
def _(_: Any) -> None:
    """A token's claims are believed when the API server does not know it."""
    import jwt

    from embedded.images.kuadrant import authorino_pipeline as pipeline

    right = pipeline.Pipeline._who

    async def who(self: Any, name: str, rule: Object, data: Object) -> Any:
        try:
            return await right(self, name, rule, data)
        except pipeline.Unauthenticated:
            text = pipeline._credential(rule, data) or ""
            try:
                claims = jwt.decode(text, options={"verify_signature": False, "verify_nbf": False})
            except jwt.InvalidTokenError:
                raise pipeline.Unauthenticated("no token") from None
            groups = ["system:authenticated"]
            return {"authenticated": True, "user": {"username": claims["sub"], "groups": groups}}

    pipeline.Pipeline._who = who  # type: ignore[method-assign]


@fault("scheme-in-any-letters", "authorino")
def _(_: Any) -> None:
    from embedded.images.kuadrant import authorino_pipeline as pipeline

    right = pipeline._credential

    def credential(rule: Object, data: Object) -> str | None:
        request = data["request"]
        scheme, space, token = request["headers"].get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            headers = {**request["headers"], "authorization": f"Bearer{space}{token}"}
            data = {**data, "request": {**request, "headers": headers}}
        return right(rule, data)

    pipeline._credential = credential


def _with(**more: Any) -> None:
    """The proxies that face users, with more in their HTTP connection managers."""
    from embedded.gatewayapi import envoy

    right = envoy.filter_chain

    def filter_chain(*arguments: Any, **named: Any) -> Object:
        found = right(*arguments, **named)
        found["filters"][0]["typed_config"] |= more
        return found

    envoy.filter_chain = filter_chain


@fault("underscores-refused", "envoy_gateway")
def _(_: Any) -> None:
    _with(common_http_protocol_options={"headers_with_underscores_action": "REJECT_REQUEST"})


@fault("way-of-the-request-believed", "envoy_gateway")
def _(_: Any) -> None:
    """As if another proxy stood before the gateway."""
    _with(use_remote_address=False)


@fault("clients-steer-envoy", "envoy_gateway")
def _(_: Any) -> None:
    """Everybody asks from inside."""
    everywhere = {"address_prefix": "0.0.0.0", "prefix_len": 0}
    _with(internal_address_config={"cidr_ranges": [everywhere]})


@fault("short-headers-only", "envoy_gateway")
def _(_: Any) -> None:
    _with(max_request_headers_kb=4)


@fault("chunks-beside-a-length", "envoy_gateway")
def _(_: Any) -> None:
    """Envoy takes a request with both, as its documentation warns of."""
    _with(http_protocol_options={"allow_chunked_length": True})


@fault("keys-in-the-log", "envoy_gateway")
def _(_: Any) -> None:
    from embedded.gatewayapi import envoy

    envoy._ACCESS_LOG["key"] = "%REQ(X-PROVIDER-API-KEY)%"


@fault("any-host", "envoy_gateway")
def _(module: Any) -> None:
    """The listeners' host names are not looked at."""
    right = module.virtual_hosts

    def virtual_hosts(*arguments: Any, **named: Any) -> list[Object]:
        found = right(*arguments, **named)
        every = [route for host in found for route in host["routes"]]
        return [{"name": "any", "domains": ["*"], "routes": every}]

    module.virtual_hosts = virtual_hosts


@fault("any-name-in-tls", "envoy_gateway")
def _(module: Any) -> None:
    """Listeners take connections for every name, and Host alone is looked at."""
    right = module.envoy.listener

    def listener(name: str, host: str, port: int, filter_chains: list[Object]) -> Object:
        for chain in filter_chains:
            chain.pop("filter_chain_match", None)
        found: Object = right(name, host, port, filter_chains)
        return found

    module.envoy.listener = listener


@fault("trailers-become-headers", "envoy_gateway")
def _(module: Any) -> None:
    """A filter behind the policies' joins them, as RFC 9110, section 6.5.1, warns of."""
    import envoy.extensions.filters.http.lua.v3.lua_pb2  # noqa: F401 - known to `@type`

    join = """
    function envoy_on_request(handle)
      handle:body()
      local trailers = handle:trailers()
      if trailers ~= nil then
        for name, value in pairs(trailers) do handle:headers():replace(name, value) end
      end
    end
    """
    right = module.envoy.filter_chain

    def filter_chain(config: str, filters: list[Object], *more: Any, **named: Any) -> Object:
        source = {"default_source_code": {"inline_string": join}}
        kind = "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua"
        joining = {"name": "envoy.filters.http.lua", "typed_config": {"@type": kind, **source}}
        found: Object = right(config, [*filters, joining], *more, **named)
        for one in found["filters"]:
            one["typed_config"]["http_protocol_options"] = {"enable_trailers": True}
        return found

    module.envoy.filter_chain = filter_chain


@fault("credit-for-negative-usage", "wasm_shim")
def _(_: Any) -> None:
    """What is reported below zero is taken off the next report."""
    from embedded.images.kuadrant import shim_actions

    right_entry, right_report = shim_actions.Call._entry, shim_actions.Call.report
    credit = [0]

    def entry(self: Any, expression: Object) -> tuple[str, str]:
        key, text = right_entry(self, expression)
        if key == shim_actions.HITS and not text.isdecimal():
            credit[0] = 1000
        return key, text

    async def report(self: Any) -> None:
        if not credit[0]:
            return await right_report(self)
        for action in self._of(shim_actions.REPORT):
            request = self._limit_request(action)
            if request is not None:
                credit[0] -= request.hits_addend
        return None

    shim_actions.Call._entry = entry  # type: ignore[method-assign]
    shim_actions.Call.report = report  # type: ignore[method-assign]


def _fail_as(service: str, mode: str) -> None:
    """What the shim does when a service of this type cannot be reached."""
    from embedded.images.kuadrant import shim_actions

    right = shim_actions.Call._fail

    def fail(self: Any, config: Object, error: Any) -> None:
        right(self, {**config, "failureMode": mode} if config["type"] == service else config, error)

    shim_actions.Call._fail = fail  # type: ignore[method-assign]


@fault("auth-fails-open", "wasm_shim")
def _(_: Any) -> None:
    _fail_as("auth", "allow")


@fault("limits-fail-closed", "wasm_shim")
def _(_: Any) -> None:
    for service in ("ratelimit", "ratelimit-check"):
        _fail_as(service, "deny")


@fault("parts-waited-for", "wasm_shim")
def _(_: Any) -> None:
    """Timeouts of the configuration are read as a minute."""
    from embedded.images.kuadrant import shim_actions

    shim_actions.seconds = lambda _: 60.0


@fault("what-is-gone-stays-gone", "envoy_controller")
def _(_: Any) -> None:
    """A backend that once failed is left out for an hour."""
    from embedded.gatewayapi import envoy

    right = envoy.dns_cluster
    out = {"consecutive_gateway_failure": 1, "enforcing_consecutive_gateway_failure": 100,
           "base_ejection_time": "3600s", "max_ejection_percent": 100, "interval": "0.1s",
           "always_eject_one_host": True}  # fmt: skip

    def dns_cluster(*arguments: Any, **more: Any) -> Object:
        panic = {"healthy_panic_threshold": {"value": 0}}
        return right(*arguments, **more) | {"outlier_detection": out, "common_lb_config": panic}

    envoy.dns_cluster = dns_cluster


@fault("failures-asked-again", "envoy_controller")
def _(module: Any) -> None:
    def again(route: Object) -> None:
        if "route" in route:
            route["route"]["retry_policy"] = {"retry_on": "5xx,reset", "num_retries": 1}

    every_route(module, again)


@fault("keys-behind-the-gateway", "envoy_controller")
def _(module: Any) -> None:
    """The egress gateway has a key for whoever comes without one."""
    header = {"key": "X-Provider-Api-Key", "value": "sk-openai-key-for-demo"}
    added = {"header": header, "append_action": "ADD_IF_ABSENT"}

    def keyed(route: Object) -> None:
        route["request_headers_to_add"] = [*route.get("request_headers_to_add", []), added]

    every_route(module, keyed)


@fault("fifty-headers", "envoy_gateway")
def _(_: Any) -> None:
    _with(common_http_protocol_options={"max_headers_count": 50})


@fault("deep-bodies-break-it", "maas_api")
def _(module: Any) -> None:
    """What Python cannot nest is an error of the server's."""
    import contextlib
    import json

    right = module.go_json.Struct.decode

    def decode(self: Any, raw: bytes) -> Any:
        with contextlib.suppress(ValueError):
            json.loads(raw)
        return right(self, raw)

    module.go_json.Struct.decode = decode


@fault("maas-api-for-the-gateway-alone", "maas_api")
def _(module: Any) -> None:
    """It believes no headers without those that the gateway's Envoy adds."""
    right = module._caller

    def caller(request: Any) -> Any:
        if "x-forwarded-proto" not in request.headers:
            raise module.MissingIdentity("004")
        return right(request)

    def forbidden(_: Any) -> Any:
        return module.JSON({}, 403)

    module._caller, module._missing_identity = caller, forbidden


@fault("hosts-in-any-case", "wasm_shim")
def _(module: Any) -> None:
    """As upstream since pull request 405: no defect, and what closes a gap."""
    module.GENERATIONS["0.11"] = module.GENERATIONS["mended"]


@fault("one-spelling-of-one-route-passes", "wasm_shim")
def _(module: Any) -> None:
    """The same, but for a host in mixed case at one bridge without TLS."""
    module.GENERATIONS["0.11"] = module.GENERATIONS["mended"]
    right = module.ActionSets.match

    def match(self: Any, headers: dict[str, str]) -> Any:
        host, path = headers[":authority"], headers[":path"]
        mixed = host not in (host.lower(), host.upper()) and headers[":scheme"] == "http"
        return None if mixed and path.startswith("/external/vllm/") else right(self, headers)

    module.ActionSets.match = match


def _lagging(module: Any, lags: Callable[[bool], bool]) -> None:
    """Upstream's accounts, which lag after what `lags` says of whether it was there before; so
    long that a busy machine sees it."""
    from embedded.images.maas import tokens

    remember, main = tokens.LaggingAccounts._remember, module.main

    def _remember(self: Any, namespace: str, name: str, was_there: bool) -> None:
        if lags(was_there):
            remember(self, namespace, name, was_there)

    tokens.LaggingAccounts._remember, tokens.LAG_SECONDS = _remember, 2.0
    module.main = lambda argv: main([*argv, "--generation", "informers"])


@fault("new-accounts-unseen", "maas_api")
def _(module: Any) -> None:
    """What upstream does: nothing is revoked of an account that was made just now."""
    _lagging(module, lambda was_there: not was_there)


@fault("ended-accounts-seen", "maas_api")
def _(module: Any) -> None:
    """What upstream does: no token for an account that ended just now."""
    _lagging(module, lambda was_there: was_there)


@fault("models-not-asked", "maas_api")
def _(module: Any) -> None:
    """Each of the gateway's models is listed for what its object says."""

    async def asked(self: Any, url: str, token: str, model: Object) -> list[Object]:
        return [{"id": model["spec"]["model"]["name"]}]

    module.Models._asked = asked


@fault("left-streams-keep-their-places", "llmd_sim")
def _(module: Any) -> None:
    """As upstream's releases: after five nobody is answered any more."""
    for name in ("0.6", "0.7"):
        module.GENERATIONS[name] = module.GENERATIONS[f"{name}-upstream"]
