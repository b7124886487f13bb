"""Answers, limits and keys that are somebody else's, or nobody's, at one place of the surface."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.mutants.faults import fault

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
