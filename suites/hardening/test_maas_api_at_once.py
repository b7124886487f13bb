"""Users who ask maas-api at the same moment: each is given what he is given alone."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from fixtures.evidence import CLIENT, Exchange, expect
from fixtures.evidence.requirements import requirement
from fixtures.kube import Kube
from fixtures.secrets import Secret
from fixtures.stack import USERS, Identity, Stack
from fixtures.stack.local_models import made_beside
from suites.hardening.test_crowds import at_once
from suites.hardening.test_identity import has_account
from suites.hardening.test_keys import API_KEYS

GROUPS = ("conformance-premium-users", "conformance-enterprise-users", USERS)
OF_EACH, SHOWN = 4, 3
TOKENS = "/maas-api/v1/tokens"


@dataclass(frozen=True)
class Crowd:
    """Users of three groups."""

    stack: Stack
    users: list[Identity]

    def ask(self, ask: Callable[[int, Identity], Exchange]) -> list[Exchange]:
        """Side by side."""
        return at_once(len(self.users), lambda number: ask(number, self.users[number]))

    def asked(self, status: int, ask: Callable[[int, Identity], Exchange]) -> list[Any]:
        """What each is answered."""
        return [one.expect_status(status).json for one in self.ask(ask)]

    def mint(self) -> list[Any]:
        return self.asked(201, lambda _, user: self.stack.mint(user))

    def accounts(self, made: list[Any]) -> list[tuple[str, str]]:
        """Whose each of these tokens is."""
        return [self.stack.account_of(one["token"]) for one in made]

    def own(self) -> list[tuple[str, str]]:
        """Whose tokens they mint alone, one after the other."""
        made = [self.stack.mint(user).expect_status(201).json for user in self.users]
        found = self.accounts(made)
        expect(len({*found}) == len(found), CLIENT, f"{len(found)} accounts", f"{found}")
        return found


@pytest.fixture
def crowd(stack: Stack) -> Crowd:
    """Whom nobody has seen before."""
    return Crowd(stack, [stack.cluster_identity(group) for group in GROUPS * OF_EACH])


def expect_own(what: str, found: Sequence[object], own: Sequence[object]) -> None:
    """What each was given, in turn, is his own."""
    others = [f"{one} instead of {his}" for one, his in zip(found, own, strict=True) if one != his]
    shown = f"{len(others)} others: {'; '.join(others[:SHOWN])}"
    expect(not others, CLIENT, f"his own {what} for each of {len(own)}", shown)


@requirement("HD-37")
def test_tokens_are_of_who_asks(crowd: Crowd) -> None:
    """Of users who are new, and of those who have an account."""
    first, own = crowd.mint(), crowd.own()
    expect_own("account's first token", crowd.accounts(first), own)
    expect_own("account's token", crowd.accounts(crowd.mint()), own)


@requirement("HD-37")
def test_keys_are_of_who_asks(crowd: Crowd) -> None:
    """Made, listed and read."""
    stack, names = crowd.stack, [f"key-{uuid.uuid4().hex[:8]}" for _ in crowd.users]

    def make(number: int, user: Identity) -> Exchange:
        return stack.send("POST", API_KEYS, user, {"name": names[number], "expiration": "1h"})

    keys = crowd.asked(201, make)
    expect_own("key's name", [one["name"] for one in keys], names)
    expect_own("account's key", crowd.accounts(keys), crowd.own())
    listings = crowd.asked(200, lambda _, user: stack.send("GET", API_KEYS, user))
    listed = [[one["name"] for one in found] for found in listings]
    expect_own("key in the listing", listed, [[name] for name in names])
    ids = [one["jti"] for one in keys]
    read = crowd.asked(200, lambda n, user: stack.send("GET", f"{API_KEYS}/{ids[n]}", user))
    expect_own("key", [one["name"] for one in read], names)


@requirement("HD-37")
def test_the_end_is_of_who_asks(kube: Kube, crowd: Crowd) -> None:
    """Every second revokes his tokens, while the others mint."""
    stack, before, own = crowd.stack, crowd.mint(), crowd.own()
    ends = [number % 2 == 0 for number in range(len(own))]
    after = crowd.ask(lambda number, user: (
        stack.send("DELETE", TOKENS, user) if ends[number] else stack.mint(user)
    ))  # fmt: skip
    expect_own("status", [one.status for one in after], [204 if end else 201 for end in ends])
    minted = [one.json for one, end in zip(after, ends, strict=True) if not end]
    kept = [account for account, end in zip(own, ends, strict=True) if not end]
    expect_own("account's token", crowd.accounts(minted), kept)
    ended = [not has_account(kube, stack, Secret(one["token"])) for one in before]
    expect_own("tokens' end", ended, ends)


def models(exchange: Exchange) -> list[str]:
    """What is listed, but for the models of tests beside this one."""
    names = [str(one["id"]) for one in exchange.expect_status(200).listed()]
    return sorted(name for name in names if not made_beside(name))


@requirement("HD-37")
@pytest.mark.parametrize("with_minted", [False, True], ids=["a-login", "a-minted-token"])
def test_models_are_of_who_asks(stack: Stack, with_minted: bool) -> None:
    """One user of each group: a login is exchanged for a token of his account."""
    crowd = Crowd(stack, [stack.cluster_identity(group) for group in GROUPS])
    if with_minted:
        crowd = Crowd(stack, [Identity(Secret(one["token"])) for one in crowd.mint()])
    own = [models(stack.send("GET", "/v1/models", user)) for user in crowd.users]
    found = crowd.ask(lambda _, user: stack.send("GET", "/v1/models", user))
    expect_own("models", [models(one) for one in found], own)
