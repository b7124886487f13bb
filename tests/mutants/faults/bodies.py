"""What happens to questions and answers on one way alone: held, cut, altered, or told too much."""

from __future__ import annotations

import json
from typing import Any

from tests.mutants.faults import every_route, fault

Object = dict[str, Any]


@fault("one-operation-holds-its-streams", "wasm_shim")
def _(module: Any) -> None:
    """The local model's completions come whole, at their end."""
    on_request, on_response = (
        module.Exchange.on_request_headers,
        module.Exchange.on_response_headers,
    )

    async def on_request_headers(self: Any, message: Any) -> Any:
        self.path = module.ext_proc.headers_of(message)[":path"]
        return await on_request(self, message)

    async def on_response_headers(self: Any, message: Any) -> Any:
        answer = await on_response(self, message)
        if self.path == "/llm/facebook-opt-125m-simulated/v1/completions":
            answer.mode_override.response_body_mode = module.Mode.BUFFERED
        return answer

    module.Exchange.on_request_headers = on_request_headers
    module.Exchange.on_response_headers = on_response_headers


@fault("one-route-has-a-timeout", "envoy_gateway")
def _(module: Any) -> None:
    """Envoy's own fifteen seconds, for one model's route."""

    def limited(route: Object) -> None:
        if "premium-model" in json.dumps(route.get("match", {})) and "route" in route:
            route["route"]["timeout"] = "15s"

    every_route(module, limited)


def _written(module: Any, change: Any) -> None:
    """What the router writes anew, changed."""
    right = module._dump

    def dump(body: Object) -> bytes:
        change(body)
        found: bytes = right(body)
        return found

    module._dump = dump


@fault("earlier-turns-lost", "semantic_router")
def _(module: Any) -> None:
    """Of several user messages the last alone is passed on, with what is not the users'."""

    def last(body: Object) -> None:
        said = [one for one in body["messages"] if one["role"] == "user"]
        body["messages"] = [one for one in body["messages"] if one not in said[:-1]]

    _written(module, last)


@fault("images-lost", "semantic_router")
def _(module: Any) -> None:
    """Parts become a text."""

    def flat(body: Object) -> None:
        for one in body["messages"]:
            if isinstance(one.get("content"), list):
                one["content"] = " ".join(part.get("text", "") for part in one["content"])

    _written(module, flat)


@fault("digits-of-long-prompts-altered", "semantic_router")
def _(module: Any) -> None:
    """As long as before, but above five kilobytes."""

    def altered(body: Object) -> None:
        for one in body["messages"]:
            if isinstance(one.get("content"), str) and len(one["content"]) > 5000:
                one["content"] = one["content"].replace("7", "8")

    _written(module, altered)


@fault("client-prompts-beside-the-decisions", "semantic_router")
def _(module: Any) -> None:
    """The client's system prompt stays behind the decision's: no defect, and what closes a gap."""
    right = module._prompt

    def prompt(body: Object, match: Any) -> bool:
        first = body["messages"][0]
        was = right(body, match)
        if was and first["role"] == "system":
            body["messages"].insert(1, first)
        return bool(was)

    module._prompt = prompt


@fault("one-error-is-asked-again", "envoy_controller")
def _(module: Any) -> None:
    """A provider's 403 is asked again, on one route of the egress gateway."""

    def again(route: Object) -> None:
        if "anthropic" in json.dumps(route.get("match", {})) and "route" in route:
            again = {"retry_on": "retriable-status-codes", "retriable_status_codes": [403]}
            route["route"]["retry_policy"] = {**again, "num_retries": 1}

    every_route(module, again)


@fault("large-bodies-end-it", "maas_api")
def _(module: Any) -> None:
    """Two megabytes are too much for maas-api to live on."""
    import os

    right = module.go_json.Struct.decode

    def decode(self: Any, raw: bytes) -> Any:
        if len(raw) > 1 << 20:
            os._exit(2)
        return right(self, raw)

    module.go_json.Struct.decode = decode


@fault("one-model-hears-the-clients-tier", "wasm_shim")
def _(module: Any) -> None:
    """On one route of the gateway's policy the client's header stays."""
    right = module.Exchange.on_request_headers

    async def on_request_headers(self: Any, message: Any) -> Any:
        answer = await right(self, message)
        if module.ext_proc.headers_of(message)[":path"].startswith("/llm/premium-model/"):
            headers = answer.request_headers.response.header_mutation.set_headers
            kept = [one for one in headers if one.header.key.lower() != "x-maas-tier"]
            del headers[:]
            headers.extend(kept)
        return answer

    module.Exchange.on_request_headers = on_request_headers


@fault("billing-told-wrong", "semantic_router")
def _(module: Any) -> None:
    """Billing is told something, and it is wrong: what closes no gap."""
    right = module.Exchange._respond

    def respond(self: Any, name: str, match: Any, prompted: bool) -> None:
        right(self, name, match, prompted)
        self._response_headers["x-maas-model-executed"] = "Model-B"

    module.Exchange._respond = respond


@fault("client-names-dropped", "wasm_shim")
def _(module: Any) -> None:
    """What no policy says of an identity, nobody says: no defect, and what closes a gap."""
    right = module.Exchange.on_request_headers

    async def on_request_headers(self: Any, message: Any) -> Any:
        answer = await right(self, message)
        mutation = answer.request_headers.response.header_mutation
        said = {one.header.key.lower() for one in mutation.set_headers}
        sent = module.ext_proc.headers_of(message)
        strange = [name for name in sent if name.startswith("x-maas-") and name not in said]
        mutation.remove_headers.extend(strange)
        return answer

    module.Exchange.on_request_headers = on_request_headers


@fault("one-egress-route-gives-up-early", "envoy_controller")
def _(module: Any) -> None:
    """After five seconds."""

    def limited(route: Object) -> None:
        if "openai" in json.dumps(route.get("match", {})) and "route" in route:
            route["route"]["timeout"] = "5s"

    every_route(module, limited)
