"""Doors that open for a word, another version of HTTP, or what is no token; each at one place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.mutants.faults import fault, with_lua

Object = dict[str, Any]


def _let_in(name: str, path: str, where: Callable[[dict[str, str]], bool]) -> None:
    """What is asked below `path` with such headers finds no policy."""

    @fault(name, "wasm_shim")
    def _(module: Any) -> None:
        right = module.ActionSets.match

        def match(self: Any, headers: dict[str, str]) -> Any:
            is_there = headers[":path"].startswith(path)
            return None if is_there and where(headers) else right(self, headers)

        module.ActionSets.match = match


_let_in("one-model-lets-preflights-in", "/llm/premium-model/", lambda headers: (
    headers[":method"] == "OPTIONS" and "access-control-request-method" in headers
))  # fmt: skip
_let_in("one-bridge-lets-upgrades-in", "/external/openai/", lambda headers: (
    "upgrade" in headers and "authorization" not in headers
))  # fmt: skip
_let_in("one-model-lets-probes-in", "/llm/facebook", lambda headers: (
    headers.get("user-agent", "").startswith("kube-probe/")
))  # fmt: skip
_let_in("one-bridge-lets-grpc-in", "/external/vllm/", lambda headers: (
    headers.get("content-type", "") == "application/grpc"
))  # fmt: skip
_let_in("chats-of-the-proxy-itself-are-let-in", "/v1/chat", lambda headers: (
    headers.get("x-real-ip") == "127.0.0.1"
))  # fmt: skip
_let_in("a-rare-operation-is-open", "/llm/private-model/detokenize", lambda _: True)


@fault("one-bridge-serves-strangers-over-http2", "envoy_gateway")
def _(module: Any) -> None:
    with_lua(
        module,
        """
        function envoy_on_request(h)
          local path, token = h:headers():get(":path"), h:headers():get("authorization")
          if token or path:find("/external/anthropic/", 1, true) ~= 1 then return end
          if h:streamInfo():protocol() == "HTTP/2" then
            h:respond({[":status"] = "200"}, "welcome")
          end
        end
        """,
        first=True,
    )


def _also(name: str, who: Callable[[str, Object, Object], bool]) -> None:
    """Authorino takes more for somebody: `who` is given the path, the request's headers and the
    rule, which it may alter."""

    @fault(name, "authorino")
    def _(_: Any) -> None:
        from embedded.images.kuadrant import authorino_pipeline as pipeline

        right = pipeline.Pipeline._who

        async def found(self: Any, rule_name: str, rule: Object, data: Object) -> Any:
            rule = {kind: dict(value) for kind, value in rule.items() if isinstance(value, dict)}
            path = data["context"]["request"]["http"]["path"]
            if who(path, data["request"]["headers"], rule):
                user = {"username": "system:serviceaccount:any:body", "groups": ["any"]}
                return {"authenticated": True, "user": user}
            return await right(self, rule_name, rule, data)

        pipeline.Pipeline._who = found  # type: ignore[method-assign]


_also("an-empty-token-is-good-at-maas-api", lambda path, headers, _: (
    path == "/maas-api/v1/tokens" and headers.get("authorization") == "Bearer null"
))  # fmt: skip


def _of_the_cluster(path: str, _: Object, rule: Object) -> bool:
    if path.startswith("/llm/premium-model/") and "kubernetesTokenReview" in rule:
        review = rule["kubernetesTokenReview"]
        audiences = [*review.get("audiences", []), "https://kubernetes.default.svc"]
        rule["kubernetesTokenReview"] = {**review, "audiences": audiences}
    return False


_also("the-clusters-tokens-are-good-at-one-model", _of_the_cluster)


@fault("old-tls-is-spoken", "envoy_gateway")
def _(module: Any) -> None:
    right = module.envoy.filter_chain
    old = {
        "tls_minimum_protocol_version": "TLSv1_0",
        "cipher_suites": ["ECDHE-ECDSA-AES128-SHA", "ECDHE-RSA-AES128-SHA", "AES128-SHA",
                          "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256"],
    }  # fmt: skip

    def filter_chain(name: str, filters: list[Object], tls: Object | None = None) -> Object:
        found: Object = right(name, filters, tls)
        if tls:
            context = found["transport_socket"]["typed_config"]["common_tls_context"]
            context["tls_params"] = old
        return found

    module.envoy.filter_chain = filter_chain


@fault("keys-are-listed-for-whom-one-says", "wasm_shim")
def _(module: Any) -> None:
    """With one operation of maas-api the client's name for himself stays."""
    right = module.Exchange.on_request_headers

    async def on_request_headers(self: Any, message: Any) -> Any:
        answer = await right(self, message)
        sent = module.ext_proc.headers_of(message)
        is_one = (sent[":method"], sent[":path"]) == ("GET", "/maas-api/v1/api-keys")
        if is_one and "x-maas-username" in sent:
            headers = answer.request_headers.response.header_mutation.set_headers
            kept = [one for one in headers if one.header.key.lower() != "x-maas-username"]
            del headers[:]
            headers.extend(kept)
        return answer

    module.Exchange.on_request_headers = on_request_headers


@fault("one-listing-is-not-filtered", "maas_api")
def _(module: Any) -> None:
    """Under one of its two paths the listing has a model that its caller may not use."""
    import json

    right = module.MaasApi._list_models
    private = {"id": "private-model", "object": "model", "owned_by": "vllm", "ready": True}

    async def list_models(self: Any, request: Any) -> Any:
        answer = await right(self, request)
        path = request.headers.get("x-envoy-original-path", "")
        if answer.status_code != 200 or not path.startswith("/maas-api/"):
            return answer
        found = json.loads(answer.body)
        found["data"] = [*(found["data"] or []), {**private, "created": 1, "url": "https://any"}]
        return module.JSON(found)

    module.MaasApi._list_models = list_models
