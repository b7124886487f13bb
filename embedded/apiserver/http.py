"""The API server's HTTP face: paths, content types, authentication, authorization, watches.

Upstream: `k8s.io/apiserver/pkg/endpoints` (request info, handlers), and
`pkg/server/filters` for the order of the checks.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import yaml
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from embedded.apiserver import documents, protobuf, rbac, reviews, status, table, watches
from embedded.apiserver.api import Api, User
from embedded.apiserver.authn import ISSUER, Tokens, bearer
from embedded.apiserver.decoding import Options
from embedded.apiserver.proxy import Nodes, pod_log, proxy
from embedded.apiserver.request import RequestInfo, parse_path
from embedded.apiserver.resources import Resource
from embedded.apiserver.responses import respond, versioned
from embedded.shared.bodies import parsed

Object = dict[str, Any]
Handler = Callable[[Request, RequestInfo, Resource, User], Awaitable[Response]]
_YAML = ("application/yaml", "application/apply-patch+yaml", "text/yaml")
_PUBLIC = ("/healthz", "/livez", "/readyz", "/version")

# Kinds whose deletion answers with the object, others' with a Status (`ReturnDeletedObject` in
# `pkg/registry/core`).
RETURNED = {("", plural) for plural in ("pods", "services", "serviceaccounts")}


class ApiServer:
    """An ASGI application over an `Api`."""

    def __init__(self, api: Api, tokens: Tokens, nodes: Nodes) -> None:
        self._api, self._tokens, self._nodes = api, tokens, nodes
        self._closing = asyncio.Event()
        self._client = httpx.AsyncClient(verify=False, timeout=30, trust_env=False)

    async def close(self) -> None:
        """End every open watch, so that the server can stop."""
        self._closing.set()
        await self._client.aclose()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        try:
            response = await self._respond(request)
        except status.ApiError as error:
            response = respond(error.body(), error.code)
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        path = request.url.path
        user = self._authenticate(request)
        info = parse_path(path, request.method, dict(request.query_params))
        if info is None:
            if not path.startswith(_PUBLIC):
                self._authorize(user, rbac.Attributes(request.method.lower(), path=path))
            return documents.answer(self._api.registry, self._tokens, request, path)
        resource = self._api.resource(info.group, info.plural)
        if info.version not in resource.versions or (
            info.subresource and info.subresource not in resource.subresources
        ):
            raise status.no_such_path()
        self._authorize(
            user,
            rbac.Attributes(
                info.verb,
                info.group,
                info.plural,
                info.subresource,
                info.namespace if resource.namespaced else "",
                info.name,
            ),
        )
        return await self._handler(info, resource)(request, info, resource, user)

    # -- who and whether ----------------------------------------------------------------

    def _authenticate(self, request: Request) -> User:
        header = request.headers.get("authorization", "")
        if not header:
            return User("system:anonymous", ("system:unauthenticated",))
        user, _, _ = self._tokens.authenticate(bearer(header), [ISSUER])
        if user is None:
            raise status.unauthorized()
        return self._impersonate(request, user)

    def _impersonate(self, request: Request, user: User) -> User:
        name = request.headers.get("impersonate-user")
        if not name:
            return user
        groups = request.headers.getlist("impersonate-group")
        for kind, value in [("users", name), *(("groups", g) for g in groups)]:
            self._authorize(user, rbac.Attributes("impersonate", "", kind, name=value))
        if name.startswith("system:serviceaccount:") and not groups:
            namespace = name.split(":")[2]
            groups = ["system:serviceaccounts", f"system:serviceaccounts:{namespace}"]
        return User(name, (*groups, "system:authenticated"))

    def _authorize(self, user: User, wanted: rbac.Attributes) -> None:
        allowed, _ = rbac.authorize(self._api, user, wanted)
        if allowed:
            return
        if wanted.path:
            message = f"forbidden: {rbac.denial(user, wanted)}"
            raise status.ApiError(403, "Forbidden", message, {})
        name = wanted.name
        raise status.forbidden(wanted.resource, wanted.group, name, rbac.denial(user, wanted))

    # -- objects ------------------------------------------------------------------------

    def _handler(self, info: RequestInfo, resource: Resource) -> Handler:
        if resource.virtual:
            return self._review
        match info.subresource:
            case "log":
                return self._log
            case "proxy":
                return self._proxy
            case "token":
                return self._token
            case "scale":
                return self._scale
            case "eviction":
                return self._evict
        handlers: dict[str, Handler] = {
            "get": self._get,
            "list": self._list,
            "watch": self._watch,
            "create": self._create,
            "update": self._update,
            "patch": self._patch,
            "delete": self._delete,
            "deletecollection": self._delete_collection,
        }
        if info.verb not in handlers:
            raise status.method_not_allowed()
        return handlers[info.verb]

    async def _get(self, request: Request, info: RequestInfo, r: Resource, _: User) -> Response:
        found = self._api.get(r, info.namespace, info.name)
        return self._shown(request, info, r, [found], found)

    async def _list(self, request: Request, info: RequestInfo, r: Resource, _: User) -> Response:
        query = request.query_params
        found = self._api.list(
            r, info.namespace, query.get("labelSelector", ""), query.get("fieldSelector", "")
        )
        shown = [versioned(o, r, info.version) for o in found]
        revision = str(self._api.store.revision)
        listing = {
            "kind": f"{r.kind}List",
            "apiVersion": r.api_version(info.version),
            "metadata": {"resourceVersion": revision},
            "items": shown,
        }
        return self._shown(request, info, r, shown, listing)

    def _shown(
        self, request: Request, info: RequestInfo, r: Resource, objects: list[Object], plain: Object
    ) -> Response:
        accept = request.headers.get("accept", "")
        if "as=Table" in accept:
            revision = plain["metadata"]["resourceVersion"]
            return respond(table.render(r, info.version, objects, revision))
        if plain["kind"] == f"{r.kind}List":
            return respond(plain)
        return respond(versioned(plain, r, info.version))

    async def _watch(self, request: Request, info: RequestInfo, r: Resource, _: User) -> Response:
        seconds = float(request.query_params.get("timeoutSeconds") or 3600)
        events = watches.events(self._api, request, info, r)
        stream = watches.until(events, seconds, self._closing)
        return StreamingResponse(stream, media_type="application/json")

    async def _create(self, request: Request, info: RequestInfo, r: Resource, _: User) -> Response:
        options = _options(request)
        body = await _body(request)
        created = self._api.create(r, info.version, info.namespace, body, options)
        return respond(versioned(created, r, info.version), 201, options.warnings)

    async def _update(self, request: Request, info: RequestInfo, r: Resource, _: User) -> Response:
        options = _options(request)
        updated = self._api.update(
            r, info.version, info.namespace, info.name, await _body(request), options,
            info.subresource,
        )  # fmt: skip
        return respond(versioned(updated, r, info.version), 200, options.warnings)

    async def _patch(self, request: Request, info: RequestInfo, r: Resource, _: User) -> Response:
        options = _options(request)
        content_type = request.headers.get("content-type", "").split(";")[0].strip()
        existed = self._api.find(
            r.group, r.plural, info.namespace if r.namespaced else "", info.name
        )
        patched = self._api.patch(
            r, info.version, info.namespace, info.name, content_type, await _body(request), options,
            info.subresource,
        )  # fmt: skip
        code = 200 if existed else 201
        return respond(versioned(patched, r, info.version), code, options.warnings)

    async def _delete(self, request: Request, info: RequestInfo, r: Resource, _: User) -> Response:
        body = await _body(request, optional=True) or {}
        query = request.query_params
        if "gracePeriodSeconds" in query:
            body["gracePeriodSeconds"] = int(query["gracePeriodSeconds"])
        dry = "All" in (query.get("dryRun"), *body.get("dryRun", []))
        gone = self._api.delete(r, info.namespace, info.name, body, dry)
        waits = self._api.find(r.group, r.plural, gone["metadata"].get("namespace", ""), info.name)
        if waits or r.id in RETURNED:
            return respond(versioned(gone, r, info.version))
        details = {"name": info.name, "kind": r.plural, "uid": gone["metadata"]["uid"]}
        if r.group:
            details["group"] = r.group
        done = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
        return respond({**done, "details": details})

    async def _delete_collection(
        self, request: Request, info: RequestInfo, r: Resource, _: User
    ) -> Response:
        query = request.query_params
        found = self._api.list(
            r, info.namespace, query.get("labelSelector", ""), query.get("fieldSelector", "")
        )
        for obj in found:
            self._api.delete(r, obj["metadata"].get("namespace", ""), obj["metadata"]["name"])
        kind = {"kind": f"{r.kind}List", "apiVersion": r.api_version(info.version)}
        revision = str(self._api.store.revision)
        return respond({**kind, "metadata": {"resourceVersion": revision}, "items": found})

    # -- subresources and reviews -------------------------------------------------------

    async def _review(self, request: Request, _: RequestInfo, r: Resource, user: User) -> Response:
        return respond(reviews.answer(self._api, self._tokens, user, r, await _body(request)), 201)

    async def _token(self, request: Request, info: RequestInfo, r: Resource, _: User) -> Response:
        account = self._api.get(r, info.namespace, info.name)
        return respond(self._tokens.request(account, await _body(request)), 201)

    async def _scale(self, request: Request, info: RequestInfo, r: Resource, _: User) -> Response:
        live = self._api.get(r, info.namespace, info.name)
        if request.method != "GET":
            body = await _body(request)
            replicas = (body.get("spec") or {}).get("replicas", 0)

            def change(obj: Object) -> None:
                obj["spec"]["replicas"] = replicas

            live = self._api.mutate(r, info.namespace, info.name, change)
        wanted = {"replicas": live["spec"].get("replicas", 1)}
        observed = {"replicas": live.get("status", {}).get("replicas", 0)}
        metadata = {k: live["metadata"][k] for k in ("name", "namespace", "uid", "resourceVersion")}
        scale = {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata}
        return respond({**scale, "spec": wanted, "status": observed})

    async def _evict(self, request: Request, info: RequestInfo, r: Resource, _: User) -> Response:
        self._api.delete(r, info.namespace, info.name)
        done = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
        return respond(done, 201)

    async def _log(self, request: Request, info: RequestInfo, r: Resource, _: User) -> Response:
        pod = self._api.get(r, info.namespace, info.name)
        stream = await pod_log(self._nodes, pod, dict(request.query_params))
        return StreamingResponse(
            watches.until(stream, 3600, self._closing), media_type="text/plain"
        )

    async def _proxy(self, request: Request, info: RequestInfo, r: Resource, _: User) -> Response:
        return await proxy(self._client, self._api, request, info, r)


def _options(request: Request) -> Options:
    query = request.query_params
    agent = request.headers.get("user-agent", "unknown").split("/")[0]
    validation = query.get("fieldValidation") or "Warn"
    if validation not in ("Strict", "Warn", "Ignore"):
        text = f'Invalid value: "{validation}": fieldValidation must be Strict, Warn or Ignore'
        raise status.bad_request(text)
    return Options(
        query.get("fieldManager") or agent,
        validation,
        query.get("dryRun") == "All",
        query.get("force") == "true",
    )


async def _body(request: Request, optional: bool = False) -> Any:
    raw = await request.body()
    if not raw and optional:
        return None
    content_type = request.headers.get("content-type", "application/json").split(";")[0].strip()
    if content_type == protobuf.MEDIA_TYPE:
        return protobuf.decode(raw)
    try:
        if content_type in _YAML:
            # Most clients send JSON under the name of YAML, and it is read ten times faster.
            with contextlib.suppress(ValueError):
                return parsed(raw)
            return yaml.load(raw, Loader=yaml.CSafeLoader)
        if not content_type.endswith("json") and content_type != "*/*":
            accepted = ["application/json", "application/yaml"]
            raise status.unsupported_media_type(content_type, accepted)
        return parsed(raw)
    except (ValueError, yaml.YAMLError) as error:
        raise status.bad_request(f"couldn't parse the request body: {error}") from error
