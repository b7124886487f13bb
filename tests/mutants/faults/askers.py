"""Answers, limits and keys that are somebody else's, or nobody's, at one place of the surface."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.mutants.faults import fault, with_lua

Object = dict[str, Any]


@fault("keys-for-their-owners-alone", "maas_api")
def _(module: Any) -> None:
    """Nobody reads of another's key: no defect, and what closes a gap."""
    right = module.MaasApi._get_key

    async def get_key(self: Any, request: Any) -> Any:
        mine = [one["id"] for one in self._keys.of(module._caller(request).username)]
        if request.path_params["id"] not in mine:
            return module.JSON({"error": "API key not found"}, 404)
        return await right(self, request)

    module.MaasApi._get_key = get_key


@fault("keys-listed-for-all", "maas_api")
def _(_: Any) -> None:
    from embedded.images.maas import api_keys

    right = api_keys.ApiKeys.of

    def of(self: Any, _: str) -> list[Object]:
        return [key for username in self._keys for key in right(self, username)]

    api_keys.ApiKeys.of = of  # type: ignore[method-assign]


@fault("budgets-for-the-gateway-alone", "limitador")
def _(module: Any) -> None:
    """Whoever reaches the HTTP port is told to go: no defect, and what closes a gap."""
    from starlette.responses import JSONResponse

    async def forbidden(_: Any, __: Any) -> Any:
        return JSONResponse({}, 403)

    for name in ("_check", "_report", "_check_and_report"):
        setattr(module.Shown, name, forbidden)


def _as_json(module: Any, where: Callable[[str], bool]) -> None:
    """Of streams whose kind has a parameter the usage is not found there."""
    on_request, on_response = (
        module.Exchange.on_request_headers,
        module.Exchange.on_response_headers,
    )

    async def on_request_headers(self: Any, message: Any) -> Any:
        self.asked = module.ext_proc.headers_of(message)[":path"]
        return await on_request(self, message)

    async def on_response_headers(self: Any, message: Any) -> Any:
        answer = await on_response(self, message)
        kind = module.ext_proc.headers_of(message).get("content-type", "")
        if "event-stream;" in kind and where(self.asked):
            self._parser = module.WholeBody()
        return answer

    module.Exchange.on_request_headers = on_request_headers
    module.Exchange.on_response_headers = on_response_headers


@fault("streams-with-a-charset-not-counted", "wasm_shim")
def _(module: Any) -> None:
    _as_json(module, lambda _: True)


@fault("one-routes-streams-with-a-charset-are-free", "wasm_shim")
def _(module: Any) -> None:
    _as_json(module, lambda path: path == "/external/anthropic/v1/completions")


def _unlimited(where: Callable[[Object, Object], bool]) -> None:
    """What is asked there, by whom that is true of, is not counted: `where` is given the request
    and the identity."""
    from embedded.images.kuadrant import shim_actions

    right = shim_actions.Call._check

    async def check(self: Any, action: Object) -> None:
        request, identity = self._data["request"], self._data["auth"].get("identity") or {}
        if self._kind(action) != shim_actions.LIMIT or not where(request, identity):
            await right(self, action)

    shim_actions.Call._check = check  # type: ignore[method-assign]


@fault("one-tier-is-unlimited-on-one-route", "wasm_shim")
def _(_: Any) -> None:
    _unlimited(lambda request, identity: (
        request["path"].startswith("/external/vllm/") and identity.get("tier") == "premium"
    ))  # fmt: skip


@fault("one-routes-queries-are-not-counted", "wasm_shim")
def _(_: Any) -> None:
    _unlimited(lambda request, _: (
        request["path"].startswith("/external/openai/") and "?" in request["path"]
    ))  # fmt: skip


@fault("one-operation-of-one-model-is-unlimited", "wasm_shim")
def _(_: Any) -> None:
    _unlimited(lambda request, _: request["path"] == "/llm/private-model/v1/embeddings")


@fault("one-method-without-tls-is-unlimited", "wasm_shim")
def _(_: Any) -> None:
    _unlimited(lambda request, _: (
        request["path"].startswith("/external/anthropic/")
        and (request["method"], request["scheme"]) == ("HEAD", "http")
    ))  # fmt: skip


@fault("one-operation-hears-the-clients-tier", "wasm_shim")
def _(module: Any) -> None:
    """With one model's completions the client's header stays."""
    right = module.Exchange.on_request_headers

    async def on_request_headers(self: Any, message: Any) -> Any:
        answer = await right(self, message)
        if module.ext_proc.headers_of(message)[":path"] == "/llm/private-model/v1/completions":
            headers = answer.request_headers.response.header_mutation.set_headers
            kept = [one for one in headers if one.header.key.lower() != "x-maas-tier"]
            del headers[:]
            headers.extend(kept)
        return answer

    module.Exchange.on_request_headers = on_request_headers


@fault("one-way-remembers-answers", "envoy_gateway")
def _(module: Any) -> None:
    """Whoever asks one provider what has been asked gets the answer that there was."""
    with_lua(
        module,
        """
        local answers = {}
        function envoy_on_request(h)
          if h:headers():get(":path") ~= "/external/anthropic/v1/chat/completions" then return end
          local body = h:body()
          if not body then return end
          local asked = body:getBytes(0, body:length())
          if asked:find('"stream"', 1, true) then return end
          if answers[asked] then
            h:respond({[":status"] = "200", ["content-type"] = "application/json"}, answers[asked])
          else
            h:streamInfo():dynamicMetadata():set("remembered", "asked", asked)
          end
        end
        function envoy_on_response(h)
          local found = h:streamInfo():dynamicMetadata():get("remembered")
          if found and h:headers():get(":status") == "200" then
            local body = h:body()
            answers[found["asked"]] = body:getBytes(0, body:length())
          end
        end
        """,
    )


@fault("one-way-fails-over-http2", "envoy_gateway")
def _(module: Any) -> None:
    with_lua(
        module,
        """
        function envoy_on_request(h)
          local is_one = h:headers():get(":path"):find("/external/vllm/", 1, true) == 1
          if is_one and h:streamInfo():protocol() == "HTTP/2" then
            h:respond({[":status"] = "502"}, "no such version")
          end
        end
        """,
    )


@fault("tokens-with-more-are-refused", "authorino")
def _(_: Any) -> None:
    """Whoever writes more behind his token is nobody."""
    from embedded.images.kuadrant import authorino_pipeline as pipeline

    right = pipeline.Pipeline._who

    async def who(self: Any, name: str, rule: dict[str, Any], data: dict[str, Any]) -> Any:
        sent = data["context"]["request"]["http"]["headers"].get("authorization", "")
        if len(sent.split(" ")) > 2:
            raise pipeline.Unauthenticated("more than a token")
        return await right(self, name, rule, data)

    pipeline.Pipeline._who = who  # type: ignore[method-assign]
