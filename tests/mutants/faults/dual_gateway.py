"""What breaks the dual gateway, or mends what its document says is missing."""

from __future__ import annotations

import json
from typing import Any

from tests.mutants.faults import fault

Object = dict[str, Any]


# -- the router ---------------------------------------------------------------------------------


@fault("model-not-rewritten", "semantic_router")
def _(module: Any) -> None:
    """The body goes on with `auto` in it."""
    right = module._dump
    module._dump = lambda body: right({**body, "model": "auto"})


@fault("parameters-lost", "semantic_router")
def _(module: Any) -> None:
    """What the router writes anew has only what it knows."""
    right = module._dump
    known = ("model", "messages", "stream", "stream_options")
    module._dump = lambda body: right({k: v for k, v in body.items() if k in known})


@fault("named-model-written-anew", "semantic_router")
def _(module: Any) -> None:
    right = module.Exchange.on_request_body

    def on_request_body(self: Any, message: Any) -> Any:
        answer = right(self, message)
        common = answer.request_body.response
        if not common.HasField("body_mutation") and message.body:
            common.body_mutation.body = body = json.dumps(json.loads(message.body)).encode()
            length = common.header_mutation.set_headers.add()
            length.header.key, length.header.raw_value = "content-length", b"%d" % len(body)
        return answer

    module.Exchange.on_request_body = on_request_body


@fault("selection-wavers", "semantic_router")
def _(module: Any) -> None:
    """Every fourth request goes to the other model."""
    right = module.Config.selected
    other = {"Model-A": "Model-B", "Model-B": "Model-A"}
    asked = [0]

    def selected(self: Any, match: Any) -> str:
        asked[0] += 1
        found = right(self, match)
        return other[found] if asked[0] % 4 == 0 else found

    module.Config.selected = selected


@fault("first-message-decides", "semantic_router")
def _(module: Any) -> None:
    right = module._text
    module._text = lambda body: right({**body, "messages": body.get("messages", [])[:1]})


@fault("router-says-nothing", "semantic_router")
def _(module: Any) -> None:
    """No x-vsr-* headers on responses."""
    module.Exchange._response_headers = property(lambda self: {}, lambda self, value: None)


@fault("streams-answered-whole", "semantic_router")
def _(module: Any) -> None:
    def stream(self: Any, body: Object) -> None:
        body.pop("stream", None)

    module.Exchange._stream = stream


@fault("unroutable-to-default", "semantic_router")
def _(module: Any) -> None:
    """A model that nobody knows is the default one."""
    right = module.Exchange._to
    module.Exchange._to = lambda self, name: right(
        self, name if name in self._config.models else self._config.default_model
    )


@fault("malformed-to-default", "semantic_router")
def _(module: Any) -> None:
    right = module._chat

    def chat(raw: bytes) -> Object:
        try:
            found: Object = right(raw)
        except module.Malformed:
            return {"model": "Model-B"}
        return found

    module._chat = chat


@fault("registry-synced", "semantic_router")
def _(module: Any) -> None:
    """A model that is not configured is looked for among KServe's Services."""
    import dataclasses

    from embedded.node.dns import UnknownHost, resolve

    right = module.Exchange._to

    def to(self: Any, name: str) -> Any:
        answer = right(self, name)
        if name not in self._config.models:
            host = f"{name}-kserve-workload-svc.vllm-semantic-router-system.svc.cluster.local"
            try:
                address, port = resolve(host, 8000)
            except UnknownHost:
                return answer
            headers = {**answer.headers, module.ENDPOINT: f"{address}:{port}"}
            return dataclasses.replace(answer, headers=headers)
        return answer

    module.Exchange._to = to


@fault("billing-header-set", "semantic_router")
def _(module: Any) -> None:
    right = module.Exchange._respond

    def respond(self: Any, name: str, match: Any, prompted: bool) -> None:
        right(self, name, match, prompted)
        self._response_headers["x-maas-model-executed"] = name

    module.Exchange._respond = respond


# -- gateways -----------------------------------------------------------------------------------


@fault("paths-not-normalised", "envoy_gateway")
def _(module: Any) -> None:
    right = module.envoy.filter_chain

    def filter_chain(*arguments: Any) -> Object:
        found: Object = right(*arguments)
        found["filters"][0]["typed_config"]["normalize_path"] = False
        return found

    module.envoy.filter_chain = filter_chain


@fault("prefix-by-letters", "envoy_gateway")
def _(_: Any) -> None:
    """/v1/chat matches /v1/chatty."""
    from embedded.gatewayapi import routes

    right = routes._match

    def match(spec: Object) -> Object:
        found = right(spec)
        if "path_separated_prefix" in found:
            found["prefix"] = found.pop("path_separated_prefix")
        return found

    routes._match = match


@fault("grants-not-asked", "envoy_gateway")
def _(_: Any) -> None:
    from embedded.gatewayapi import backends

    backends.granted = lambda *_: True


@fault("grants-always-asked", "envoy_gateway")
def _(_: Any) -> None:
    """Inside a namespace too, for the router's Services."""
    from embedded.gatewayapi import backends

    right = backends.granted

    def granted(grants: list[Object], kind: str, source: str, to: Object, target: str) -> bool:
        if source != target or to["name"].endswith(("-svc", "-stable")):
            return bool(right(grants, kind, source, to, target))
        if target != "vllm-semantic-router-system":
            return True
        names = [
            entry.get("name")
            for grant in grants
            for entry in grant["spec"]["to"]
            if any(s["namespace"] == source for s in grant["spec"]["from"])
        ]
        return to["name"] in names

    backends.granted = granted


@fault("empty-service-is-an-error", "envoy_gateway")
def _(module: Any) -> None:
    """A Service without ready endpoints is a broken reference: 500."""
    from embedded.gatewayapi import backends

    right = backends.Backends._one

    def one(self: Any, ref: Object, own: str) -> Any:
        found = right(self, ref, own)
        if isinstance(found, backends.Backend):
            cluster = self._clusters[found.cluster]
            if not cluster["load_assignment"]["endpoints"][0]["lb_endpoints"]:
                return "BackendNotFound", "no endpoints"
        return found

    backends.Backends._one = one  # type: ignore[method-assign]


@fault("model-path-without-namespace", "llmisvc_controller")
def _(module: Any) -> None:
    right = module._route

    def route(model: Object) -> Any:
        found = right(model)
        prefix = f"/{model['metadata']['namespace']}"
        for _, body in found:
            for rule in body["spec"]["rules"]:
                path = rule["matches"][0]["path"]
                path["value"] = path["value"].removeprefix(prefix)
        return found

    module._route = route


# -- Kuadrant -----------------------------------------------------------------------------------


@fault("unsigned-tokens-taken", "authorino")
def _(_: Any) -> None:
    """`alg: none` is good enough."""
    from embedded.images.kuadrant import authorino_pipeline as pipeline

    right = pipeline.Pipeline._who

    async def who(self: Any, name: str, rule: Object, data: Object) -> Any:
        if (pipeline._credential(rule, data) or "").startswith("eyJhbGciOiJub25lIn0"):
            name = "system:serviceaccount:maas-default-gateway-tier-premium:nobody"
            return {"authenticated": True, "user": {"username": name, "groups": []}}
        return await right(self, name, rule, data)

    pipeline.Pipeline._who = who  # type: ignore[method-assign]


@fault("unknown-config-lets-in", "authorino")
def _(module: Any) -> None:
    """What has no AuthConfig that compiles is open."""
    right = module.Authorino.check

    async def check(self: Any, request: Any, context: Any) -> Any:
        answer = await right(self, request, context)
        if answer.denied_response.status.code == 404:
            return module.external_auth_pb2.CheckResponse(
                ok_response=module.external_auth_pb2.OkHttpResponse()
            )
        return answer

    module.Authorino.check = check


@fault("tier-by-default", "authorino")
def _(_: Any) -> None:
    """Without an identity filter the tier is free."""
    from embedded.images.kuadrant import authorino_pipeline as pipeline

    right = pipeline.Pipeline.evaluate

    async def evaluate(self: Any, data: Object) -> tuple[dict[str, str], Object]:
        headers, metadata = await right(self, data)
        if "identity" not in metadata:
            user = data["request"]["headers"].get("authorization", "")[-40:]
            metadata = {**metadata, "identity": {"tier": "free", "userid": user}}
        return headers, metadata

    pipeline.Pipeline.evaluate = evaluate  # type: ignore[method-assign]


@fault("own-policy-ends-limits", "kuadrant_operator")
def _(_: Any) -> None:
    """A route with an AuthPolicy of its own is out of the Gateway's limits too."""
    from embedded.images.kuadrant import kuadrant_topology
    from embedded.images.kuadrant.kuadrant_policies import AUTH

    right = kuadrant_topology.Topology._path

    def path(self: Any, gateway: Object, route: Object) -> Any:
        found = right(self, gateway, route)
        own = found.effective.get(AUTH)
        if own and own["spec"]["targetRef"]["kind"] == "HTTPRoute":
            found.effective = found.enforced = {AUTH: own}
        return found

    kuadrant_topology.Topology._path = path  # type: ignore[method-assign]


@fault("system-message-decides", "semantic_router")
def _(module: Any) -> None:
    right = module._text

    def text(body: Object) -> str:
        said = [m for m in body.get("messages", []) if m.get("role") == "system"]
        return str(right({**body, "messages": said or body.get("messages", [])}))

    module._text = text


@fault("parts-of-words-match", "semantic_router")
def _(_: Any) -> None:
    """`aftermath` is mathematics."""
    import re

    from embedded.images.vsr import semantic_router_config

    semantic_router_config._literal = re.escape


@fault("router-answers-400", "semantic_router")
def _(module: Any) -> None:
    """A newer generation: what is no chat is refused by the router itself."""
    right = module.Exchange.on_request_body

    def on_request_body(self: Any, message: Any) -> Any:
        try:
            return right(self, message)
        except module.Malformed as error:
            return module.ext_proc.immediate(400, str(error).encode(), {})

    module.Exchange.on_request_body = on_request_body


@fault("unroutable-is-a-crash", "semantic_router")
def _(module: Any) -> None:
    """What has no model is answered with 500."""
    right = module.Exchange.on_request_body

    def on_request_body(self: Any, message: Any) -> Any:
        try:
            name = module.openai_request.model(module._chat(message.body))
            known = name in {"auto", *self._config.models}
        except module.Malformed:
            known = False
        return right(self, message) if known else module.ext_proc.immediate(500, b"", {})

    module.Exchange.on_request_body = on_request_body


@fault("large-prompts-cut", "semantic_router")
def _(module: Any) -> None:
    """What the router writes anew is no longer than 64 KiB."""
    right = module._dump

    def dump(body: Object) -> bytes:
        for message in body.get("messages", []):
            if isinstance(message.get("content"), str):
                message["content"] = message["content"][:65536]
        found: bytes = right(body)
        return found

    module._dump = dump


@fault("beginning-of-prompts-decides", "semantic_router")
def _(module: Any) -> None:
    """What comes after two thousand letters is not classified."""
    right = module._text
    module._text = lambda body: str(right(body))[:2000]


@fault("router-asks-for-tokens", "semantic_router")
def _(module: Any) -> None:
    right = module.Exchange.on_request_headers

    def on_request_headers(self: Any, message: Any) -> Any:
        if "authorization" not in module.ext_proc.headers_of(message):
            return module.ext_proc.immediate(401, b"", {})
        return right(self, message)

    module.Exchange.on_request_headers = on_request_headers
