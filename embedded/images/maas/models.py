"""maas-api's models: the local ones that the caller may ask, and the fork's external ones.

Upstream: opendatahub-io/models-as-a-service `maas-api/internal/models` of February 2026 (a90e3dbd).
Each LLMInferenceService of the instance's Gateway is asked for its own /v1/models, with the
caller's token, at each of its addresses in turn: what it says of itself is what is listed. 2xx
lists it, 405 too, 401, 403 and 404 do not, and whatever else comes is asked again, four times in
all. The fork of the quickstart (30f93ad1 with its patch) asks one address, and appends the models
of a ConfigMap.
Left out: the order of upstream's listing, where the first to answer is the first; and that an
answer's fields of wrong types are made the right ones.
"""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx

from embedded.images.maas import go_yaml
from embedded.shared.bodies import parsed
from embedded.shared.kube import Kube

MODELS = "serving.kserve.io/v1alpha1/llminferenceservices"
ROUTES = "gateway.networking.k8s.io/v1/httproutes"
REGISTRY = "external-model-registry"
ATTEMPTS, PAUSE_SECONDS, JITTER = 4, 0.1, 0.1  # each pause twice the last, and up to a tenth more
AT_ONCE, ANSWER_SECONDS, ANSWER_BYTES = 10, 5, 4 << 20
REFUSALS, NO_METHOD = (401, 403, 404), 405
_DETAILS = {
    "genaiUseCase": "opendatahub.io/genai-use-case",
    "description": "openshift.io/description",
    "displayName": "openshift.io/display-name",
}
_REGISTERED = {"id": "string", "provider": "string", "backend": "string"}
Object = dict[str, Any]


@dataclass(frozen=True)
class Gateway:
    """The Gateway whose models are the instance's."""

    name: str
    namespace: str

    def is_parent(self, refs: list[Object] | None, namespace: str) -> bool:
        """Whether one of the references from a namespace is to it."""
        own = (self.name, self.namespace)
        return any((ref["name"], ref.get("namespace") or namespace) == own for ref in refs or [])


class Models:
    """The listing. `fork`: of the build that knows external models, in `namespace`."""

    def __init__(
        self, kube: Kube, http: httpx.AsyncClient, gateway: Gateway, namespace: str, fork: bool
    ) -> None:
        self._kube, self._http, self._gateway = kube, http, gateway
        self._namespace, self._fork = namespace, fork

    async def listed(self, token: str) -> list[Object]:
        """The entries: local ones that the token may ask, then the external ones."""
        found = (await self._kube.request("GET", f"/apis/{MODELS}"))["items"]
        routes = await self._routes(found)
        mine = [model for model in found if self._is_mine(model, routes)]
        limit = asyncio.Semaphore(AT_ONCE)

        async def entry(model: Object) -> Object | None:
            async with limit:
                return await self.entry(model, token)

        entries = await asyncio.gather(*map(entry, mine))
        return [one for one in entries if one] + await self.external()

    async def _routes(self, models: list[Object]) -> list[Object]:
        """All HTTPRoutes, if a model may be the Gateway's through one."""
        if not any(_http_route(model) is not None for model in models):
            return []
        found: list[Object] = (await self._kube.request("GET", f"/apis/{ROUTES}"))["items"]
        return found

    def _is_mine(self, model: Object, routes: list[Object]) -> bool:
        """By its reference to the Gateway, its route's, or that of routes that are its own."""
        namespace, name = model["metadata"]["namespace"], model["metadata"]["name"]
        direct = ((model["spec"].get("router") or {}).get("gateway") or {}).get("refs")
        if self._gateway.is_parent(direct, namespace):
            return True
        http = _http_route(model)
        if http is None:
            return False
        spec = http.get("spec")
        if spec and self._gateway.is_parent(spec.get("parentRefs"), namespace):
            return True
        named = [ref["name"] for ref in http.get("refs") or []]
        managed = not spec and not named
        own = {"app.kubernetes.io/component": "llminferenceservice-router",
               "app.kubernetes.io/name": name,
               "app.kubernetes.io/part-of": "llminferenceservice"}  # fmt: skip
        return any(
            self._gateway.is_parent(route["spec"].get("parentRefs"), namespace)
            for route in routes
            if route["metadata"]["namespace"] == namespace
            and (
                route["metadata"]["name"] in named
                or (managed and own.items() <= (route["metadata"].get("labels") or {}).items())
            )
        )

    async def entry(self, model: Object, token: str) -> Object | None:
        """The model's entry, from the first address where it names itself; None without any."""
        for url in self._urls(model.get("status") or {}):
            if named := await self._asked(f"{url.rstrip('/')}/v1/models", token, model):
                return _entry(named, url, model)
        return None

    def _urls(self, status: Object) -> list[str]:
        """Where a model is asked, in the build's order; `status.url` as its own address."""
        addresses: list[Object] = status.get("addresses") or []
        address: list[Object] = [status.get("address") or {}]
        if self._fork:
            places = [status, *address, *addresses[:1]]
        else:
            places = [*sorted(addresses or address, key=_priority), status]
        urls = [str(place["url"]) for place in places if place.get("url")]
        return urls[:1] if self._fork else urls

    async def _asked(self, url: str, token: str, model: Object) -> list[Object]:
        """What a model says that it serves; nothing if it may not be asked, or never answers."""
        for attempt in range(ATTEMPTS):
            if attempt:
                await asyncio.sleep(pause(attempt))
            try:
                code, said = await self._answer(url, token)
            except (httpx.HTTPError, TimeoutError) as error:
                print(f"{url}: {type(error).__name__} {error}", flush=True)
                continue
            if code in REFUSALS:
                return []
            if code == NO_METHOD:
                return [{"id": _name(model), "object": "model"}]
            if said is not None:
                return said
            print(f"{url}: status {code}", flush=True)
        return []

    async def _answer(self, url: str, token: str) -> tuple[int, list[Object] | None]:
        """The status, and the list of models if it is one."""
        async with asyncio.timeout(ANSWER_SECONDS):
            headers = {"authorization": f"Bearer {token}"}
            answer = await self._http.get(url, headers=headers, follow_redirects=True)
        if not 200 <= answer.status_code < 300 or len(answer.content) > ANSWER_BYTES:
            return answer.status_code, None
        try:
            found = parsed(answer.content)["data"] or []
            return answer.status_code, [dict(one) for one in found]
        except KeyError:
            return answer.status_code, []
        except (ValueError, TypeError):
            return answer.status_code, None

    async def external(self) -> list[Object]:
        """The registry's models in its order; none without a registry that can be read."""
        if not self._fork:
            return []
        found = await self._kube.get("v1/configmaps", self._namespace, REGISTRY)
        text = ((found or {}).get("data") or {}).get("models", "")
        try:
            registered = go_yaml.rows(text, "models.ExternalModelEntry", _REGISTERED)
        except go_yaml.YAMLError as error:
            print(f"Failed to parse external model registry: {error}", flush=True)
            return []
        now = int(time.time())
        return [
            {
                "id": model.get("id", ""),
                "created": now,
                "object": "model",
                "owned_by": model.get("provider", ""),
                "ready": True,
            }
            for model in registered
        ]


def _entry(named: list[Object], url: str, model: Object) -> Object:
    """What the model says of itself first, and what its object says."""
    first, metadata = named[0], model["metadata"]
    made = datetime.fromisoformat(metadata["creationTimestamp"])
    annotations = metadata.get("annotations") or {}
    details = {name: annotations[key] for name, key in _DETAILS.items() if annotations.get(key)}
    aliases = [one.get("id", "") for one in named[1:]]
    return {
        "id": first.get("id", ""),
        "created": first.get("created") or int(made.timestamp()),
        "object": first.get("object") or "model",
        "owned_by": first.get("owned_by") or metadata["namespace"],
        "url": url,
        "ready": is_ready(model),
        **({"modelDetails": details} if details else {}),
        **({"aliases": aliases} if aliases else {}),
    }


def pause(attempt: int) -> float:
    """Seconds before an attempt but the first."""
    return PAUSE_SECONDS * 2.0 ** (attempt - 1) * (1 + JITTER * random.random())


def is_ready(model: Object) -> bool:
    """Whether its controller has seen it as it is, and every condition is True."""
    metadata, status = model["metadata"], model.get("status") or {}
    generation, conditions = metadata.get("generation", 0), status.get("conditions")
    if metadata.get("deletionTimestamp") or not conditions:
        return False
    seen = not generation or status.get("observedGeneration") == generation
    return seen and all(condition["status"] == "True" for condition in conditions)


def _http_route(model: Object) -> Object | None:
    """`spec.router.route.http`; None without."""
    found: Object | None = ((model["spec"].get("router") or {}).get("route") or {}).get("http")
    return found


def _name(model: Object) -> str:
    return str(model["spec"]["model"].get("name") or model["metadata"]["name"])


def _priority(address: Object) -> int:
    """External ones first, then internal ones, then those without a word."""
    name = (address.get("name") or "").lower()
    return 0 if "external" in name else 1 if "internal" in name else 2
