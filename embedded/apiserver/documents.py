"""What is not an object: discovery, versions, health, OpenAPI, keys."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from embedded.apiserver import discovery, status
from embedded.apiserver.authn import ISSUER, Tokens
from embedded.apiserver.resources import Registry
from embedded.apiserver.responses import respond

Object = dict[str, Any]


def answer(registry: Registry, tokens: Tokens, request: Request, path: str) -> Response:
    """The document at a path; raises 404."""
    accept = request.headers.get("accept", "")
    parts = [part for part in path.split("/") if part]
    match parts:
        case ["healthz" | "livez" | "readyz", *_]:
            return PlainTextResponse("ok")
        case ["api"] | ["apis"] if "as=APIGroupDiscoveryList" in accept and "v=v2;" in accept:
            listing = discovery.aggregated(registry, core=parts == ["api"])
            return respond(listing, media_type=discovery.AGGREGATED)
        case ["openapi", "v2"]:
            # kubectl wants it for kinds that it cannot find; an empty protobuf document.
            return Response(b"", media_type=discovery.OPENAPI_V2)
    found = _found(registry, tokens, parts)
    if found is None:
        raise status.no_such_path()
    return respond(found)


def _found(registry: Registry, tokens: Tokens, parts: list[str]) -> Object | None:
    match parts:
        case ["version"]:
            return discovery.VERSION
        case ["api"]:
            return discovery.api_versions()
        case ["api", version]:
            return discovery.resource_list(registry, "", version)
        case ["apis"]:
            return discovery.group_list(registry)
        case ["apis", group]:
            return discovery.group(registry, group)
        case ["apis", group, version]:
            return discovery.resource_list(registry, group, version)
        case ["openapi", "v3"]:
            return discovery.openapi_index(registry)
        case ["openapi", "v3", "api", version]:
            return discovery.openapi(registry, "", version)
        case ["openapi", "v3", "apis", group, version]:
            return discovery.openapi(registry, group, version)
        case ["openid", "v1", "jwks"]:
            return tokens.jwks()
        case [".well-known", "openid-configuration"]:
            return {"issuer": ISSUER, "jwks_uri": f"{ISSUER}/openid/v1/jwks"}
    return None
