"""How the maas-api stand-in knows tiers, beside what was seen of the real one (a90e3dbd)."""

from __future__ import annotations

import pytest

from tests.unit.maas import TIERS, Api, FakeKube, Object


@pytest.fixture
def api() -> Api:
    return Api(FakeKube())


def lookup(tiers: str | None, groups: list[str]) -> tuple[int, Object]:
    answer = Api(FakeKube(tiers)).ask("POST", "/v1/tiers/lookup", {"groups": groups}, {})
    return answer.status_code, answer.json()


@pytest.mark.parametrize(
    ("groups", "tier", "display"),
    [(["everybody"], "free", "Free Tier"), (["everybody", "miners"], "gold", "gold"),
     (["system:serviceaccounts:the-gateway-tier-gold", "everybody"], "gold", "gold")],
    ids=["one", "highest", "its-own-namespaces"],
)  # fmt: skip
def test_tiers(groups: list[str], tier: str, display: str) -> None:
    """A tier has the group of its namespace's accounts, whether it is listed or not."""
    assert lookup(TIERS, groups) == (200, {"tier": tier, "displayName": display})


def test_groups_of_no_tier() -> None:
    text = "group groups [a, b] not found in any tier"
    assert lookup(TIERS, ["a", "b"]) == (404, {"error": "not_found", "message": text})


LOADING = "failed to load tier configuration: "
INVALID = f"{LOADING}invalid tier configuration: "
UNREAD = f"{LOADING}failed to parse tier configuration: yaml: "


@pytest.mark.parametrize(
    ("tiers", "message"),
    [
        (None, "tier mapping not found, provide configuration in tier-to-group-mapping"),
        (f"{TIERS}- name: free", f'{INVALID}duplicate tier name "free" found'),
        (f"{TIERS}- level: 1", f"{INVALID}tier at index 2 has empty name"),
        (f'{TIERS}- {{name: x, displayName: " "}}',
         f'{INVALID}tier "x" has whitespace-only displayName'),
        (f'{TIERS}- {{name: x, level: "1"}}', f"{UNREAD}"
         "unmarshal errors:\n  line 4: cannot unmarshal !!str `1` into int"),
        (f"{TIERS}- [", f"{UNREAD}line 4: "
         "did not find expected node content"),
    ],
    ids=["missing", "twice", "nameless", "blank", "type", "syntax"],
)  # fmt: skip
def test_a_wrong_mapping_is_refused_whole(tiers: str | None, message: str) -> None:
    """Whoever asks, and for tokens too."""
    text = f"failed to lookup tier: {message}"
    assert lookup(tiers, ["everybody"]) == (500, {"error": "internal_error", "message": text})
    answer = Api(FakeKube(tiers)).ask("POST", "/v1/tokens")
    assert (answer.status_code, answer.json()) == (500, {"error": "Failed to generate token"})


def test_a_mapping_without_its_key() -> None:
    kube = FakeKube()
    for found in kube.objects.values():
        found["data"] = {"tier": TIERS}
    answer = Api(kube).ask("POST", "/v1/tiers/lookup", {"groups": ["everybody"]})
    text = f"failed to lookup tier: {LOADING}tier to group mapping configuration not found"
    assert (answer.status_code, answer.json()["message"]) == (500, text)


@pytest.mark.parametrize(
    ("body", "said"),
    [(b"", "EOF"), (b"{}", "Key: 'LookupRequest.Groups' Error:Field validation for 'Groups' failed "
      "on the 'required' tag"),
     (b'{"groups":[]}', "Key: 'LookupRequest.Groups' Error:Field validation for 'Groups' failed on "
      "the 'min' tag"),
     (b'{"groups":"a"}', "json: cannot unmarshal string into Go struct field "
      "LookupRequest.groups of type []string")],
    ids=["none", "no-groups", "empty", "text"],
)  # fmt: skip
def test_wrong_lookups(api: Api, body: bytes, said: str) -> None:
    answer = api.ask("POST", "/v1/tiers/lookup", body)
    wanted = {"error": "bad_request", "message": f"invalid request body: {said}"}
    assert (answer.status_code, answer.json()) == (400, wanted)
