"""What the cluster shows to those who may not read Secrets: statuses, events, and logs.

Everybody asks for everything first, and then all of that is read.
"""

import json
import re
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from fixtures import spaces
from fixtures.clusters import Access
from fixtures.evidence import EGRESS, MAAS, ROUTER, Exchange, expect
from fixtures.evidence.requirements import requirement
from fixtures.evidence.verdicts import CLOSED, PRESENT, Decision
from fixtures.kube import Kube
from fixtures.objects import existing
from fixtures.secrets import Secret, forms
from fixtures.stack import CHAT, TIER_PREFIX, Identity, Stack
from fixtures.stack.logs import EGRESS_GATEWAY
from suites.dual_gateway.vsr import NAMESPACE, SERVICE
from suites.hardening.in_vain import InVain, ask_in_vain
from suites.hardening.ways import COMPLETIONS, Walker, Way, expect_on_each
from suites.mixed_providers.providers import EXTERNAL, OPENAI

LINES = 5000  # of each log, in which what was asked just now is looked for
SHOWN = 5  # questions of each log that has some
STATUSES, EVENTS, LOGS = "statuses", "events", "logs"
API_KEYS = "/maas-api/v1/api-keys"


@dataclass
class Talk:
    """What was said, by whom it is: `secrets` by what they are, `prompts` by the way, which may be
    the router's; what was asked `in_vain`; and what the cluster showed then, by where: statuses,
    events and logs, each by its name."""

    secrets: dict[str, Secret] = field(default_factory=dict)
    prompts: dict[str, str] = field(default_factory=dict)
    routed: list[str] = field(default_factory=list)
    in_vain: InVain = field(default_factory=InVain)
    shown: dict[str, dict[str, str]] = field(default_factory=dict)

    def leaks(self, where: str) -> Iterator[tuple[str, list[str]]]:
        """Each secret, and what has it in whatever form; a token's signature is enough."""
        for what, secret in self.secrets.items():
            yield what, self.holders(where, forms(secret.reveal().rpartition(".")[2]))

    def holders(self, where: str, texts: set[str]) -> list[str]:
        """Which of these have one of the texts in it."""
        return sorted(
            name for name, shown in self.shown[where].items() if any(one in shown for one in texts)
        )


@pytest.fixture(scope="module")
def talk(kube: Kube, access: Access, stack: Stack, talker: Walker, all_ways: list[Way]) -> Talk:
    """Of every kind of user, on every way, with good tokens and bad ones."""
    found = Talk({f"the key of {one}": one.key for one in EXTERNAL})
    _use_every_key(stack, talker.user)
    _use_every_token(stack, found)
    found.secrets["a user's token"] = talker.user.token
    _ask_on_every_way(talker, all_ways, found)
    found.in_vain = ask_in_vain(kube, stack, talker.user, all_ways)
    time.sleep(access.log_seconds)
    readable = spaces.namespaces(kube, access)
    events = [one for one in kube.all("v1", "Event") if spaces.within(one, readable)]
    found.shown = {
        STATUSES: {name: json.dumps(one) for name, one in spaces.statuses(kube, readable).items()},
        EVENTS: {_event(one): json.dumps(one) for one in events},
        LOGS: spaces.logs(kube, readable, LINES),
    }
    return found


def _event(event: dict[str, Any]) -> str:
    about = event.get("involvedObject", {})
    return f"{event['metadata']['name']} of {about.get('kind')} {about.get('name')}"


def _use_every_key(stack: Stack, user: Identity) -> None:
    """A request that got each key, and one that its provider refused; all of them are logged."""
    asked = []
    for provider in EXTERNAL:
        served = stack.chat(provider, user).expect_status(200)
        if not stack.is_real(provider):
            got = served.expect_backend_received(provider.name)
            key = provider.key.reveal() in got.headers.text
            served.expect(provider.name, key, "its key", "no key")
        refused = stack.send("GET", f"{provider.path}/v1/nothing", user).expect_status(404)
        asked += [served, refused]
    for exchange in asked:
        lines = len(stack.maas_log(exchange.id))
        exchange.expect(MAAS, lines > 0, "the request in its access log", "no line")
    asked[-1].inner_seen  # noqa: B018 - waits until the egress gateway has logged it


def _use_every_token(stack: Stack, found: Talk) -> None:
    """A login, what it is exchanged for, and a token of another's."""
    login = stack.cluster_identity()
    minted = Identity(Secret(stack.mint(login).expect_status(201).json["token"]))
    asked = {"name": "of-a-test", "expiration": "1h"}
    key = stack.send("POST", API_KEYS, login, asked).expect_status(201).json["token"]
    stranger = stack.account_token(f"{TIER_PREFIX}free", "another-gateway-sa")
    for user, status in ((minted, 200), (Identity(Secret(key)), 200), (stranger, 401)):
        stack.models(OPENAI, user).expect_status(status)
    stack.send("DELETE", "/maas-api/v1/tokens", login).expect_status(204)
    found.secrets |= {
        "a login": login.token,
        "a minted token": minted.token,
        "an API key": Secret(key),
        "a refused token": stranger.token,
    }


def _ask_on_every_way(talker: Walker, all_ways: list[Way], found: Talk) -> None:
    """A chat, a stream, and a completion where there are some, each with a prompt of its own."""

    def problem(way: Way) -> str:
        words = [uuid.uuid4().hex for _ in range(3)]
        answers: list[Exchange] = [
            talker.ask(way, messages=[{"role": "user", "content": word}], stream=number == 1)
            for number, word in enumerate(words[:2])
        ]
        if COMPLETIONS in way.operations:
            body = {"model": way.model, "prompt": words[2], "max_tokens": 10}
            path = way.route.path + COMPLETIONS
            answers.append(talker.stack.send("POST", path, talker.user, body))
        for number, word in enumerate(words[: len(answers)]):
            found.prompts[f"prompt {number + 1} of {way}"] = word
            if not way.route.path:
                found.routed.append(word)
        statuses = [one.status for one in answers]
        return "" if set(statuses) == {200} else f"statuses {statuses}"

    expect_on_each(all_ways, f"answers by {CHAT} and {COMPLETIONS}", problem)


@requirement("HD-13")
@pytest.mark.capability("maas_gateway_log")
@pytest.mark.parametrize("where", [STATUSES, EVENTS, LOGS])
def test_no_secret_is_shown(kube: Kube, talk: Talk, where: str) -> None:
    """By no part, but for what the egress gateway logs."""
    own = egress_envoys(kube) if where == LOGS else set()
    leaks = {
        what: others for what, found in talk.leaks(where) if (others := sorted({*found} - own))
    }
    read = len(talk.shown[where])
    expect(read > 0, MAAS, f"{where} to read", "none")
    expect(not leaks, MAAS, f"no secret in any of {read} {where}", f"{leaks}")


def egress_envoys(kube: Kube) -> set[str]:
    """The logs of the egress gateway's Envoys."""
    name, _, value = EGRESS_GATEWAY.selector.partition("=")
    pods = kube.all("v1", "Pod", EGRESS_GATEWAY.namespace, {name: value})
    names = [one["metadata"]["name"] for one in pods]
    return {f"{EGRESS_GATEWAY.namespace}/{one}/{EGRESS_GATEWAY.container}" for one in names}


@requirement("HD-100")
@pytest.mark.capability("maas_gateway_log", "egress_gateway_log")
def test_the_egress_gateway_writes_no_secret_down(kube: Kube, talk: Talk) -> None:
    """Which has seen all keys, and those tokens that go along to a provider."""
    own = egress_envoys(kube) & set(talk.shown[LOGS])
    expect(bool(own), EGRESS, "its log", "none that can be read")
    leaks = {what: sorted(own & {*found}) for what, found in talk.leaks(LOGS) if own & {*found}}
    expect(not leaks, EGRESS, "no key and no token in its log", f"{leaks}")


def routers(kube: Kube, logs: list[str]) -> list[str]:
    """Of these logs those of the router's own containers, beside its Envoy."""
    deployment = existing(kube, "apps/v1", "Deployment", NAMESPACE, SERVICE)
    labels = deployment["spec"]["selector"]["matchLabels"]
    names = {one["metadata"]["name"] for one in kube.all("v1", "Pod", NAMESPACE, labels)}
    own = {f"{NAMESPACE}/{name}/semantic-router" for name in names}
    return [one for one in logs if one in own]


@requirement("HD-85")
@pytest.mark.capability("maas_gateway_log")
def test_nobody_writes_prompts_down(kube: Kube, talk: Talk) -> None:
    """No container but the router's, of which HD-86 is."""
    holders = {what: talk.holders(LOGS, {word}) for what, word in talk.prompts.items()}
    every = [one for found in holders.values() for one in found]
    own = set(routers(kube, every)) if every else set()
    leaks = {what: others for what, found in holders.items() if (others := sorted({*found} - own))}
    read = len(talk.shown[LOGS])
    expect(not leaks, MAAS, f"no prompt in any of {read} logs", f"{leaks}")


@requirement("HD-85")
@pytest.mark.capability("maas_gateway_log")
def test_nobody_writes_down_what_is_asked_in_vain(kube: Kube, talk: Talk) -> None:
    """What is refused, fails, or is no question that anybody understands."""
    words, logs = talk.in_vain.words, talk.shown[LOGS]
    written = {
        name: sorted({*re.findall(rf"{talk.in_vain.stem}-\d+", text)})
        for name, text in logs.items()
        if talk.in_vain.stem in text
    }
    own = set(routers(kube, list(written))) if written else set()
    leaks = {name: [words[one] for one in found][:SHOWN]
             for name, found in written.items() if name not in own}  # fmt: skip
    expect(not leaks, MAAS, f"nothing asked in vain in any of {len(logs)} logs", f"{leaks}")


@requirement("HD-86")
@pytest.mark.capability("router_log")
def test_the_router_writes_prompts_down(kube: Kube, talk: Talk, decide: Decision) -> None:
    """Those of its own way, whichever model was asked for."""
    if not talk.routed:
        pytest.skip("no route leads to a router")
    own = routers(kube, list(talk.shown[LOGS]))
    expect(bool(own), ROUTER, "its log", "none that can be read")
    written = [any(word in talk.shown[LOGS][name] for name in own) for word in talk.routed]
    known = {frozenset({True}): PRESENT, frozenset({False}): CLOSED}
    decide(known.get(frozenset(written), f"{sum(written)} of {len(written)} prompts"))
