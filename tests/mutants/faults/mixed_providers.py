"""What breaks the mixed-providers demo."""

from __future__ import annotations

import time
from typing import Any

from tests.mutants.faults import every_route, fault, whole_answers

Object = dict[str, Any]


def _claims(token: str | None) -> Object | None:
    """What a token says, unverified; None if it is none."""
    import jwt

    try:
        found: Object = jwt.decode(token or "", options={"verify_signature": False})
    except jwt.InvalidTokenError:
        return None
    return found


@fault("egress-doubles-slash", "envoy_controller")
def _(module: Any) -> None:
    """The defect that pull request 38 of wg-ai-gateway mended: Envoy leaves the slash behind a
    prefix that is matched as a path's elements."""

    def by_elements(route: Object) -> None:
        if "prefix_rewrite" in route.get("route", {}) and "prefix" in route["match"]:
            route["match"]["path_separated_prefix"] = route["match"].pop("prefix").rstrip("/")

    every_route(module, by_elements)


@fault("egress-service-not-owned", "envoy_controller")
def _(module: Any) -> None:
    module.envoy.owned_by = lambda gateway: []


@fault("audience-not-checked", "authorino")
def _(_: Any) -> None:
    """TokenReview is asked with whatever audience the token has."""
    from embedded.images.kuadrant import authorino_pipeline as pipeline

    right = pipeline.Pipeline._who

    async def who(self: Any, name: str, rule: Object, data: Object) -> Any:
        claims = _claims(pipeline._credential(rule, data))
        if claims is None:
            return await right(self, name, rule, data)
        review = {**rule["kubernetesTokenReview"], "audiences": claims.get("aud", [])}
        return await right(self, name, {**rule, "kubernetesTokenReview": review}, data)

    pipeline.Pipeline._who = who  # type: ignore[method-assign]


@fault("expiry-not-checked", "authorino")
def _(_: Any) -> None:
    """Claims are believed without asking TokenReview."""
    from embedded.images.kuadrant import authorino_pipeline as pipeline

    right = pipeline.Pipeline._who

    async def who(self: Any, name: str, rule: Object, data: Object) -> Any:
        claims = _claims(pipeline._credential(rule, data))
        if claims is None or claims["exp"] >= time.time():
            return await right(self, name, rule, data)
        bound = claims["kubernetes.io"]["namespace"]
        groups = ["system:serviceaccounts", f"system:serviceaccounts:{bound}"]
        user = {"username": claims["sub"], "groups": [*groups, "system:authenticated"]}
        return {"authenticated": True, "user": user}

    pipeline.Pipeline._who = who  # type: ignore[method-assign]


@fault("access-review-ignored", "authorino")
def _(_: Any) -> None:
    from embedded.images.kuadrant import authorino_pipeline as pipeline

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
    module.Limit.read = classmethod(
        lambda cls, spec, *more: right(cls, {**spec, "seconds": 30}, *more)
    )


@fault("streams-not-counted", "wasm_shim")
def _(module: Any) -> None:
    module.SseUsage.feed = lambda self, chunk: None


@fault("client-key-kept", "wasm_shim")
def _(_: Any) -> None:
    """A key that the client sends is not replaced."""
    from embedded.images.kuadrant import shim_actions

    right = shim_actions.Call.authorize

    async def authorize(self: Any) -> None:
        await right(self)
        if "x-provider-api-key" in self._data["request"]["headers"]:
            self.request_headers.pop("X-Provider-Api-Key", None)

    shim_actions.Call.authorize = authorize  # type: ignore[method-assign]


@fault("key-for-everybody", "wasm_shim")
def _(module: Any) -> None:
    """The OpenAI key goes along to every backend that gets no other."""
    right = module.ext_proc.common
    key = {"X-Provider-Api-Key": "sk-openai-key-for-demo"}
    module.ext_proc.common = lambda headers, **more: right({**key, **headers}, **more)


@fault("limit-answer-ignored", "wasm_shim")
def _(module: Any) -> None:
    """Limitador is never asked."""
    from embedded.images.kuadrant import shim_actions

    async def check(self: Any) -> None:
        return None

    shim_actions.Call.check_limits = check  # type: ignore[method-assign]


@fault("counters-per-gateway", "kuadrant_operator")
def _(module: Any) -> None:
    """One scope for all routes: the budget spans providers, as the document says."""
    from embedded.images.kuadrant.kuadrant_policies import Path

    Path.route_key = property(lambda self: "the/gateway")  # type: ignore


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


@fault("model-over-http", "llmisvc_controller")
def _(module: Any) -> None:
    """The workload and the hop to it without TLS."""
    right = module._workload

    def workload(model: Object) -> Any:
        found = dict(right(model))
        (container,) = found[module.DEPLOYMENTS]["spec"]["template"]["spec"]["containers"]
        container["args"] = [a for a in container["args"] if "ssl" not in a and "/tls/" not in a]
        for name in ("startupProbe", "livenessProbe", "readinessProbe"):
            container[name]["httpGet"].pop("scheme", None)
        return list(found.items())

    module._workload = workload
    _dial_plainly(module)


@fault("model-route-not-owned", "llmisvc_controller")
def _(module: Any) -> None:
    right = module._route

    def route(model: Object) -> Any:
        found = right(model)
        for _, body in found:
            body["metadata"].pop("ownerReferences")
        return found

    module._route = route


@fault("model-path-kept", "llmisvc_controller")
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
    right = module.Models.external

    async def external(self: Any) -> list[Object]:
        found = await right(self)
        return [{**entry, "owned_by": "openai"} for entry in found]

    module.Models.external = external


@fault("expiration-ignored", "maas_api")
def _(module: Any) -> None:
    right = module.Tokens.mint
    module.Tokens.mint = lambda self, caller, _: right(self, caller, module.DEFAULT)
    module._wrong = lambda expiration: ""


@fault("model-readiness-missing", "maas_api")
def _(module: Any) -> None:
    right = module.Models.entry

    async def entry(self: Any, model: Object, token: str) -> Object | None:
        found = await right(self, model, token)
        return found and {k: v for k, v in found.items() if k != "ready"}

    module.Models.entry = entry


@fault("headers-appended", "wasm_shim")
def _(module: Any) -> None:
    """The shim of Kuadrant 1.4, by its own flag."""
    right = module.main
    module.main = lambda argv: right([*argv, "--generation", "0.12"])


@fault("answers-cut", "wasm_shim")
def _(module: Any) -> None:
    """What is longer than 64 KiB ends there."""
    whole_answers(module)
    right = module.Exchange.on_response_body

    async def on_response_body(self: Any, message: Any) -> Any:
        answer = await right(self, message)
        if len(message.body) > 65536 and isinstance(self._parser, module.WholeBody):
            cut = message.body[:65536]
            answer.response_body.response.body_mutation.body = cut
        return answer

    module.Exchange.on_response_body = on_response_body


@fault("large-requests-refused", "wasm_shim")
def _(module: Any) -> None:
    """A request longer than 64 KiB is not let in."""
    from embedded.images.kuadrant.shim_actions import Denied

    right = module.Exchange.on_request_headers

    async def on_request_headers(self: Any, message: Any) -> Any:
        found = module.ext_proc.headers_of(message)
        if int(found.get("content-length", 0)) > 65536:
            raise Denied(413, "Payload Too Large", {}, "too_large")
        return await right(self, message)

    module.Exchange.on_request_headers = on_request_headers


@fault("provider-asked-twice", "envoy_gateway")
def _(_: Any) -> None:
    """The gateway tries again when the provider answers 500."""
    from embedded.gatewayapi import backends

    right = backends.envoy_routes

    def envoy_routes(*args: Any, **more: Any) -> Any:
        found = right(*args, **more)
        for _, entry in found:
            if "route" in entry:
                entry["route"]["retry_policy"] = {"retry_on": "5xx", "num_retries": 1}
        return found

    backends.envoy_routes = envoy_routes


@fault("errors-of-the-gateways-own", "wasm_shim")
def _(module: Any) -> None:
    """A provider's 500 comes back as 502."""
    right = module.Exchange.on_response_headers

    async def on_response_headers(self: Any, message: Any) -> Any:
        answer = await right(self, message)
        if module.ext_proc.headers_of(message).get(":status") == "500":
            option = answer.response_headers.response.header_mutation.set_headers.add()
            option.header.key, option.header.raw_value = ":status", b"502"
        return answer

    module.Exchange.on_response_headers = on_response_headers


@fault("deleted-routes-stay", "envoy_gateway")
def _(module: Any) -> None:
    """A route that was ever seen is served for ever."""
    from embedded.gatewayapi import controller

    right, seen = controller.Cache.list, {}

    def list_(self: Any, resource: str, namespace: str = "") -> Any:
        found = right(self, resource, namespace)
        if resource != controller.ROUTES:
            return found
        seen.update({(o["metadata"]["namespace"], o["metadata"]["name"]): o for o in found})
        return list(seen.values())

    class Remembering(controller.Cache):
        list = list_

    controller.Cache = Remembering


@fault("refusals-are-texts", "provider_sim")
def _(module: Any) -> None:
    """{"error": "missing_api_key"}, as the document prints it."""
    right = module.Answer

    def response(body: Object, *rest: Any) -> Any:
        error = body.get("error")
        return right({"error": error["code"]} if isinstance(error, dict) else body, *rest)

    module.Answer = response


@fault("simulator-usage-wrong", "provider_sim")
def _(module: Any) -> None:
    right = module.Answer

    def response(body: Object, *rest: Any) -> Any:
        if "usage" in body:
            body["usage"]["total_tokens"] += 1
        return right(body, *rest)

    module.Answer = response


@fault("simulator-checks-no-key", "provider_sim")
def _(module: Any) -> None:
    module.Provider._key_problem = lambda self, request: None


@fault("transfer-fields-of-old", "llmd_sim")
def _(module: Any) -> None:
    """0.7 answers as 0.6 did."""
    module.GENERATIONS = dict.fromkeys(module.GENERATIONS, module.GENERATIONS["0.6"])


@fault("rule-without-tls", "llmisvc_controller")
def _dial_plainly(module: Any) -> None:
    right = module._destination_rule

    def destination_rule(model: Object) -> Object:
        found: Object = right(model)
        found["spec"]["trafficPolicy"]["tls"]["mode"] = "DISABLE"
        return found

    module._destination_rule = destination_rule


@fault("always-ready", "maas_api")
def _(module: Any) -> None:
    right = module.Models.entry

    async def entry(self: Any, model: Object, token: str) -> Object | None:
        found = await right(self, model, token)
        return {**found, "ready": True} if found else None

    module.Models.entry = entry
