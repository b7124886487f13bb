"""The phases of one AuthConfig: identity → metadata → authorization → response."""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import httpx

from embedded.images.kuadrant.authorino_limiter import Hurried, Limiter
from embedded.images.kuadrant.authorino_paths import select
from embedded.shared import cel
from embedded.shared.kube import Kube, KubeError

Object = dict[str, Any]
REASON = "X-Ext-Auth-Reason"  # as upstream writes it; names come in the policy's case
_TOKEN_REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"
# A cache is of 1 MiB (`--evaluator-cache-size`), and freecache takes no entry larger than a quarter
# of one of its 256 segments, less its header. A ServiceAccount's token and who it is are larger.
CACHED_BYTES = 1024 * 1024 // 256 // 4 - 24
_ACCESS_REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
_KNOWN = {
    "authentication": ("kubernetesTokenReview", "anonymous", "plain"),
    "metadata": ("http",),
    "authorization": ("kubernetesSubjectAccessReview", "patternMatching"),
}


class UnsupportedError(Exception):
    """An AuthConfig that cannot be evaluated: unknown features, or CEL that is none."""


class Denied(Exception):
    """A refusal: HTTP status and headers."""

    def __init__(self, code: int, headers: dict[str, str]) -> None:
        super().__init__(headers.get(REASON, ""))
        self.code, self.headers = code, headers


def _expressions(part: Any) -> Iterator[str]:
    """Every CEL expression of an AuthConfig's spec."""
    if isinstance(part, list):
        for one in part:
            yield from _expressions(one)
    if isinstance(part, dict):
        for name, value in part.items():
            if name in ("expression", "predicate") and isinstance(value, str):
                yield value
            else:
                yield from _expressions(value)


class Unauthenticated(Exception):
    """One identity rule that did not find who it is."""


class Pipeline:
    """Evaluates requests against one AuthConfig spec."""

    def __init__(
        self,
        spec: Object,
        kube: Kube,
        client: httpx.AsyncClient,
        reviews_per_second: float,
    ) -> None:
        for phase, known in _KNOWN.items():
            for name, rule in (spec.get(phase) or {}).items():
                if not any(kind in rule for kind in known):
                    text = f"{phase}.{name}: the embedded Authorino knows {', '.join(known)}"
                    raise UnsupportedError(text)
        for expression in _expressions(spec):
            try:
                cel.check(expression)
            except cel.CelError as error:
                raise UnsupportedError(str(error)) from error
        self._spec, self._kube, self._client = spec, kube, client
        self._caches: dict[str, dict[str, tuple[float, Any]]] = {}
        self._limiters: dict[str, Limiter] = defaultdict(lambda: Limiter(reviews_per_second))

    async def evaluate(self, data: Object) -> tuple[dict[str, str], Object]:
        """(headers to set on the request, dynamic metadata); raises Denied."""
        data = {**data, "auth": {"identity": None, "metadata": {}, "authorization": {}}}
        auth = data["auth"]
        if not self._applies(self._spec, data):
            return {}, {}
        auth["identity"] = await self._identity(data)
        for name, rule in _ordered(self._spec.get("metadata")):
            if self._applies(rule, data):
                value = await self._cached("metadata", name, rule, data, self._metadata)
                if value is not None:
                    auth["metadata"][name] = value
        for name, rule in _ordered(self._spec.get("authorization")):
            if self._applies(rule, data):
                await self._cached("authorization", name, rule, data, self._authorize)
        return self._response(data)

    # -- phases -------------------------------------------------------------------------

    async def _identity(self, data: Object) -> Any:
        rules = self._spec.get("authentication") or {}
        if not rules:
            return {"anonymous": True}
        failures: dict[str, str] = {}
        for name, rule in _ordered(rules):
            if not self._applies(rule, data):
                continue
            try:
                identity = await self._cached("identity", name, rule, data, self._who)
            except Unauthenticated as error:
                failures[name] = str(error)
                continue
            return _extended(identity, rule, data)
        first = next(iter(failures), next(iter(rules)))
        reason = failures.get(first, "") if len(failures) < 2 else json.dumps(failures)
        challenge = f'{_scheme(rules[first])} realm="{first}"'
        headers = {"WWW-Authenticate": challenge, REASON: reason}
        raise Denied(401, self._customised("unauthenticated", headers, data))

    async def _who(self, name: str, rule: Object, data: Object) -> Any:
        if "anonymous" in rule:
            return {"anonymous": True}
        if "plain" in rule:
            identity = _value(rule["plain"], data)
            if identity is None:
                raise Unauthenticated("could not retrieve identity object or null")
            return identity
        token = _credential(rule, data)
        if token is None:
            raise Unauthenticated("credential not found")
        audiences = rule["kubernetesTokenReview"].get("audiences") or [data["request"]["host"]]
        spec = {"token": token, "audiences": audiences}
        try:
            await self._limiters[f"identity/{name}"].wait()
            review = await self._kube.request("POST", _TOKEN_REVIEWS, {"spec": spec})
        except (Hurried, KubeError) as error:
            raise Unauthenticated(str(error)) from error
        if not review["status"].get("authenticated"):
            raise Unauthenticated("not authenticated")
        return review["status"]

    async def _metadata(self, name: str, rule: Object, data: Object) -> Any:
        http = rule["http"]
        url = http.get("url") or str(_value(http.get("urlExpression", {}), data))
        headers = {k: cel.as_text(_value(v, data)) for k, v in http.get("headers", {}).items()}
        content = None
        if "body" in http:
            body = _value(http["body"], data)
            content = body if isinstance(body, str) else json.dumps(body)
            default = "application/x-www-form-urlencoded"
            headers["content-type"] = http.get("contentType", default)
        try:
            method = http.get("method", "GET")
            answer = await self._client.request(method, url, content=content, headers=headers)
            answer.raise_for_status()
            return answer.json()
        except (httpx.HTTPError, OSError, ValueError, cel.CelError) as error:
            print(f"metadata {name}: {error}", flush=True)  # not a denial: goes on without it
            return None

    async def _authorize(self, name: str, rule: Object, data: Object) -> Any:
        if "patternMatching" in rule:
            if not self._matches(rule["patternMatching"]["patterns"], data):
                self._refuse("Unauthorized", data)
            return True
        review = rule["kubernetesSubjectAccessReview"]
        spec: Object = {"user": cel.as_text(_value(review["user"], data))}
        if "authorizationGroups" in review:
            spec["groups"] = _value(review["authorizationGroups"], data)
        elif "groups" in review:
            spec["groups"] = review["groups"]
        attributes = review.get("resourceAttributes")
        if attributes is not None:
            spec["resourceAttributes"] = {
                key: cel.as_text(_value(value, data)) for key, value in attributes.items()
            }
        else:
            request = data["request"]
            spec["nonResourceAttributes"] = {
                "path": request["url_path"],
                "verb": request["method"].lower(),
            }
        try:
            await self._limiters[f"authorization/{name}"].wait()
            answer = await self._kube.request("POST", _ACCESS_REVIEWS, {"spec": spec})
        except (Hurried, KubeError) as error:
            self._refuse(str(error), data)
        if not answer["status"]["allowed"]:
            reason = answer["status"].get("reason") or "unknown reason"
            self._refuse(f"not authorized: {reason}", data)
        return True

    def _refuse(self, reason: str, data: Object) -> None:
        headers = {REASON: reason}
        raise Denied(403, self._customised("unauthorized", headers, data))

    def _customised(self, kind: str, headers: dict[str, str], data: Object) -> dict[str, str]:
        own = (self._spec.get("response") or {}).get(kind) or {}
        extra = {
            name: cel.as_text(_value(value, data))
            for name, value in (own.get("headers") or {}).items()
        }
        replaced = {name.lower() for name in extra}
        return {k: v for k, v in headers.items() if k.lower() not in replaced} | extra

    def _response(self, data: Object) -> tuple[dict[str, str], Object]:
        success = (self._spec.get("response") or {}).get("success") or {}
        headers = {
            key: cel.as_text(value) if "json" in rule else _go_text(value)
            for key, rule, value in self._items(success.get("headers"), data)
        }
        filters = success.get("filters") or success.get("dynamicMetadata")
        return headers, {key: value for key, _, value in self._items(filters, data)}

    def _items(self, rules: Object | None, data: Object) -> Iterator[tuple[str, Object, Any]]:
        """(key, rule, value) of each response item; one whose expression cannot be evaluated is
        left out whole, one whose selector finds nothing is nothing (None)."""
        for name, rule in _ordered(rules):
            if self._applies(rule, data):
                with contextlib.suppress(cel.CelError):
                    yield rule.get("key") or name, rule, _item(rule, data)

    # -- shared -------------------------------------------------------------------------

    def _applies(self, rule: Object, data: Object) -> bool:
        return self._matches(rule.get("when") or [], data)

    def _matches(self, patterns: list[Object], data: Object) -> bool:
        return all(_pattern_holds(pattern, data) for pattern in patterns)

    async def _cached(
        self,
        phase: str,
        name: str,
        rule: Object,
        data: Object,
        evaluate: Callable[[str, Object, Object], Awaitable[Any]],
    ) -> Any:
        """`evaluate`, or what it gave for the same cache key within its time to live."""
        spec = rule.get("cache")
        key = _value(spec["key"], data) if spec else None
        if not spec or key is None:
            return await evaluate(name, rule, data)
        cache = self._caches.setdefault(f"{phase}/{name}", {})
        known = cache.get(cel.as_text(key))
        if known and known[0] > time.monotonic():
            return known[1]
        value = await evaluate(name, rule, data)
        size = len(cel.as_text(key).encode()) + len(json.dumps(value, separators=(",", ":")))
        if value is not None and size <= CACHED_BYTES:
            cache[cel.as_text(key)] = (time.monotonic() + spec.get("ttl", 60), value)
        return value


def _ordered(rules: Object | None) -> list[tuple[str, Object]]:
    return sorted((rules or {}).items(), key=lambda item: item[1].get("priority", 0))


def _value(source: Object, data: Object) -> Any:
    """`value`, `expression` (CEL) or `selector`; None when there is nothing."""
    if "expression" in source:
        return cel.evaluate(source["expression"], data)
    if "selector" in source:
        selector = source["selector"]
        if "{" in selector and not selector.split(".")[0].isidentifier():
            return re.sub(
                r"\{([^{}]+)\}", lambda f: cel.as_text(select(f[1], data) or ""), selector
            )
        return select(selector, data)
    return source.get("value")


def _item(rule: Object, data: Object) -> Any:
    """A response item; raises CelError."""
    if "json" in rule:
        return {name: _value(one, data) for name, one in rule["json"]["properties"].items()}
    return _value(rule.get("plain", {}), data)


def _go_text(value: Any) -> str:
    """As Go's `%v` prints it, by which Authorino makes headers (`pkg/evaluators/response.go`):
    a tier that was not found is `<nil>`."""
    if value is None:
        return "<nil>"
    if isinstance(value, list):
        return f"[{' '.join(map(_go_text, value))}]"
    if isinstance(value, dict):
        return f"map[{' '.join(f'{k}:{_go_text(v)}' for k, v in sorted(value.items()))}]"
    return cel.as_text(value)


def _extended(identity: Any, rule: Object, data: Object) -> Any:
    """`overrides`, and `defaults` where the identity has nothing under the name."""
    if not isinstance(identity, dict):
        return identity
    out = dict(identity)
    for kind in ("defaults", "overrides"):
        for name, source in (rule.get(kind) or {}).items():
            if kind == "overrides" or name not in identity:
                seen = {**data, "auth": {**data["auth"], "identity": identity}}
                try:
                    out[name] = _value(source, seen)
                except cel.CelError:
                    continue
    return out


def _scheme(rule: Object) -> str:
    location = (rule.get("credentials") or {}).get("authorizationHeader") or {}
    return str(location.get("prefix", "Bearer"))


def _credential(rule: Object, data: Object) -> str | None:
    credentials, headers = rule.get("credentials") or {}, data["request"]["headers"]
    if "customHeader" in credentials:
        return headers.get(credentials["customHeader"]["name"].lower()) or None
    prefix, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() or None if prefix == _scheme(rule) else None


def _pattern_holds(pattern: Object, data: Object) -> bool:
    if "predicate" in pattern:
        return cel.holds(pattern["predicate"], data)
    if "all" in pattern:
        return all(_pattern_holds(p, data) for p in pattern["all"])
    if "any" in pattern:
        return any(_pattern_holds(p, data) for p in pattern["any"])
    found, wanted = select(pattern["selector"], data), pattern.get("value", "")
    text = "" if found is None else cel.as_text(found)
    match pattern["operator"]:
        case "eq":
            return bool(text == wanted)
        case "neq":
            return bool(text != wanted)
        case "incl":
            return isinstance(found, list) and wanted in found
        case "excl":
            return not (isinstance(found, list) and wanted in found)
    return re.search(wanted, text) is not None
