"""What maas-api's stand-in is tried with: a Kubernetes API, models, and who asks."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from typing import Any

import httpx

from embedded.images.maas.maas_api import MaasApi, Settings
from embedded.images.maas.models import Gateway
from embedded.images.maas.tokens import account_name
from embedded.shared.kube import Kube, KubeError

Object = dict[str, Any]
TIERS = """
- {name: free, displayName: Free Tier, level: 0, groups: [everybody]}
- {name: gold, level: 5, groups: [miners]}
"""
ALICE = {"x-maas-username": "alice", "x-maas-group": '["everybody"]'}
FREE = "the-gateway-tier-free"
ACCOUNT = f"/api/v1/namespaces/{FREE}/serviceaccounts/{account_name('alice')}"
GATEWAY = Gateway("the-gateway", "ingress")
HERE = {"name": "the-gateway", "namespace": "ingress"}
MODEL_PATH = "/apis/serving.kserve.io/v1alpha1/llminferenceservices"


def jwt(audience: Any) -> str:
    """A token that nobody signed."""
    parts = [{"alg": "RS256"}, {"aud": audience, "iat": 5, "jti": "a-jti"}]
    encoded = (base64.urlsafe_b64encode(json.dumps(part).encode()).decode() for part in parts)
    return ".".join([*(part.rstrip("=") for part in encoded), "unsigned"])


OWN = {"authorization": f"Bearer {jwt(['the-gateway-sa'])}"}


class FakeKube(Kube):
    """Objects by path; it mints tokens for accounts that are there."""

    def __init__(self, tiers: str | None = TIERS) -> None:
        self.objects: dict[str, Object] = {}
        self.asked: list[str] = []
        self.models: list[Object] = []
        self.routes: list[Object] = []
        if tiers is not None:
            path = "/api/v1/namespaces/maas/configmaps/tier-to-group-mapping"
            self.objects[path] = {"data": {"tiers": tiers}}

    async def request(
        self, method: str, path: str, body: Any = None, content_type: str = "application/json"
    ) -> Object:
        self.asked.append(f"{method} {path}")
        if path == MODEL_PATH:
            return {"items": self.models}
        if path.endswith("/httproutes"):
            return {"items": self.routes}
        if path.endswith("/token"):
            return self._token(path.removesuffix("/token"), body["spec"])
        if method == "POST":
            path = f"{path}/{body['metadata']['name']}"
            if path in self.objects:
                raise KubeError(409, "there already")
            self.objects[path] = body
        elif path not in self.objects:
            raise KubeError(404, "not there")
        return self.objects.pop(path) if method == "DELETE" else self.objects[path]

    def _token(self, account: str, spec: Object) -> Object:
        if account not in self.objects:
            raise KubeError(404, "no account")
        if spec["expirationSeconds"] > 1 << 32:
            raise KubeError(422, "may not be longer")
        ends = "1970-01-01T02:00:00Z"
        return {"status": {"token": jwt(spec["audiences"]), "expirationTimestamp": ends}}


def model(name: str, **more: Any) -> Object:
    """An LLMInferenceService of the gateway."""
    ready = {"type": "Ready", "status": "True"}
    address = {"url": f"http://{name}.test/a"}
    status = {"conditions": [ready], "observedGeneration": 2, "addresses": [address]}
    return {
        "metadata": {"name": name, "namespace": "llm", "generation": 2,
                     "creationTimestamp": "1970-01-01T00:01:40Z"},
        "spec": {"model": {"name": f"org/{name}"}, "router": {"gateway": {"refs": [HERE]}}},
        "status": status,
        **more,
    }  # fmt: skip


Answer = Callable[[httpx.Request], httpx.Response]


class Api:
    """The stand-in, asked straight; `backend` are the models."""

    def __init__(
        self, kube: FakeKube, backend: Answer = lambda _: httpx.Response(200), **settings: Any
    ) -> None:
        http = httpx.AsyncClient(transport=httpx.MockTransport(backend))
        self.kube = kube
        self._api = MaasApi(kube, http, Settings("maas", "the-gateway", GATEWAY, **settings))

    def ask(
        self, method: str, path: str, body: Any = b"", headers: Object | None = None
    ) -> httpx.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = ALICE if headers is None else headers

        async def asked() -> httpx.Response:
            app: Any = self._api.app()
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://maas") as client:
                return await client.request(method, path, content=content, headers=sent)

        return asyncio.run(asked())

    def listing(self, headers: Object | None = None) -> httpx.Response:
        return self.ask(
            "GET", "/v1/models", headers={**ALICE, **OWN} if headers is None else headers
        )
