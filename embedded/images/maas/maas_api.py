"""maas-api: mints tokens, maps groups to tiers, lists models.

Stands for quay.io/opendatahub/maas-api, and with `--external-models` for
ghcr.io/nerdalert/maas-api (the fork `external-models`). Upstream:
opendatahub-io/models-as-a-service `maas-api/` of February 2026 (a90e3dbd; the fork: 30f93ad1, with
the patch of the quickstart). It trusts `X-MaaS-Username` and `X-MaaS-Group`, which the AuthPolicy
on its route sets. The parts are modules beside this one: `tokens`, `tiers`, `models`, `api_keys`,
and how Go reads and writes: `go_json`, `go_yaml`, `go_http`.

By default its view of accounts is the API server's: "mended". `--generation informers` has
upstream's, which lags (see `tokens`).
Left out: databases behind API keys, usage metrics, TLS, debug mode and its CORS, the server's
timeouts, logs in JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import os
from dataclasses import dataclass
from typing import Any

import httpx
from starlette.requests import Request
from starlette.responses import Response

from embedded.images.maas.api_keys import ApiKeys
from embedded.images.maas.go_http import JSON, Router, header
from embedded.images.maas.models import MODELS, ROUTES, Gateway, Models
from embedded.images.maas.tiers import GroupNotFound, TierError, Tiers, trimmed
from embedded.images.maas.tokens import (
    ACCOUNTS,
    Accounts,
    Caller,
    LaggingAccounts,
    TokenError,
    Tokens,
)
from embedded.shared import duration, go_json, web
from embedded.shared.dial import client
from embedded.shared.kube import ConnectionProblem, Kube, KubeError, path_of

HOUR = 3600 * duration.SECOND
DEFAULT, LEAST, KEY = 4 * HOUR, 600 * duration.SECOND, 30 * 24 * HOUR
EXCHANGED = 600 * duration.SECOND  # how long a token for one listing lives
IDLE_SECONDS = 60  # upstream's `cmd/server.go`
GENERATIONS = {"mended": Accounts, "informers": LaggingAccounts}
_START_AGAIN_SECONDS = 0.3
_REQUEST = go_json.Struct(
    "token.Request", {"expiration": go_json.nanoseconds, "name": go_json.string}
)
_CREATE = go_json.Struct(
    "api_keys.CreateRequest",
    {
        "name": go_json.string,
        "description": go_json.string,
        "expiration": go_json.nanoseconds,
    },
)
_LOOKUP = go_json.Struct("tier.LookupRequest", {"groups": go_json.strings})
Object = dict[str, Any]


@dataclass(frozen=True)
class Settings:
    """The environment of the Deployment: where it runs, its name, and which Gateway it serves."""

    namespace: str
    tenant: str
    gateway: Gateway
    fork: bool = False
    generation: str = "mended"


class MissingIdentity(Exception):
    """A request that did not come through the AuthPolicy; `ref` says what is missing."""

    def __init__(self, ref: str) -> None:
        super().__init__(ref)
        self.ref = ref


class MaasApi:
    """The HTTP API."""

    def __init__(self, kube: Kube, http: httpx.AsyncClient, settings: Settings) -> None:
        self._tiers = Tiers(kube, settings.namespace, settings.tenant)
        accounts = GENERATIONS[settings.generation](kube)
        self._tokens = Tokens(kube, self._tiers, accounts, settings.tenant)
        self._models = Models(kube, http, settings.gateway, settings.namespace, settings.fork)
        self._keys = ApiKeys()

    def app(self) -> Router:
        routes = [
            ("GET", "/health", self._health),
            ("GET", "/v1/models", self._list_models),
            ("POST", "/v1/tokens", self._create_token),
            ("DELETE", "/v1/tokens", self._revoke_tokens),
            ("POST", "/v1/api-keys", self._create_key),
            ("GET", "/v1/api-keys", self._list_keys),
            ("GET", "/v1/api-keys/{id}", self._get_key),
            ("POST", "/v1/tiers/lookup", self._lookup_tier),
        ]
        return Router(routes, MissingIdentity, _missing_identity)

    async def _health(self, _: Request) -> Response:
        return JSON({"status": "healthy"})

    async def _create_token(self, request: Request) -> Response:
        caller = _caller(request)
        try:
            body = _REQUEST.decode(await request.body())
        except go_json.Empty:
            body = {}
        except go_json.JSONError as error:
            return JSON({"error": str(error)}, 400)
        expiration = body.get("expiration", DEFAULT)
        if wrong := _wrong(expiration):
            shown = {"provided_expiration": duration.show(expiration)} if expiration > 0 else {}
            return JSON({"error": wrong, **shown}, 400)
        try:
            return JSON(await self._tokens.mint(caller, expiration), 201)
        except TokenError as error:
            return _failed("Failed to generate token", error)

    async def _revoke_tokens(self, request: Request) -> Response:
        caller = _caller(request)
        try:
            await self._tokens.revoke(caller)
        except TokenError as error:
            return _failed("Failed to revoke tokens", error)
        self._keys.expire(caller.username)
        return Response(status_code=204)

    async def _create_key(self, request: Request) -> Response:
        caller = _caller(request)
        try:
            body = _CREATE.decode(await request.body())
        except go_json.JSONError as error:
            return JSON({"error": str(error)}, 400)
        name, about = body.get("name", ""), body.get("description", "")
        if not name:
            return JSON({"error": "token name is required for api keys"}, 400)
        expiration = body.get("expiration", KEY)
        if wrong := _wrong(expiration):
            return JSON({"error": wrong}, 400)
        try:
            minted = await self._tokens.mint(caller, expiration)
            self._keys.add(caller.username, minted, name, about)
        except (TokenError, ValueError) as error:
            return _failed("Failed to generate api key", error)
        minted.pop("issuedAt")
        return JSON({**minted, "name": name, **({"description": about} if about else {})}, 201)

    async def _list_keys(self, request: Request) -> Response:
        return JSON(self._keys.of(_caller(request).username))

    async def _get_key(self, request: Request) -> Response:
        _caller(request)  # any caller may ask for any key, as upstream
        found = self._keys.get(request.path_params["id"])
        return JSON(found) if found else JSON({"error": "API key not found"}, 404)

    async def _lookup_tier(self, request: Request) -> Response:
        try:
            groups = _LOOKUP.decode(await request.body()).get("groups")
        except go_json.JSONError as error:
            return _lookup_failed(400, "bad_request", f"invalid request body: {error}")
        if not groups:
            tag = "required" if groups is None else "min"
            field = f"Field validation for 'Groups' failed on the '{tag}' tag"
            text = f"invalid request body: Key: 'LookupRequest.Groups' Error:{field}"
            return _lookup_failed(400, "bad_request", text)
        try:
            tier = await self._tiers.of(groups)
        except GroupNotFound as error:
            return _lookup_failed(404, "not_found", str(error))
        except TierError as error:
            return _lookup_failed(500, "internal_error", f"failed to lookup tier: {error}")
        return JSON({"tier": tier.name, "displayName": tier.display_name})

    async def _list_models(self, request: Request) -> Response:
        """With a token of the caller's account if the caller's own is not for this instance."""
        caller = _caller(request)
        sent = header(request, "authorization")
        if not sent:
            return _listing_failed(401, "Authorization token required")
        token = trimmed(trimmed(sent).removeprefix("Bearer "))
        if not token:
            return _listing_failed(401, "Valid authorization token required")
        if not self._tokens.is_meant(token):
            try:
                token = (await self._tokens.mint(caller, EXCHANGED))["token"]
            except TokenError as error:
                print(error, flush=True)
                return _listing_failed(500, "Failed to authorize request")
        found = await self._models.listed(token)
        return JSON({"data": found or None, "object": "list"})


def _caller(request: Request) -> Caller:
    """Who asks; raises MissingIdentity."""
    username = trimmed(header(request, "x-maas-username"))
    groups = header(request, "x-maas-group")
    if not username:
        raise MissingIdentity("001")
    if not groups:
        raise MissingIdentity("002")
    try:
        value = go_json.whole(groups.encode("utf-8", "surrogateescape"))
        named = [] if value.kind == "null" else go_json.strings(value)
    except (go_json.JSONError, go_json.Mismatch) as error:
        raise MissingIdentity("003") from error
    if not named:
        raise MissingIdentity("003")
    return Caller(username, [trimmed(group) for group in named])


def _missing_identity(error: MissingIdentity) -> Response:
    body = {
        "error": "Exception thrown while generating token",
        "exceptionCode": "AUTH_FAILURE",
        "refId": error.ref,
    }
    return JSON(body, 500)


def _wrong(expiration: int) -> str:
    """What is wrong with an expiration, of nanoseconds; "" if nothing is."""
    if expiration <= 0:
        return "expiration must be positive"
    return "token expiration must be at least 10 minutes" if expiration < LEAST else ""


def _failed(text: str, error: Exception) -> Response:
    print(f"{text}: {error}", flush=True)
    return JSON({"error": text}, 500)


def _lookup_failed(status: int, code: str, message: str) -> Response:
    return JSON({"error": code, "message": message}, status)


def _listing_failed(status: int, message: str) -> Response:
    kind = "authentication_error" if status == 401 else "server_error"
    return JSON({"error": {"message": message, "type": kind}}, status)


async def _until_readable(kube: Kube, namespace: str) -> None:
    """Until what upstream's informers follow may be listed and watched: it listens no sooner."""
    wanted = [("v1/namespaces", ""), (ACCOUNTS, ""), (MODELS, ""), (ROUTES, "")]
    places = [*wanted, ("v1/configmaps", namespace)]
    while True:
        try:
            await asyncio.gather(*(_readable(kube, *place) for place in places))
        except (KubeError, *ConnectionProblem) as error:
            print(f"cannot follow everything yet: {error}", flush=True)
            await asyncio.sleep(_START_AGAIN_SECONDS)
        else:
            return


async def _readable(kube: Kube, resource: str, namespace: str) -> None:
    """Raises KubeError if a resource may not be listed, or not be watched."""
    await kube.request("GET", f"{path_of(resource, namespace)}?limit=1")
    group_version, _, plural = resource.rpartition("/")
    group = group_version.rpartition("/")[0]
    asked = {"verb": "watch", "group": group, "resource": plural, "namespace": namespace}
    review = {"spec": {"resourceAttributes": asked}}
    found = await kube.create("authorization.k8s.io/v1/selfsubjectaccessreviews", review)
    if not found["status"]["allowed"]:
        raise KubeError(403, f"{plural} may not be watched")


async def _serve(settings: Settings, port: int) -> None:
    async with client() as http:
        kube = Kube("maas-api")
        await _until_readable(kube, settings.namespace)
        app = MaasApi(kube, http, settings).app()
        # As gin: no name of the server's, and no protocol to upgrade to.
        server = web.server(app, port, IDLE_SECONDS, server_header=False, ws="none")
        await server.serve()


def main(argv: list[str]) -> None:
    """Variables of the real one: NAMESPACE, INSTANCE_NAME (else the Gateway's), GATEWAY_NAME and
    GATEWAY_NAMESPACE."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--external-models", action="store_true", help="the fork's build")
    parser.add_argument("--generation", choices=GENERATIONS, default="mended")
    flags = parser.parse_args(argv)
    env = os.environ
    gateway = env.get("GATEWAY_NAME") or "maas-default-gateway"
    settings = Settings(
        env.get("NAMESPACE") or "maas-api",
        env.get("INSTANCE_NAME") or gateway,
        Gateway(gateway, env.get("GATEWAY_NAMESPACE") or "openshift-ingress"),
        flags.external_models,
        flags.generation,
    )
    asyncio.run(_serve(settings, flags.port))
