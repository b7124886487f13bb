"""What breaks the guide's gateway."""

from __future__ import annotations

from typing import Any

from tests.mutants.faults import fault

Object = dict[str, Any]


@fault("lowest-tier-wins", "maas_api")
def _(module: Any) -> None:
    right = module.Tiers.all

    async def tiers(self: Any) -> list[Any]:
        return list(reversed(await right(self)))

    module.Tiers.all = tiers


@fault("tier-lookup-fails", "maas_api")
def _(module: Any) -> None:
    """The tier is missing, and so the limits are silently off."""

    async def lookup(self: Any, request: Any) -> Any:
        return module.JSON({"error": "unavailable"}, 503)

    module.MaasApi._lookup_tier = lookup


@fault("listing-not-filtered", "maas_api")
def _(module: Any) -> None:
    right = module.Models.entry

    async def entry(self: Any, model: Object, token: str) -> Object | None:
        found = await right(self, model, token)
        name, url = model["spec"]["model"]["name"], model["status"]["addresses"][0]["url"]
        other = {"id": name, "created": 0, "object": "model", "owned_by": "vllm", "url": url}
        return found or {**other, "ready": True}

    module.Models.entry = entry


@fault("short-expirations-taken", "maas_api")
def _(module: Any) -> None:
    right = module.Tokens.mint
    module.Tokens.mint = lambda self, caller, expiration: right(
        self, caller, max(expiration, module.LEAST)
    )
    module._wrong = lambda expiration: ""


@fault("revocation-does-nothing", "maas_api")
def _(module: Any) -> None:
    async def revoke(self: Any, request: Any) -> Any:
        return module.Response(status_code=204)

    module.MaasApi._revoke_tokens = revoke


@fault("large-identities-cached", "authorino")
def _cache_anything(_: Any) -> None:
    """As with a larger `--evaluator-cache-size`: what the policy says comes true."""
    from embedded.images.kuadrant import authorino_pipeline as pipeline

    pipeline.CACHED_BYTES = 1 << 20


@fault("review-of-wrong-segment", "authorino")
def _(_: Any) -> None:
    """The SubjectAccessReview asks for the namespace's name in place of the model's."""
    from embedded.images.kuadrant import authorino_pipeline as pipeline

    right = pipeline._value

    def value(source: Object, data: Object) -> Any:
        text = str(source.get("expression", ""))
        if text.endswith('split("/")[2]'):
            return "facebook-opt-125m-simulated"
        return right(source, data)

    pipeline._value = value


@fault("identity-of-client-kept", "wasm_shim")
def _(_: Any) -> None:
    """X-MaaS headers that the client sends are not replaced."""
    from embedded.images.kuadrant import shim_actions

    right = shim_actions.Call.authorize

    async def authorize(self: Any) -> None:
        await right(self)
        sent = self._data["request"]["headers"]
        for name in list(self.request_headers):
            if name.lower().startswith("x-maas-") and name.lower() in sent:
                del self.request_headers[name]

    shim_actions.Call.authorize = authorize  # type: ignore[method-assign]


@fault("group-not-forwarded", "wasm_shim")
def _(_: Any) -> None:
    from embedded.images.kuadrant import shim_actions

    right = shim_actions.Call.authorize

    async def authorize(self: Any) -> None:
        await right(self)
        if "X-MaaS-Tier" in self.request_headers:
            self.request_headers.pop("X-MaaS-Group")

    shim_actions.Call.authorize = authorize  # type: ignore[method-assign]


@fault("standard-model-on-maas", "llmisvc_controller")
def _(module: Any) -> None:
    """A model without a gateway of its own gets every gateway."""
    right = module._gateways
    maas = {"name": "maas-default-gateway", "namespace": "openshift-ingress"}

    def gateways(model: Object) -> list[Object]:
        found = right(model)
        return [*found, maas] if found == [module.DEFAULT_GATEWAY] else found

    module._gateways = gateways


@fault("opted-in-model-everywhere", "llmisvc_controller")
def _(module: Any) -> None:
    """A model on the MaaS gateway is on the default gateway too."""
    right = module._gateways

    def gateways(model: Object) -> list[Object]:
        found = right(model)
        return found if found == [module.DEFAULT_GATEWAY] else [*found, module.DEFAULT_GATEWAY]

    module._gateways = gateways


@fault("tiers-open-to-all", "llmisvc_controller")
def _(module: Any) -> None:
    """Whatever the annotation says, every tier may."""
    right = module._tiers
    module._tiers = lambda annotation, maps: right("[]", maps)


@fault("routes-of-own-namespace-only", "envoy_gateway")
def _(_: Any) -> None:
    from embedded.gatewayapi import attach

    right = attach._allows

    def allows(listener: Object, route: Object, gateway: Object, namespaces: Any) -> bool:
        fresh = route["metadata"]["namespace"].startswith("conformance-")
        return not fresh and right(listener, route, gateway, namespaces)

    attach._allows = allows


@fault("any-namespace-attaches", "envoy_gateway")
def _(_: Any) -> None:
    from embedded.gatewayapi import attach

    attach._allows = lambda *_: True


@fault("class-not-accepted", "envoy_gateway")
@fault("egress-class-not-accepted", "envoy_controller")
def _(module: Any) -> None:
    from embedded.gatewayapi import controller

    right = controller.condition

    def condition(kind: str, holds: bool, reason: str, message: str, obj: Object) -> Object:
        made = right(kind, holds, reason, message, obj)
        return {**made, "status": "False"} if obj["kind"] == "GatewayClass" else made

    controller.condition = condition


@fault("one-bad-policy-stops-all", "kuadrant_operator")
def _(_: Any) -> None:
    """While any policy is invalid, no limits are written and nothing is enforced."""
    from embedded.images.kuadrant import kuadrant_topology

    right = kuadrant_topology.Topology.__init__

    def init(self: Any, *args: Any) -> None:
        right(self, *args)
        if self._invalid:
            self.paths = []

    kuadrant_topology.Topology.__init__ = init  # type: ignore[method-assign]


@fault("gateway-not-accepted", "envoy_gateway")
def _(_: Any) -> None:
    from embedded.gatewayapi import controller

    right = controller.condition

    def condition(kind: str, holds: bool, reason: str, message: str, obj: Object) -> Object:
        made = right(kind, holds, reason, message, obj)
        mine = obj["kind"] == "Gateway" and (kind, message) == ("Accepted", "Resource accepted")
        return {**made, "status": "Unknown"} if mine else made

    controller.condition = condition


@fault("no-tier-may", "llmisvc_controller")
def _(module: Any) -> None:
    module._tiers = lambda annotation, maps: []


@fault("token-without-id", "maas_api")
def _(module: Any) -> None:
    right = module.JSON
    module.JSON = lambda body, *rest: right({k: v for k, v in body.items() if k != "jti"}, *rest)


@fault("cache-never-ends", "authorino")
def _(module: Any) -> None:
    from embedded.images.kuadrant import authorino_pipeline as pipeline

    _cache_anything(module)
    right = pipeline.Pipeline._cached

    async def cached(
        self: Any, phase: str, name: str, rule: Object, data: Object, evaluate: Any
    ) -> Any:
        if "cache" in rule:
            rule = {**rule, "cache": {**rule["cache"], "ttl": 10**9}}
        return await right(self, phase, name, rule, data, evaluate)

    pipeline.Pipeline._cached = cached  # type: ignore[method-assign]


@fault("every-gateway-serves", "envoy_gateway")
def _(_: Any) -> None:
    """A route is on every gateway of the class, whichever it names."""
    from embedded.gatewayapi import attach

    def parents_of(route: Object, gateway: Object) -> list[Object]:
        refs = route["spec"].get("parentRefs", [])
        return [ref for ref in refs if not ref.get("name", "").startswith("poc-")]

    attach.parents_of = parents_of


@fault("moved-models-stay", "llmisvc_controller")
def _(module: Any) -> None:
    """A model keeps the gateways that it was made with."""
    right, first = module._gateways, {}

    def gateways(model: Object) -> list[Object]:
        found: list[Object] = first.setdefault(model["metadata"]["uid"], right(model))
        return found

    module._gateways = gateways


@fault("groups-by-beginning", "maas_api")
def _(module: Any) -> None:
    """A group that begins like a tier's is the tier's."""

    async def tier(self: Any, groups: list[str]) -> Any:
        for found in await self.all():
            if any(group.startswith(found.groups) for group in groups):
                return found
        raise module.GroupNotFound

    module.Tiers.of = tier
