"""Who asks the maas-api stand-in, and where, beside what was seen of the real one (a90e3dbd)."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response

from embedded.images.maas.go_http import Router
from tests.unit.maas import ACCOUNT, ALICE, OWN, Api, FakeKube, Object, jwt, model


@pytest.fixture
def api() -> Api:
    return Api(FakeKube())


@pytest.mark.parametrize("path", ["/v1/models", "/v1/tokens", "/v1/api-keys"])
@pytest.mark.parametrize(
    ("headers", "ref"),
    [({}, "001"), ({"x-maas-username": " ", "x-maas-group": '["a"]'}, "001"),
     ({"x-maas-username": "alice"}, "002"),
     *(({"x-maas-username": "alice", "x-maas-group": groups}, "003") for groups in
       ("[]", "null", '"a"', "{}", "[1]", '["x",1]', '["a"] b', "a"))],
)  # fmt: skip
def test_the_policys_headers_are_wanted(api: Api, path: str, headers: Object, ref: str) -> None:
    method = "GET" if path == "/v1/models" else "POST"
    answer = api.ask(method, path, headers={**headers, **OWN})
    said = {"error": "Exception thrown while generating token", "exceptionCode": "AUTH_FAILURE"}
    assert (answer.status_code, answer.json()) == (500, {**said, "refId": ref})


def test_groups_are_trimmed(api: Api) -> None:
    headers = {**ALICE, "x-maas-group": '[" everybody "]'}
    assert api.ask("POST", "/v1/tokens", headers=headers).status_code == 201


@pytest.mark.parametrize(
    ("sent", "message"),
    [({}, "Authorization token required"),
     ({b"authorization": "\u00a0".encode()}, "Valid authorization token required")],
    ids=["none", "no-break-space"],
)  # fmt: skip
def test_a_listing_wants_a_token(api: Api, sent: Object, message: str) -> None:
    """Blanks are no token; a header of nothing else never comes: HTTP's servers trim it."""
    answer = api.listing({**ALICE, **sent})
    error = {"message": message, "type": "authentication_error"}
    assert (answer.status_code, answer.json()) == (401, {"error": error})


@pytest.mark.parametrize(
    ("sent", "kept"),
    [(f"Bearer {jwt('the-gateway-sa')}", True), (f"Bearer {jwt(['a', 'the-gateway-sa'])}", True),
     (jwt("the-gateway-sa"), True), (f"Bearer {jwt(['another'])}", False),
     (f"Bearer {jwt([5, 'the-gateway-sa'])}", False), (f"Bearer {jwt(None)}", False),
     ("Bearer garbage", False), ("Bearer a.b.c", False), ("Bearer ", False), ("Basic x", False)],
    ids=["text", "list", "bare", "other", "number", "none", "garbage", "parts", "scheme", "basic"],
)  # fmt: skip
def test_a_token_of_another_audience_is_exchanged(sent: str, kept: bool) -> None:
    """For one of the caller's account, which is made for it, whatever came in its place."""
    seen: list[str] = []

    def backend(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["authorization"])
        return httpx.Response(200, json={"data": [{"id": "m"}]})

    kube = FakeKube()
    kube.models = [model("m")]
    answer = Api(kube, backend).listing({**ALICE, "authorization": sent})
    assert [one["id"] for one in answer.json()["data"]] == ["m"]
    own = sent.removeprefix("Bearer ") if kept else jwt(["the-gateway-sa"])
    assert seen == [f"Bearer {own}"]
    assert (ACCOUNT in kube.objects) is not kept


def test_nothing_is_exchanged_without_a_tier(api: Api) -> None:
    strange = {**ALICE, "x-maas-group": '["nobody"]', "authorization": "Bearer garbage"}
    answer = api.listing(strange)
    error = {"message": "Failed to authorize request", "type": "server_error"}
    assert (answer.status_code, answer.json()) == (500, {"error": error})
    assert api.listing({**strange, **OWN}).status_code == 200  # nobody needs a tier there


@pytest.mark.parametrize(
    ("method", "path", "status", "location"),
    [
        ("GET", "/health", 200, None), ("HEAD", "/health", 404, None),
        ("HEAD", "/v1/models", 404, None), ("PUT", "/v1/tokens", 404, None),
        ("GET", "/v1/tokens", 404, None), ("GET", "/nowhere", 404, None), ("GET", "/", 404, None),
        ("OPTIONS", "/v1/models", 204, None), ("OPTIONS", "/nowhere", 204, None),
        ("GET", "/health/?a=b%20c", 301, "/health?a=b%20c"), ("GET", "/health//", 404, None),
        ("POST", "/v1/tokens/", 307, "/v1/tokens"), ("GET", "/v1/api-keys/", 301, "/v1/api-keys"),
        ("GET", "/v1/api-keys/a b/", 301, "/v1/api-keys/a%20b"), ("HEAD", "/health/", 404, None),
    ],
)  # fmt: skip
def test_router(api: Api, method: str, path: str, status: int, location: str | None) -> None:
    answer = api.ask(method, path)
    assert (answer.status_code, answer.headers.get("location")) == (status, location)
    if status == 404:
        headers = (answer.headers["content-type"], answer.headers["content-length"])
        assert headers == ("text/plain", "18")
        assert answer.text == ("" if method == "HEAD" else "404 page not found")


def test_one_kind_of_error_has_an_answer() -> None:
    """Another is the server's to tell."""

    async def handler(request: Request) -> Response:
        raise ValueError if request.query_params else KeyError

    router: Any = Router([("GET", "/a", handler)], ValueError, lambda _: Response(status_code=418))

    async def asked(path: str) -> int:
        transport = httpx.ASGITransport(router)
        async with httpx.AsyncClient(transport=transport, base_url="http://maas") as client:
            return (await client.get(path)).status_code

    assert asyncio.run(asked("/a?known")) == 418
    with pytest.raises(KeyError):
        asyncio.run(asked("/a"))
