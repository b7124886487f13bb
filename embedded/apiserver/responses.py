"""JSON responses of the API."""

from __future__ import annotations

import json
from typing import Any

from starlette.responses import Response

from embedded.apiserver.resources import Resource

Object = dict[str, Any]


def versioned(obj: Object, resource: Resource, version: str) -> Object:
    """The object under the apiVersion that was asked for."""
    wanted = resource.api_version(version)
    return obj if obj.get("apiVersion") == wanted else {**obj, "apiVersion": wanted}


def respond(
    body: Object, code: int = 200, warnings: list[str] | None = None, media_type: str = ""
) -> Response:
    """A JSON response; warnings go into headers, as RFC 7234 has them."""
    response = Response(json.dumps(body), code, media_type=media_type or "application/json")
    for warning in warnings or []:
        text = warning.replace("\\", "\\\\").replace('"', '\\"')
        response.headers.append("warning", f'299 - "{text}"')
    return response
