"""However a path is written, it leads to nothing that its plain spelling does not."""

import uuid
from collections import Counter

import pytest

from fixtures.clusters import Access
from fixtures.evidence import BACKEND, CLIENT, ID_HEADER, MAAS, Exchange, expect
from fixtures.evidence.requirements import requirement
from fixtures.evidence.verdicts import CLOSED, PRESENT, Decision
from fixtures.kube import Kube
from fixtures.stack import CHAT, Identity, Provider, Stack
from fixtures.stack.surface import protected
from suites.hardening.everywhere import SIDE_BY_SIDE, written
from suites.hardening.hosts import PLAIN, PORTS, SPELLINGS, Spell, Stranger
from suites.hardening.spellings import spellings
from suites.hardening.test_crowds import at_once
from suites.hardening.wire import ENDED, Wire
from suites.maas_gateway.models import PREMIUM
from suites.mixed_providers.providers import ALL, LOCAL, OPENAI

LONG, TOO_LONG = 8 * 1024, 62 * 1024  # Envoy's limit for all headers is 60 KiB


def expect_client_error(exchange: Exchange) -> None:
    refused = 400 <= exchange.status < 500
    exchange.expect(CLIENT, refused, "a refusal, 4xx", f"status {exchange.status}")


@requirement("HD-9")
@pytest.mark.parametrize("path", spellings(PREMIUM.path, LOCAL.path, CHAT))
def test_rights_hold_for_every_spelling(stack: Stack, alice: Identity, path: str) -> None:
    """A free user, who may use the one model and not the other."""
    message = {"role": "user", "content": "Hello"}
    body = {"model": PREMIUM.model, "messages": [message]}
    exchange = stack.send("POST", path, alice, body)
    reached = [record.backend for record in exchange.records]
    exchange.expect(BACKEND, PREMIUM.name not in reached, f"nothing at {PREMIUM.name}", reached)
    if LOCAL.name not in reached:
        expect_client_error(exchange)


@requirement("HD-9")
def test_rights_hold_however_it_is_written(stack: Stack, alice: Identity) -> None:
    """At each slash of the model's path, in each part of it, and at its end; side by side."""
    paths, together = written(PREMIUM.path + CHAT), f"conformance-{uuid.uuid4()}"
    body = {"model": PREMIUM.model, "messages": [{"role": "user", "content": "Hello"}]}

    def asked(number: int) -> Exchange:
        return stack.send("POST", paths[number], alice, body, {ID_HEADER: together})

    answers = at_once(len(paths), asked, SIDE_BY_SIDE)
    reached = [f"{one.backend}: {one.path}" for one in stack.records(together)]
    expect(not reached, BACKEND, f"nothing of {len(paths)} spellings", f"{reached}")
    for one in answers:
        expect_client_error(one)
    asked_about = [one for one in answers if one.status == 403]
    expect(bool(asked_about), MAAS, "403 for some, which a policy decided", "none")
    print(*(one.sent_path for one in asked_about), sep="\n")


# By which other gateways are told what was asked for before, or is to be asked for.
INSTEAD = ("x-original-url", "x-rewrite-url", "x-original-uri", "x-forwarded-uri",
           "x-forwarded-path", "x-envoy-original-path", "x-envoy-original-url")  # fmt: skip


@requirement("HD-9")
@pytest.mark.parametrize("tls", [True, False], ids=["https", "http"])
def test_no_header_leads_elsewhere(stack: Stack, alice: Identity, tls: bool) -> None:
    """A free user asks a model that he may use, and names in headers one that he may not."""
    headers = dict.fromkeys(INSTEAD, PREMIUM.path + CHAT)
    body = {"model": LOCAL.model, "messages": [{"role": "user", "content": "Hello"}]}
    exchange = stack.send("POST", LOCAL.path + CHAT, alice, body, headers, tls=tls)
    exchange.expect_status(200).expect_backend_received(LOCAL.name, CHAT)
    refused = stack.send("POST", PREMIUM.path + CHAT, alice, body,
                         dict.fromkeys(INSTEAD, LOCAL.path + CHAT), tls=tls)  # fmt: skip
    refused.expect_status(403).expect_no_backend()


@requirement("HD-10")
@pytest.mark.parametrize("target", ALL, ids=str)
def test_nobody_gets_past_authentication(stack: Stack, target: Provider) -> None:
    """Without a token, for a backend's own path and for the chat of every spelling."""
    other = LOCAL if target is not LOCAL else OPENAI
    for path in spellings(target.path, other.path, CHAT):
        exchange = stack.send("POST", path, body={"model": target.model})
        expect_client_error(exchange.expect_no_backend())


@requirement("HD-10")
@pytest.mark.parametrize("target", ALL, ids=str)
@pytest.mark.parametrize("protocol", ["websocket", "h2c"])
def test_an_upgrade_is_no_way_past(stack: Stack, target: Provider, protocol: str) -> None:
    headers = {
        "connection": "Upgrade",
        "upgrade": protocol,
        "sec-websocket-version": "13",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    exchange = stack.send("GET", f"{target.path}/v1/models", headers=headers)
    expect_client_error(exchange.expect_no_backend())


@requirement("HD-11")
@pytest.mark.parametrize("host", ["other.example", "127.0.0.1", "maas-api.opendatahub.svc"])
def test_another_host_is_nobodys(stack: Stack, heavy_user: Identity, host: str) -> None:
    """In Host, and in an absolute target, which outweighs Host (RFC 9112, section 3.2.2)."""
    for provider in ALL:
        path = f"{provider.path}/v1/models"
        stack.send("GET", path, heavy_user, headers={"host": host}).expect_refusal(404)
        stack.send("GET", f"https://{host}{path}", heavy_user).expect_refusal(404)


@requirement("HD-11")
@pytest.mark.parametrize("name", ["other.example", "maas-api.opendatahub.svc"])
def test_a_connection_for_another_name_is_nobodys(
    kube: Kube, access: Access, stack: Stack, heavy_user: Identity, external: Provider, name: str
) -> None:
    """In SNI (RFC 6066, section 3), while Host is the gateway's."""
    status, received = Wire(kube, access, stack, heavy_user, external).send_under(name)
    reached = [one.backend for one in received]
    expect(reached == [], BACKEND, "no request", f"requests at {reached}")
    expect(status in (ENDED, 404, 421), CLIENT, "the end, 404 or 421", f"status {status}")


@requirement("HD-12")
def test_long_paths_harm_nobody(stack: Stack, heavy_user: Identity, external: Provider) -> None:
    path = f"{external.path}/v1/models?x="
    long = stack.send("GET", path + "a" * LONG, heavy_user).expect_status(200)
    seen = len(long.expect_backend_received(external.name).path)
    long.expect(BACKEND, seen > LONG, f"all of {LONG} letters", f"{seen} letters")
    expect_client_error(stack.send("GET", path + "a" * TOO_LONG, heavy_user).expect_no_backend())
    stack.models(external, heavy_user).expect_status(200)


def let_in(
    kube: Kube, access: Access, stack: Stack, tried: Counter[str], spell: Spell
) -> list[str]:
    """Which ways in there are without a good token where the host is written so."""
    stranger = Stranger(kube, access, tried)
    answers = stranger.ask(protected(kube), spell)
    if spell is PLAIN:  # and every route is there, and refuses
        routes = {one.entrance.route for one in answers}
        silent = routes - {one.entrance.route for one in answers if one.status == 401}
        expect(routes > silent == set(), MAAS, "401 on every protected route", f"not on {silent}")
    received = [f"{r.backend} received {r.method} {r.path}" for r in stack.records(stranger.id)]
    return [str(one) for one in answers if not one.is_refusal] + list(dict.fromkeys(received))


@requirement("HD-51")
@pytest.mark.parametrize("spell", PORTS.values(), ids=list(PORTS))
def test_no_port_leads_past_authentication(
    kube: Kube, access: Access, stack: Stack, tried: Counter[str], spell: Spell
) -> None:
    found = let_in(kube, access, stack, tried, spell)
    expect(found == [], MAAS, "nobody without a good token", "; ".join(found[:5]))


@requirement("HD-50")
def test_no_spelling_of_the_host_leads_past_authentication(
    kube: Kube, access: Access, stack: Stack, tried: Counter[str], decide: Decision
) -> None:
    """What is refused under the name itself is asked for again, with the name in other letters: on
    every protected route of the cluster."""
    plain = let_in(kube, access, stack, tried, PLAIN)
    expect(plain == [], MAAS, "nobody without a good token", "; ".join(plain[:5]))
    found = [
        one for spell in SPELLINGS.values() for one in let_in(kube, access, stack, tried, spell)
    ]
    shown = stack.chat(LOCAL, headers={"host": SPELLINGS["capitals"](stack.host)})
    print(f"{len(found)} ways in; {len(shown.records)} requests at {LOCAL}:", *found, sep="\n")
    decide(PRESENT if found else CLOSED)
