"""What breaks the external-models quickstart, or mends what its documents say is missing."""

from __future__ import annotations

from typing import Any

from tests.mutants.faults import every_route, fault

Object = dict[str, Any]


@fault("host-not-rewritten", "envoy_controller")
def _(module: Any) -> None:
    module.Destinations._host = lambda self, target: ""


@fault("destination-read-once", "envoy_controller")
def _(module: Any) -> None:
    """An edited XBackendDestination changes nothing."""
    right = module.Destinations._destination
    seen: dict[tuple[str, str], Object] = {}

    def destination(self: Any, backend: Object) -> Any:
        metadata = backend["metadata"]
        return right(self, seen.setdefault((metadata["namespace"], metadata["name"]), backend))

    module.Destinations._destination = destination


@fault("unresolvable-is-an-error", "envoy_controller")
def _(module: Any) -> None:
    """A host name that does not resolve at once is a missing backend: 500."""
    from embedded.node.dns import UnknownHost, resolve

    right = module.Destinations._destination

    def destination(self: Any, backend: Object) -> Any:
        host = (backend["spec"]["destination"].get("fqdn") or {}).get("hostname", "")
        try:
            resolve(host, 80)
        except UnknownHost as error:
            return "BackendNotFound", str(error)
        return right(self, backend)

    module.Destinations._destination = destination


@fault("port-ignored", "envoy_controller")
def _(module: Any) -> None:
    right = module.envoy.dns_cluster
    module.envoy.dns_cluster = lambda name, host, port, **more: right(
        name, host, 8000 if port == 8999 else port, **more
    )


@fault("no-timeout", "envoy_controller")
def _(module: Any) -> None:
    from embedded.images.wg_ai_gateway import wg_listeners

    def forever(route: Object) -> None:
        if "route" in route:
            route["route"]["timeout"] = "0s"

    every_route(module, forever)
    wg_listeners.STREAM_IDLE_TIMEOUT = "300s"


@fault("missing-backend-ignored", "envoy_controller")
def _(module: Any) -> None:
    right = module.Destinations.resolve
    module.Destinations.resolve = lambda self, rule, namespace: (
        right(self, rule, namespace)[0],
        [],
    )


@fault("tls-not-originated", "envoy_controller")
def _(module: Any) -> None:
    module.envoy.upstream_tls = lambda host, common: {}


@fault("destination-has-status", "envoy_controller")
def _(module: Any) -> None:
    """Every XBackendDestination is said to be Accepted, by the controller."""
    from embedded.gatewayapi.status import condition

    right = module.Controller._reconcile

    async def reconcile(self: Any) -> None:
        for backend in self._cache.list(module.BACKENDS):
            accepted = condition("Accepted", True, "Accepted", "seen", backend)
            status = {"controllers": [{"name": self.name, "conditions": [accepted]}]}
            await self._kube.set_status(module.BACKENDS, backend, status)
        await right(self)

    module.Controller._reconcile = reconcile


@fault("streams-buffered", "wasm_shim")
def _(module: Any) -> None:
    """A stream is held until its end."""
    right = module.Exchange.on_response_headers

    async def on_response_headers(self: Any, message: Any) -> Any:
        answer = await right(self, message)
        if isinstance(self._parser, module.SseUsage):
            answer.mode_override.response_body_mode = module.Mode.BUFFERED
        return answer

    module.Exchange.on_response_headers = on_response_headers


@fault("answer-names-other-model", "wasm_shim")
def _(module: Any) -> None:
    """A chat completion comes back with another model's name, as long as its own."""
    right = module.Exchange.on_response_body

    async def on_response_body(self: Any, message: Any) -> Any:
        answer = await right(self, message)
        named, other = b'"gpt-4-external"', b'"gpt-4-internal"'
        if named in message.body and b'"chat.completion"' in message.body:
            changed = message.body.replace(named, other)
            answer.response_body.response.body_mutation.body = changed
        return answer

    module.Exchange.on_response_body = on_response_body


@fault("registry-reversed", "maas_api")
def _(module: Any) -> None:
    right = module.Models.external

    async def external(self: Any) -> list[Object]:
        return list(reversed(await right(self)))

    module.Models.external = external


@fault("external-models-first", "maas_api")
def _(module: Any) -> None:
    right = module.Models.listed

    async def listed(self: Any, token: str) -> list[Object]:
        return sorted(await right(self, token), key=lambda entry: "url" in entry)

    module.Models.listed = listed


@fault("registry-read-once", "maas_api")
def _(module: Any) -> None:
    right = module.Models.external
    first: list[list[Object]] = []

    async def external(self: Any) -> list[Object]:
        found = await right(self)
        if found and not first:
            first.append(found)
        return first[0] if first else found

    module.Models.external = external


@fault("registry-breaks-listing", "maas_api")
def _(module: Any) -> None:
    """Without a readable registry nothing is listed at all."""
    right = module.Models.external

    async def external(self: Any) -> list[Object]:
        found: list[Object] = await right(self)
        if not found:
            raise RuntimeError("no registry")
        return found

    module.Models.external = external


@fault("operator-never-reverts", "opendatahub_operator")
def _(module: Any) -> None:
    module._is_managed = lambda deployment: False


@fault("account-named-plainly", "maas_api")
def _(module: Any) -> None:
    """Two users whose names differ in a sign have one account."""
    from embedded.images.maas import tokens

    right = tokens.account_name
    tokens.account_name = lambda username: right(username).rpartition("-")[0]


@fault("example-usage-wrong", "llmd_sim")
def _(module: Any) -> None:
    right = module.JSON

    def response(body: Object, *rest: Any, **more: Any) -> Any:
        if "usage" in body:
            body["usage"]["completion_tokens"] += 1
        return right(body, *rest, **more)

    module.JSON = response


@fault("no-api-keys", "maas_api")
def _(module: Any) -> None:
    right = module.Router

    def router(routes: list[Any], *more: Any) -> Any:
        return right([route for route in routes if "api-keys" not in route[1]], *more)

    module.Router = router


@fault("egress-cluster-ip", "envoy_controller")
def _(module: Any) -> None:
    """The egress gateway's Service is for the cluster alone."""
    right = module.Controller._owned

    def owned(self: Any, gateway: Object, proxy: Any, key: str) -> Any:
        found = right(self, gateway, proxy, key)
        for resource, body in found:
            if resource == module.SERVICES:
                body["spec"]["type"] = "ClusterIP"
        return found

    module.Controller._owned = owned


@fault("accounts-cut-short", "maas_api")
def _(module: Any) -> None:
    """The hash that tells users apart is of the name's beginning."""
    from embedded.images.maas import tokens

    right = tokens.account_name
    tokens.account_name = lambda username: right(username[:50])
