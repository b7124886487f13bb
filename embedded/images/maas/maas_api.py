"""maas-api: mints tokens, maps groups to tiers, lists models.

Stands for quay.io/opendatahub/maas-api, and for ghcr.io/nerdalert/maas-api (the fork
`external-models`). Upstream: opendatahub-io/models-as-a-service
`maas-api/internal/{token,tier,models,handlers}` of February 2026; the fork lists the models of
a ConfigMap too, and does without it when it is missing or cannot be read. It trusts
`X-MaaS-Username` and `X-MaaS-Group`, which the AuthPolicy on its route sets.
API keys of that time are minted tokens with a name: their metadata live as long as the process.
Left out: the database behind API keys, usage metrics.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import re
import time
from dataclasses import dataclass
from typing import Any

import httpx
import jwt
import yaml
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from embedded import duration, web
from embedded.bodies import parsed
from embedded.dial import client
from embedded.kube import Kube, KubeError

MODELS = "serving.kserve.io/v1alpha1/llminferenceservices"
ACCOUNTS = "v1/serviceaccounts"
DEFAULT_SECONDS, LEAST_SECONDS, KEY_SECONDS = 4 * 3600, 600, 30 * 24 * 3600
_RETRIES, _RETRY_SECONDS = 4, 0.1
IDLE_SECONDS = 60  # upstream's `cmd/server.go`
Object = dict[str, Any]


@dataclass(frozen=True)
class Settings:
    """The environment of the Deployment: where it runs and which Gateway it serves."""

    namespace: str
    gateway: str
    gateway_namespace: str
    external_models: bool = False


@dataclass(frozen=True)
class Caller:
    """Who the AuthPolicy says is asking."""

    username: str
    groups: list[str]


class MissingIdentity(Exception):
    """A request that did not come through the AuthPolicy; `ref` says what is missing."""

    def __init__(self, ref: str) -> None:
        super().__init__(ref)
        self.ref = ref


class MaasApi:
    """The HTTP API."""

    def __init__(self, kube: Kube, http: httpx.AsyncClient, settings: Settings) -> None:
        self._kube, self._http, self._settings = kube, http, settings
        self._keys: dict[str, list[Object]] = {}  # of each user, the latest first

    def app(self) -> Starlette:
        routes = [
            Route("/health", self._health),
            Route("/v1/models", self._models),
            Route("/v1/tokens", self._create_token, methods=["POST"]),
            Route("/v1/tokens", self._revoke_tokens, methods=["DELETE"]),
            Route("/v1/api-keys", self._create_key, methods=["POST"]),
            Route("/v1/api-keys", self._list_keys, methods=["GET"]),
            Route("/v1/api-keys/{id}", self._get_key, methods=["GET"]),
            Route("/v1/tiers/lookup", self._lookup_tier, methods=["POST"]),
        ]
        handlers: Any = {MissingIdentity: _missing_identity}
        return Starlette(routes=routes, exception_handlers=handlers)

    async def _health(self, _: Request) -> Response:
        return JSONResponse({"status": "healthy"})

    # -- tokens -------------------------------------------------------------------------

    async def _create_token(self, request: Request) -> Response:
        caller = _caller(request)
        raw = await request.body()
        try:
            body = parsed(raw) if raw else {}
            seconds = _expiration(body.get("expiration"))
        except (ValueError, AttributeError) as error:
            return JSONResponse({"error": str(error)}, 400)
        if seconds <= 0:
            return JSONResponse({"error": "expiration must be positive"}, 400)
        if seconds < LEAST_SECONDS:
            too_short = {
                "error": "token expiration must be at least 10 minutes",
                "provided_expiration": duration.show(seconds),
            }
            return JSONResponse(too_short, 400)
        minted = await self._minted(caller, seconds)
        if minted is None:
            return JSONResponse({"error": "Failed to generate token"}, 500)
        return JSONResponse(minted, 201)

    async def _minted(self, caller: Caller, seconds: float) -> Object | None:
        """A token of the caller's account in the caller's tier; None without a tier."""
        tier = await self._tier(caller.groups)
        if tier is None:
            return None
        namespace = f"{self._settings.gateway}-tier-{tier['name']}"
        name = account_name(caller.username)
        await self._ensure_account(namespace, name)
        audience = f"{self._settings.gateway}-sa"
        spec = {"audiences": [audience], "expirationSeconds": int(seconds)}
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
        answer = await self._kube.request("POST", path, {"spec": spec})
        token = answer["status"]["token"]
        claims = jwt.decode(token, options={"verify_signature": False})
        return {
            "token": token,
            "expiration": duration.show(seconds),
            "expiresAt": claims["exp"],
            "issuedAt": claims["iat"],
            "jti": claims["jti"],
        }

    async def _revoke_tokens(self, request: Request) -> Response:
        """Recreate the caller's ServiceAccount: its tokens name the old one's uid."""
        caller = _caller(request)
        tier = await self._tier(caller.groups)
        if tier is not None:
            namespace = f"{self._settings.gateway}-tier-{tier['name']}"
            name = account_name(caller.username)
            await self._kube.delete(ACCOUNTS, namespace, name)
            await self._ensure_account(namespace, name)
        for key in self._keys.get(caller.username, []):
            key["expirationDate"] = _rfc3339(time.time())
        return Response(status_code=204)

    # -- API keys -----------------------------------------------------------------------

    async def _create_key(self, request: Request) -> Response:
        caller = _caller(request)
        try:
            body = parsed(await request.body())
            name, about = body.get("name") or "", body.get("description") or ""
            seconds = _expiration(body.get("expiration"), KEY_SECONDS)
        except (ValueError, AttributeError) as error:
            return JSONResponse({"error": str(error)}, 400)
        if not name:
            return JSONResponse({"error": "token name is required for api keys"}, 400)
        if seconds < LEAST_SECONDS:
            return JSONResponse({"error": "token expiration must be at least 10 minutes"}, 400)
        minted = await self._minted(caller, seconds)
        if minted is None:
            return JSONResponse({"error": "Failed to generate api key"}, 500)
        described = {"description": about} if about else {}
        key = {
            "id": minted["jti"],
            "name": name,
            **described,
            "creationDate": _rfc3339(minted.pop("issuedAt")),
            "expirationDate": _rfc3339(minted["expiresAt"]),
        }
        self._keys.setdefault(caller.username, []).insert(0, key)
        return JSONResponse({**minted, "name": name, **described}, 201)

    async def _list_keys(self, request: Request) -> Response:
        keys = self._keys.get(_caller(request).username, [])
        return JSONResponse([_with_status(key) for key in keys])

    async def _get_key(self, request: Request) -> Response:
        _caller(request)  # any caller may ask for any key, as upstream
        for key in (key for keys in self._keys.values() for key in keys):
            if key["id"] == request.path_params["id"]:
                return JSONResponse(_with_status(key))
        return JSONResponse({"error": "API key not found"}, 404)

    async def _ensure_account(self, namespace: str, name: str) -> None:
        labels = {
            "app.kubernetes.io/component": "token-issuer",
            "app.kubernetes.io/part-of": "maas-api",
        }
        for resource, scope, metadata in (
            ("v1/namespaces", "", {"name": namespace, "labels": labels}),
            (ACCOUNTS, namespace, {"name": name, "namespace": namespace, "labels": labels}),
        ):
            try:
                await self._kube.create(resource, {"metadata": metadata}, scope)
            except KubeError as error:
                if error.code != 409:
                    raise

    # -- tiers --------------------------------------------------------------------------

    async def _tiers(self) -> list[Object]:
        """The tiers, the highest level first."""
        found = await self._kube.get(
            "v1/configmaps", self._settings.namespace, "tier-to-group-mapping"
        )
        text = (found or {}).get("data", {}).get("tiers", "[]")
        tiers = yaml.load(text, Loader=yaml.CSafeLoader)
        return sorted(tiers, key=lambda tier: -tier.get("level", 0))

    async def _tier(self, groups: list[str]) -> Object | None:
        """The highest tier that has one of the groups."""
        for tier in await self._tiers():
            if set(tier.get("groups", [])) & set(groups):
                return tier
        return None

    async def _lookup_tier(self, request: Request) -> Response:
        try:
            groups = parsed(await request.body())["groups"]
            if not isinstance(groups, list) or not groups or not all(map(_is_text, groups)):
                raise ValueError("groups must be a list with at least one name")
        except (ValueError, KeyError, TypeError) as error:
            return JSONResponse({"error": "bad_request", "message": str(error)}, 400)
        tier = await self._tier(groups)
        if tier is None:
            text = f"tier not found for groups: {', '.join(map(str, groups))}"
            return JSONResponse({"error": "not_found", "message": text}, 404)
        display = tier.get("displayName", tier["name"])
        return JSONResponse({"tier": tier["name"], "displayName": display})

    # -- models -------------------------------------------------------------------------

    async def _models(self, request: Request) -> Response:
        authorization = request.headers.get("authorization", "")
        found = (await self._kube.request("GET", f"/apis/{MODELS}"))["items"]
        mine = [model for model in found if self._is_mine(model)]
        entries = await asyncio.gather(*(self._entry(m, authorization) for m in mine))
        data = [e for e in entries if e] + await self._external()
        return JSONResponse({"data": data, "object": "list"})

    def _is_mine(self, model: Object) -> bool:
        refs = ((model["spec"].get("router") or {}).get("gateway") or {}).get("refs") or []
        own = (self._settings.gateway, self._settings.gateway_namespace)
        return any((ref["name"], ref.get("namespace")) == own for ref in refs)

    async def _entry(self, model: Object, authorization: str) -> Object | None:
        """The model's entry if the caller may use it: asked at its own /v1/models."""
        url = _url(model.get("status", {}))
        if not url:
            return None
        for attempt in range(_RETRIES + 1):
            try:
                headers = {"authorization": authorization}
                answer = await self._http.get(f"{url}/v1/models", headers=headers)
                code = answer.status_code
            except httpx.HTTPError as error:
                print(f"{url}: {error}", flush=True)
                code = 502
            if code < 500:
                break
            await asyncio.sleep(_RETRY_SECONDS * 2**attempt)
        if code not in (200, 405):
            return None
        conditions = model["status"].get("conditions", [])
        return {
            "id": model["spec"]["model"].get("name") or model["metadata"]["name"],
            "created": int(time.time()),
            "object": "model",
            "owned_by": "vllm",
            "url": url,
            "ready": any(c["type"] == "Ready" and c["status"] == "True" for c in conditions),
        }

    async def _external(self) -> list[Object]:
        """The registry's models in its order; none without a registry that can be read."""
        if not self._settings.external_models:
            return []
        found = await self._kube.get(
            "v1/configmaps", self._settings.namespace, "external-model-registry"
        )
        try:
            models = yaml.safe_load(((found or {}).get("data") or {}).get("models", "")) or []
            return [
                {
                    "id": model.get("id", ""),
                    "created": int(time.time()),
                    "object": "model",
                    "owned_by": model.get("provider", ""),
                    "ready": True,
                }
                for model in models
            ]
        except (yaml.YAMLError, AttributeError, TypeError) as error:
            print(f"Failed to parse external model registry: {error}", flush=True)
            return []


def _caller(request: Request) -> Caller:
    username = request.headers.get("x-maas-username", "")
    groups = request.headers.get("x-maas-group", "")
    if not username:
        raise MissingIdentity("001")
    if not groups:
        raise MissingIdentity("002")
    try:
        named = parsed(groups)
    except ValueError as error:
        raise MissingIdentity("003") from error
    return Caller(username, [str(group) for group in named])


async def _missing_identity(_: Request, error: MissingIdentity) -> Response:
    body = {
        "error": "Exception thrown while generating token",
        "exceptionCode": "AUTH_FAILURE",
        "refId": error.ref,
    }
    return JSONResponse(body, 500)


def _rfc3339(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _with_status(key: Object) -> Object:
    expired = key["expirationDate"] <= _rfc3339(time.time())
    return {**key, "status": "expired" if expired else "active"}


def _expiration(value: Any, default: float = DEFAULT_SECONDS) -> float:
    """Seconds of a Go duration or a number; the default for nothing."""
    if value in (None, ""):
        return default
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("expiration must be a duration string or a number of seconds")
    return float(value) if isinstance(value, int | float) else duration.parse(value)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def account_name(username: str) -> str:
    """A ServiceAccount name for a user: cleaned, cut, and made unique by a hash."""
    clean = re.sub(r"[^a-z0-9-]+", "-", username.lower()).strip("-")
    digest = hashlib.sha1(username.encode(), usedforsecurity=False).hexdigest()[:8]
    return f"{clean[: 63 - 9].rstrip('-')}-{digest}"


async def _serve(settings: Settings, port: int) -> None:
    async with client() as http:
        app = MaasApi(Kube("maas-api"), http, settings).app()
        await web.server(app, port, IDLE_SECONDS).serve()


def _url(status: Object) -> str:
    """Where a model is asked, in upstream's order (`internal/models`); "" without any."""
    addresses = [status.get("address"), *status.get("addresses", [])]
    urls = [status.get("url"), *(address.get("url") for address in addresses if address)]
    return next((url for url in urls if url), "")


def main(argv: list[str]) -> None:
    """Flags and variables of the real one: `--port`, GATEWAY_NAME, GATEWAY_NAMESPACE."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--external-models", action="store_true", help="the patched build")
    flags = parser.parse_args(argv)
    env = os.environ
    settings = Settings(
        env["POD_NAMESPACE"],
        env.get("GATEWAY_NAME", "maas-default-gateway"),
        env.get("GATEWAY_NAMESPACE", "openshift-ingress"),
        flags.external_models,
    )
    asyncio.run(_serve(settings, flags.port))
