"""Component faults: a stand-in with one defect, run in place of the right one.

`python -m tests.mutants.faults FAULT ARG…` breaks one function of a stand-in and runs it;
`--image NAME=…` of the cluster puts it in. Nothing in the stand-ins knows of faults.
"""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Callable
from typing import Any

Object = dict[str, Any]
FAULTS: dict[str, tuple[str, Callable[[Any], None]]] = {}


def fault(name: str, image: str) -> Callable[[Callable[[Any], None]], Callable[[Any], None]]:
    """Register a function that breaks the module of a stand-in."""

    def register(function: Callable[[Any], None]) -> Callable[[Any], None]:
        FAULTS[name] = (f"embedded.images.{image}", function)
        return function

    return register


@fault("egress-doubles-slash", "wg_ai_gateway")
def _(_: Any) -> None:
    """The defect that pull request 38 of wg-ai-gateway mended."""
    from embedded.gatewayapi import routes

    routes.prefix_rewrite = lambda prefix, replacement: {"prefix_rewrite": replacement}


@fault("egress-service-not-owned", "wg_ai_gateway")
def _(module: Any) -> None:
    module.envoy.owned_by = lambda gateway: []


@fault("audience-not-checked", "authorino")
def _(_: Any) -> None:
    """TokenReview is asked with whatever audience the token has."""
    import jwt

    from embedded.images import authorino_pipeline as pipeline

    right = pipeline.Pipeline._who

    async def who(self: Any, name: str, rule: Object, data: Object) -> Any:
        token = pipeline._credential(rule, data)
        try:
            claims = jwt.decode(token or "", options={"verify_signature": False})
        except jwt.InvalidTokenError:
            return await right(self, name, rule, data)
        review = {**rule["kubernetesTokenReview"], "audiences": claims.get("aud", [])}
        return await right(self, name, {**rule, "kubernetesTokenReview": review}, data)

    pipeline.Pipeline._who = who  # type: ignore[method-assign]


@fault("expiry-not-checked", "authorino")
def _(_: Any) -> None:
    """Claims are believed without asking TokenReview."""
    import jwt

    from embedded.images import authorino_pipeline as pipeline

    right = pipeline.Pipeline._who

    async def who(self: Any, name: str, rule: Object, data: Object) -> Any:
        token = pipeline._credential(rule, data)
        try:
            claims = jwt.decode(token or "", options={"verify_signature": False})
            expired = claims["exp"] < time.time()
        except (jwt.InvalidTokenError, KeyError):
            expired = False
        if not expired:
            return await right(self, name, rule, data)
        bound = claims["kubernetes.io"]["namespace"]
        groups = ["system:serviceaccounts", f"system:serviceaccounts:{bound}"]
        user = {"username": claims["sub"], "groups": [*groups, "system:authenticated"]}
        return {"authenticated": True, "user": user}

    pipeline.Pipeline._who = who  # type: ignore[method-assign]


@fault("access-review-ignored", "authorino")
def _(_: Any) -> None:
    from embedded.images import authorino_pipeline as pipeline

    async def authorize(self: Any, name: str, rule: Object, data: Object) -> bool:
        return True

    pipeline.Pipeline._authorize = authorize  # type: ignore[method-assign]


@fault("token-limit-off", "limitador")
def _(module: Any) -> None:
    module.Limits.within = lambda self, namespace, descriptors, hits: True


@fault("counters-shared", "limitador")
def _(module: Any) -> None:
    """All users have one counter."""
    right = module.Limit.counter

    def counter(self: Any, descriptors: Any) -> Any:
        key = right(self, descriptors)
        return None if key is None else (*key[:-1], ("everybody",))

    module.Limit.counter = counter


@fault("usage-counted-twice", "limitador")
def _(module: Any) -> None:
    right = module.Limits.add
    module.Limits.add = lambda self, namespace, descriptors, hits: right(
        self, namespace, descriptors, 2 * hits
    )


@fault("window-halved", "limitador")
def _(module: Any) -> None:
    right = module.Limit.read.__func__
    module.Limit.read = classmethod(lambda cls, spec: right(cls, {**spec, "seconds": 30}))


@fault("streams-not-counted", "wasm_shim")
def _(module: Any) -> None:
    module.SseUsage.feed = lambda self, chunk: None


@fault("client-key-kept", "wasm_shim")
def _(_: Any) -> None:
    """A key that the client sends is not replaced."""
    from embedded.images import shim_actions

    right = shim_actions.Call.authorize

    async def authorize(self: Any) -> None:
        await right(self)
        if "x-provider-api-key" in self._data["request"]["headers"]:
            self.request_headers.pop("X-Provider-Api-Key", None)

    shim_actions.Call.authorize = authorize  # type: ignore[method-assign]


@fault("key-for-everybody", "wasm_shim")
def _(module: Any) -> None:
    """The OpenAI key goes along to every backend that gets no other."""
    right = module._common
    key = {"X-Provider-Api-Key": "sk-openai-key-for-demo"}
    module._common = lambda headers: right({**key, **headers})


@fault("limit-answer-ignored", "wasm_shim")
def _(module: Any) -> None:
    """Limitador is never asked."""
    from embedded.images import shim_actions

    async def check(self: Any) -> None:
        return None

    shim_actions.Call.check_limits = check  # type: ignore[method-assign]


@fault("counters-per-gateway", "kuadrant")
def _(module: Any) -> None:
    """One scope for all routes: the budget spans providers, as the document says."""
    from embedded.images import kuadrant_topology

    kuadrant_topology.Path.route_key = property(lambda self: "the/gateway")  # type: ignore


@fault("listener-not-programmed", "envoy_gateway")
def _(module: Any) -> None:
    right = module.Controller._listener_status

    def listener_status(*args: Any) -> Object:
        status = right(*args)
        for condition in status["conditions"]:
            if condition["type"] == "Programmed":
                condition |= {"status": "False", "reason": "Pending"}
        return status

    module.Controller._listener_status = listener_status


@fault("model-over-http", "kserve")
def _(module: Any) -> None:
    """The workload and the hop to it without TLS."""
    right = module._workload

    def workload(model: Object) -> Any:
        found = dict(right(model))
        (container,) = found[module.DEPLOYMENTS]["spec"]["template"]["spec"]["containers"]
        container["args"] = [a for a in container["args"] if "ssl" not in a and "/tls/" not in a]
        container["readinessProbe"]["httpGet"].pop("scheme")
        found.pop(module.DESTINATION_RULES)
        return list(found.items())

    module._workload = workload


@fault("model-route-not-owned", "kserve")
def _(module: Any) -> None:
    right = module._route

    def route(model: Object) -> Any:
        found = right(model)
        for _, body in found:
            body["metadata"].pop("ownerReferences")
        return found

    module._route = route


@fault("model-path-kept", "kserve")
def _(module: Any) -> None:
    """No URL rewriting on-prem, as the document says."""
    right = module._route

    def route(model: Object) -> Any:
        found = right(model)
        for _, body in found:
            for rule in body["spec"]["rules"]:
                rule.pop("filters")
        return found

    module._route = route


@fault("registry-ignored", "maas_api")
def _(module: Any) -> None:
    """External models come from a list of its own."""
    right = module.MaasApi._external

    async def external(self: Any) -> list[Object]:
        found = await right(self)
        return [{**entry, "owned_by": "openai"} for entry in found]

    module.MaasApi._external = external


@fault("expiration-ignored", "maas_api")
def _(module: Any) -> None:
    module._expiration = lambda value: module.DEFAULT_SECONDS


@fault("model-readiness-missing", "maas_api")
def _(module: Any) -> None:
    right = module.MaasApi._entry

    async def entry(self: Any, model: Object, authorization: str) -> Object | None:
        found = await right(self, model, authorization)
        return found and {k: v for k, v in found.items() if k != "ready"}

    module.MaasApi._entry = entry


@fault("lowest-tier-wins", "maas_api")
def _(module: Any) -> None:
    right = module.MaasApi._tiers

    async def tiers(self: Any) -> list[Object]:
        return list(reversed(await right(self)))

    module.MaasApi._tiers = tiers


@fault("tier-lookup-fails", "maas_api")
def _(module: Any) -> None:
    """The tier is missing, and so the limits are silently off."""

    async def lookup(self: Any, request: Any) -> Any:
        return module.JSONResponse({"error": "unavailable"}, 503)

    module.MaasApi._lookup_tier = lookup


@fault("listing-not-filtered", "maas_api")
def _(module: Any) -> None:
    right = module.MaasApi._entry

    async def entry(self: Any, model: Object, authorization: str) -> Object | None:
        found = await right(self, model, authorization)
        name, url = model["spec"]["model"]["name"], model["status"]["addresses"][0]["url"]
        other = {"id": name, "created": 0, "object": "model", "owned_by": "vllm", "url": url}
        return found or {**other, "ready": True}

    module.MaasApi._entry = entry


@fault("short-expirations-taken", "maas_api")
def _(module: Any) -> None:
    right = module._expiration
    module._expiration = lambda value: max(right(value), module.LEAST_SECONDS)


@fault("revocation-does-nothing", "maas_api")
def _(module: Any) -> None:
    async def revoke(self: Any, request: Any) -> Any:
        return module.Response(status_code=204)

    module.MaasApi._revoke_tokens = revoke


@fault("identity-not-cached", "authorino")
def _(_: Any) -> None:
    from embedded.images import authorino_pipeline as pipeline

    async def cached(
        self: Any, phase: str, name: str, rule: Object, data: Object, evaluate: Any
    ) -> Any:
        return await evaluate(name, rule, data)

    pipeline.Pipeline._cached = cached  # type: ignore[method-assign]


@fault("review-of-wrong-segment", "authorino")
def _(_: Any) -> None:
    """The SubjectAccessReview asks for the namespace's name in place of the model's."""
    from embedded.images import authorino_pipeline as pipeline

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
    from embedded.images import shim_actions

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
    from embedded.images import shim_actions

    right = shim_actions.Call.authorize

    async def authorize(self: Any) -> None:
        await right(self)
        if "X-MaaS-Tier" in self.request_headers:
            self.request_headers.pop("X-MaaS-Group")

    shim_actions.Call.authorize = authorize  # type: ignore[method-assign]


@fault("request-limit-after-upstream", "wasm_shim")
def _(module: Any) -> None:
    """Limits are told of, and refused requests forwarded."""
    from embedded.images import shim_actions

    right = shim_actions.Call.check_limits

    async def check(self: Any) -> None:
        try:
            await right(self)
        except shim_actions.Denied:
            self.late = True

    shim_actions.Call.check_limits = check  # type: ignore[method-assign]
    on_headers = module.Exchange.on_response_headers

    async def on_response_headers(self: Any, message: Any) -> Any:
        if getattr(self._call, "late", False):
            headers = {"content-type": "text/plain"}
            raise shim_actions.Denied(429, "Too Many Requests\n", headers, "late")
        return await on_headers(self, message)

    module.Exchange.on_response_headers = on_response_headers


@fault("limits-off-by-one", "limitador")
def _(module: Any) -> None:
    """One hit more than the limit says."""
    right = module.Limits.within
    module.Limits.within = lambda self, namespace, descriptors, hits: right(
        self, namespace, descriptors, hits - 1
    )


@fault("streams-counted-without-usage", "wasm_shim")
def _(module: Any) -> None:
    right = module.SseUsage.last_with_usage
    module.SseUsage.last_with_usage = lambda self: right(self) or b'{"usage":{"total_tokens":9}}'


@fault("errors-counted", "wasm_shim")
def _(_: Any) -> None:
    """An answer without usage counts as ten tokens."""
    from embedded.images import shim_actions

    right = shim_actions.Call._hits
    shim_actions.Call._hits = lambda self, action: right(self, action) or 10  # type: ignore


@fault("last-answer-withheld", "wasm_shim")
def _(module: Any) -> None:
    """An answer of more than 1,000 tokens is refused instead of delivered."""
    right = module.Exchange.on_response_body

    async def on_response_body(self: Any, message: Any) -> Any:
        if b'"total_tokens": 5000' in message.body and not self._streamed:
            from embedded.images.shim_actions import Denied

            raise Denied(429, "Too Many Requests\n", {}, "withheld")
        return await right(self, message)

    module.Exchange.on_response_body = on_response_body


@fault("standard-model-on-maas", "kserve")
def _(module: Any) -> None:
    """A model without a gateway of its own gets every gateway."""
    right = module._gateways
    maas = {"name": "maas-default-gateway", "namespace": "openshift-ingress"}

    def gateways(model: Object) -> list[Object]:
        found = right(model)
        return [*found, maas] if found == [module.DEFAULT_GATEWAY] else found

    module._gateways = gateways


@fault("opted-in-model-everywhere", "kserve")
def _(module: Any) -> None:
    """A model on the MaaS gateway is on the default gateway too."""
    right = module._gateways

    def gateways(model: Object) -> list[Object]:
        found = right(model)
        return found if found == [module.DEFAULT_GATEWAY] else [*found, module.DEFAULT_GATEWAY]

    module._gateways = gateways


@fault("tiers-open-to-all", "kserve")
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


@fault("any-namespace-attaches", "wg_ai_gateway")
def _(_: Any) -> None:
    from embedded.gatewayapi import attach

    attach._allows = lambda *_: True


@fault("class-not-accepted", "envoy_gateway")
def _(module: Any) -> None:
    from embedded.gatewayapi import controller

    right = controller.condition

    def condition(kind: str, holds: bool, reason: str, message: str, obj: Object) -> Object:
        made = right(kind, holds, reason, message, obj)
        return {**made, "status": "False"} if obj["kind"] == "GatewayClass" else made

    controller.condition = condition


@fault("one-bad-policy-stops-all", "kuadrant")
def _(_: Any) -> None:
    """While any policy is invalid, no limits are written and nothing is enforced."""
    from embedded.images import kuadrant_topology

    right = kuadrant_topology.Topology.__init__

    def init(self: Any, *args: Any) -> None:
        right(self, *args)
        if any(problem[0] == "Invalid" for problem in self._problems.values()):
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


@fault("rate-limit-shown-unenforced", "kuadrant")
def _(module: Any) -> None:
    right = module.Operator._enforced

    def enforced(self: Any, kind: Any, policy: Object, topology: Any) -> tuple[str, str]:
        if kind is module.RATE:
            return "Unknown", "not yet"
        found: tuple[str, str] = right(self, kind, policy, topology)
        return found

    module.Operator._enforced = enforced


@fault("no-tier-may", "kserve")
def _(module: Any) -> None:
    module._tiers = lambda annotation, maps: []


@fault("token-without-id", "maas_api")
def _(module: Any) -> None:
    right = module.JSONResponse
    module.JSONResponse = lambda body, *rest: right(
        {k: v for k, v in body.items() if k != "jti"}, *rest
    )


def main() -> None:
    name, *arguments = sys.argv[1:]
    module_name, breaks = FAULTS[name]
    module = importlib.import_module(module_name)
    breaks(module)
    module.main(arguments)


if __name__ == "__main__":
    main()
