"""Tokens and keys of the maas-api stand-in, beside what was seen of the real one (a90e3dbd)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from embedded.images.maas import tokens
from embedded.images.maas.tokens import account_name
from tests.unit.maas import ACCOUNT, ALICE, FREE, Api, FakeKube, Object


@pytest.fixture
def api() -> Api:
    return Api(FakeKube())


def test_labels(api: Api) -> None:
    """Upstream's, on the tier's namespace and on the account."""
    assert api.ask("POST", "/v1/tokens").status_code == 201
    common = {
        "app.kubernetes.io/component": "token-issuer",
        "app.kubernetes.io/part-of": "maas-api",
        "maas.opendatahub.io/instance": "the-gateway",
        "maas.opendatahub.io/tier": "free",
    }
    namespace = api.kube.objects[f"/api/v1/namespaces/{FREE}"]["metadata"]
    mark = {"maas.opendatahub.io/tier-namespace": "true"}
    assert namespace == {"name": FREE, "labels": {**common, **mark}}
    assert api.kube.objects[ACCOUNT]["metadata"]["labels"] == common


@pytest.mark.parametrize(
    ("username", "name"),
    [("a-_b", "a-b-ba55d517"),
     ("system:serviceaccount:ns-a-:b", "system-serviceaccount-ns-a-b-9084b503"),
     ("Ünï", "n-8e099b86"), ("u" * 200, None), (f"{'u' * 53}--{'x' * 9}", None)],
    ids=["runs", "colons", "bytes", "long", "cut-at-a-dash"],
)  # fmt: skip
def test_account_names(username: str, name: str | None) -> None:
    """Runs of dashes are one, also where a cut ends; the hash is of the header's bytes."""
    found = account_name(username)
    assert found == (name or found)
    assert len(found) <= 63
    assert "--" not in found


def test_users_with_one_clean_name_have_two_accounts() -> None:
    assert account_name("a.b") != account_name("a-b")


def test_a_header_is_read_as_bytes(api: Api) -> None:
    headers = [(b"x-maas-username", "Ünï".encode()), (b"x-maas-group", b'["everybody"]')]
    assert api.ask("POST", "/v1/tokens", headers=headers).status_code == 201  # type: ignore[arg-type]
    assert f"/api/v1/namespaces/{FREE}/serviceaccounts/n-8e099b86" in api.kube.objects


MUST = "expiration must be positive"
SHORT = "token expiration must be at least 10 minutes"


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"", 201, {"expiration": "4h0m0s"}), (b"null", 201, {"expiration": "4h0m0s"}),
        (b'{"expiration":null}', 201, {"expiration": "4h0m0s"}),
        (b'{"Expiration":"1h"} text', 201, {"expiration": "1h0m0s"}),
        (b'{"expiration":600.5}', 201, {"expiration": "10m0.5s"}),
        (b'{"expiration":""}', 400, {"error": MUST}), (b'{"expiration":0}', 400, {"error": MUST}),
        (b'{"expiration":1e30}', 400, {"error": MUST}),
        (b'{"EXPIRATION":"5m"}', 400, {"error": SHORT, "provided_expiration": "5m0s"}),
        (b'{"name":5}', 400, {"error": "json: cannot unmarshal number into Go struct field "
                              "Request.name of type string"}),
        (b'{"expiration":5000000000}', 500, {"error": "Failed to generate token"}),
    ],
    ids=["empty", "null", "null-expiration", "case", "fraction", "no-text", "zero", "large",
         "short", "name", "too-long"],
)  # fmt: skip
def test_expirations(api: Api, body: bytes, status: int, said: Object) -> None:
    answer = api.ask("POST", "/v1/tokens", body)
    found = answer.json()
    assert (answer.status_code, {name: found.get(name) for name in said}) == (status, said)
    if status == 201:
        assert (found["jti"], found["issuedAt"], found["expiresAt"]) == ("a-jti", 5, 7200)


def test_a_name_without_a_letter(api: Api) -> None:
    answer = api.ask("POST", "/v1/tokens", headers={**ALICE, "x-maas-username": "???"})
    assert (answer.status_code, answer.json()) == (500, {"error": "Failed to generate token"})


def test_revoking(api: Api) -> None:
    """Nothing is made for who has no account; without a tier it fails; else it is made anew."""
    assert api.ask("DELETE", "/v1/tokens").status_code == 204
    assert not any(one.startswith("POST") for one in api.kube.asked)
    strange = api.ask("DELETE", "/v1/tokens", headers={**ALICE, "x-maas-group": '["nobody"]'})
    assert (strange.status_code, strange.json()) == (500, {"error": "Failed to revoke tokens"})
    api.ask("POST", "/v1/tokens")
    before = api.kube.objects[ACCOUNT]
    assert api.ask("DELETE", "/v1/tokens").status_code == 204
    assert api.kube.objects[ACCOUNT] is not before


@pytest.mark.parametrize(("generation", "status"), [("mended", 201), ("informers", 500)])
def test_minting_right_after_revoking(generation: str, status: int) -> None:
    """Upstream's informer still has the account that is gone."""
    api = Api(FakeKube(), generation=generation)
    api.kube.objects[ACCOUNT] = {"metadata": {}}  # known long since
    assert api.ask("DELETE", "/v1/tokens").status_code == 204
    assert api.ask("POST", "/v1/tokens").status_code == status


@pytest.mark.parametrize(("generation", "stays"), [("mended", False), ("informers", True)])
def test_revoking_right_after_the_first_minting(generation: str, stays: bool) -> None:
    """Upstream's informer does not know the account yet: there is nothing to revoke."""
    api = Api(FakeKube(), generation=generation)
    assert api.ask("POST", "/v1/tokens").status_code == 201
    before = api.kube.objects[ACCOUNT]
    assert api.ask("DELETE", "/v1/tokens").status_code == 204
    assert (api.kube.objects[ACCOUNT] is before) is stays


def test_how_long_accounts_lag() -> None:
    """As they were, until the lag is over."""
    now = 100.0
    kube = FakeKube()
    accounts = tokens.LaggingAccounts(kube, lambda: now)

    async def follow() -> list[bool]:
        nonlocal now
        seen = []
        for change in (accounts.ensure("n", "a", {}), accounts.delete("n", "a"), None):
            if change:
                await change
            seen.append(await accounts.exists("n", "a"))
            now += tokens.LAG_SECONDS - 0.01
            seen.append(await accounts.exists("n", "a"))
            now += 0.02
            seen.append(await accounts.exists("n", "a"))
        return seen

    assert asyncio.run(follow()) == [False, False, True, True, True, False, False, False, False]


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [({"name": "k", "expiration": ""}, 400, MUST), ({"name": "k", "expiration": 0}, 400, MUST),
     ({"name": "k", "expiration": "-5m"}, 400, MUST),
     ({"name": "k", "expiration": "5m"}, 400, SHORT),
     ({"name": " "}, 500, "Failed to generate api key"),
     ({}, 400, "token name is required for api keys"), (b"", 400, "EOF"),
     ({"name": "k", "description": 5}, 400, "json: cannot unmarshal number into Go struct field "
      "CreateRequest.description of type string")],
    ids=["no-text", "zero", "negative", "short", "blank", "nameless", "empty", "description"],
)  # fmt: skip
def test_wrong_keys(api: Api, body: Any, status: int, error: str) -> None:
    answer = api.ask("POST", "/v1/api-keys", body)
    assert (answer.status_code, answer.json()) == (status, {"error": error})


def test_a_blank_name_is_refused_after_minting(api: Api) -> None:
    api.ask("POST", "/v1/api-keys", {"name": " "})
    assert any(one.endswith("/token") for one in api.kube.asked)
    assert api.ask("GET", "/v1/api-keys").json() == []


def test_keys(api: Api) -> None:
    """The answer has the name as it came, lists have it trimmed, in the order of their making."""
    made = api.ask("POST", "/v1/api-keys", {"name": " k ", "description": " d "}).json()
    assert (made["name"], made["description"], made["expiration"]) == (" k ", " d ", "720h0m0s")
    api.ask("POST", "/v1/api-keys", {"name": "later"})
    listed = api.ask("GET", "/v1/api-keys").json()
    assert [(one["name"], one.get("description")) for one in listed] == [
        ("k", "d"),
        ("later", None),
    ]
    assert [one["status"] for one in listed] == ["expired"] * 2  # in 1970
    assert api.ask("GET", "/v1/api-keys/a-jti").json()["name"] == "k"
    assert api.ask("GET", "/v1/api-keys/other").status_code == 404
