"""What the quickstart prints, and what the README's drawing has at /maas-api/*."""

import re
import uuid
from pathlib import Path
from typing import Any

import pytest

from fixtures.evidence import CLIENT
from fixtures.evidence.documents import Document
from fixtures.evidence.requirements import requirement
from fixtures.found import only, parsed
from fixtures.kube import Kube
from fixtures.secrets import Secret
from fixtures.stack import CHAT, Identity, Stack
from fixtures.waiting import ENFORCED_SECONDS, until
from suites.external_models.backends import DOCUMENTS_HOST, SIMULATOR, Backends

QUICKSTART = Document.read(Path(__file__).parent / "external-models-quickstart.md")
API_KEYS = "/maas-api/v1/api-keys"


# llm-d-inference-sim v0.6.1, pkg/common/utils.go: what it says, one after the other, and cut.
SENTENCES = (
    r"Testing@, #testing 1$ ,2%,3^, [4&*5], 6~, 7-_ + (8 : 9) / \ < > .",
    "Testing, testing 1,2,3.",
    "I am fine, how are you today?",
    "I am your AI assistant, how can I help you today?",
    "Today is a nice sunny day.",
    "The temperature here is twenty-five degrees centigrade.",
    "Today it is partially cloudy and raining.",
    "To be or not to be that is the question.",
    "Alas, poor Yorick! I knew him, Horatio: A fellow of infinite jest",
    "The rest is silence.",
    "Give a man a fish and you feed him for a day; teach a man to fish and you feed him for a "
    "lifetime",
)


def unsaid(text: str) -> str:
    """What is left of a text without these sentences, of which the last may be cut; all of it if
    there is none."""
    rest = text.strip()
    while rest and (said := next((one for one in SENTENCES if rest.startswith(one)), "")):
        rest = rest.removeprefix(said).strip()
    is_cut = any(one.startswith(rest) for one in SENTENCES)
    return "" if text and is_cut else rest or "nothing"


@pytest.fixture
def example(backends: Backends) -> str:
    """A path over the bridge to the document's own simulator, which runs beside the recorder."""
    return backends.route(backends.destination(DOCUMENTS_HOST))


def printed_answer() -> dict[str, Any]:
    """The chat completion that the quickstart prints."""
    output = only(QUICKSTART.code("Example Output", ""), "example output")
    text = output[output.index('{\n  "id"') :]
    found: dict[str, Any] = parsed(text.partition("\n\n")[0], "the printed answer")
    return found


@requirement("EM-35")
def test_example_answer(stack: Stack, alice: Identity, example: str) -> None:
    """The printed request: the printed fields and no others, their values but for id, time, text
    and numbers, which are drawn anew."""
    messages = [{"role": "user", "content": "Hello"}]
    wanted, body = printed_answer(), {"model": SIMULATOR.model, "messages": messages}
    exchange = until(
        "the example's route",
        lambda: stack.send("POST", example + CHAT, alice, {**body, "max_tokens": 50}),
        lambda seen: seen.status == 200,  # 503 while Envoy has the route and not yet its cluster
        ENFORCED_SECONDS,
        every=0.2,
    )
    found = exchange.expect_status(200).json
    exchange.expect(CLIENT, set(found) == set(wanted), f"{sorted(wanted)}", f"{sorted(found)}")
    same = set(wanted) - {"id", "created", "usage", "choices"}
    assert {name: found[name] for name in same} == {name: wanted[name] for name in same}
    assert len(found["id"]) == len(wanted["id"])
    (choice,), (printed,) = found["choices"], wanted["choices"]
    assert set(choice) == set(printed)
    assert choice["message"].keys() == printed["message"].keys()
    assert (choice["index"], choice["message"]["role"]) == (0, "assistant")
    rest = unsaid(choice["message"]["content"])
    exchange.expect(CLIENT, rest == "", "the simulator's own sentences", rest)
    usage = found["usage"]
    assert usage.keys() == wanted["usage"].keys()
    assert usage["prompt_tokens"] == wanted["usage"]["prompt_tokens"]
    assert usage["prompt_tokens"] + usage["completion_tokens"] == usage["total_tokens"]
    cut = usage["completion_tokens"] == 50
    assert choice["finish_reason"] == ("length" if cut else "stop")


@requirement("EM-34")
def test_claims_of_a_token(stack: Stack) -> None:
    """Against the token that the quickstart prints."""
    text = only((line for line in QUICKSTART.lines if line.startswith("eyJ")), "printed token")
    printed = stack.claims(text)
    answer = stack.mint(stack.cluster_identity(), "10m").expect_status(201)
    claims = stack.claims(answer.json["token"])
    assert claims.keys() == printed.keys()
    assert (claims["iss"], claims["aud"]) == (printed["iss"], printed["aud"])
    assert claims["exp"] - claims["iat"] == printed["exp"] - printed["iat"] == 600
    assert claims["nbf"] == claims["iat"]
    own, theirs = claims["kubernetes.io"], printed["kubernetes.io"]
    assert own.keys() == theirs.keys()
    assert own["serviceaccount"].keys() == theirs["serviceaccount"].keys()
    for one in (claims, printed):
        bound = one["kubernetes.io"]
        namespace, account = bound["namespace"], bound["serviceaccount"]["name"]
        assert namespace == "maas-default-gateway-tier-free"
        assert one["sub"] == f"system:serviceaccount:{namespace}:{account}"
        assert re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?-[0-9a-f]{8}", account)


@requirement("EM-42")
def test_account_of_a_user(kube: Kube, stack: Stack) -> None:
    """Two users whose names differ in the last letter have an account each, of sixty-three letters
    at most; the same user has the same one every time."""
    namespace = f"conformance-{'long-' * 6}{uuid.uuid4().hex[:8]}"
    names = [f"user-{'of-a-long-name-' * 3}{last}" for last in ("a", "b", "a")]
    for name in set(names):
        kube.service_account(namespace, name)
    users = [Identity(kube.token(namespace, name)) for name in names]
    minted = [stack.mint(user).expect_status(201).json["token"] for user in users]
    kube.delete("v1", "Namespace", "", namespace)
    accounts = [stack.account_of(token)[1] for token in minted]
    assert accounts[0] == accounts[2] != accounts[1]
    assert max(map(len, accounts)) <= 63
    assert len({stack.claims(token)["jti"] for token in minted}) == 3


@requirement("EM-39")
def test_api_keys(stack: Stack) -> None:
    """Made, listed without their token, shown, and good on the bridge."""
    user = stack.cluster_identity()
    asked = {"name": "laptop", "description": "of a developer", "expiration": "1h"}
    made = stack.send("POST", API_KEYS, user, asked).expect_status(201).json
    assert set(made) == {"token", "expiration", "expiresAt", "jti", "name", "description"}
    assert (made["name"], made["expiration"]) == ("laptop", "1h0m0s")
    stack.chat(SIMULATOR, Identity(Secret(made["token"]))).expect_status(200)
    listed = stack.send("GET", API_KEYS, user).expect_status(200)
    assert [key["name"] for key in listed.json] == ["laptop"]
    listed.expect(CLIENT, made["token"] not in listed.response.text, "no token", "the token")
    shown = stack.send("GET", f"{API_KEYS}/{made['jti']}", user).expect_status(200).json
    assert (shown["id"], shown["name"], shown["status"]) == (made["jti"], "laptop", "active")
    other = stack.cluster_identity()
    assert stack.send("GET", API_KEYS, other).expect_status(200).json == []
    stack.send("GET", API_KEYS).expect_status(401)


@requirement("EM-39")
def test_api_keys_that_are_none(stack: Stack) -> None:
    """A nameless one, one that lives too short, and one that nobody made."""
    user = stack.cluster_identity()
    for body in ({}, {"name": ""}, {"name": "x", "expiration": "5m"}):
        assert "error" in stack.send("POST", API_KEYS, user, body).expect_status(400).json
    assert "error" in stack.send("GET", f"{API_KEYS}/none", user).expect_status(404).json


@requirement("EM-39")
def test_tiers_are_looked_up(stack: Stack, alice: Identity) -> None:
    """Through the gateway, where the drawing has them."""
    groups = {"groups": ["system:serviceaccounts:maas-default-gateway-tier-premium"]}
    answer = stack.send("POST", "/maas-api/v1/tiers/lookup", alice, groups).expect_status(200)
    assert answer.json["tier"] == "premium"
