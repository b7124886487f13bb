"""Many requests of many users at many providers at the same time, each judged by itself."""

import uuid
from collections import Counter
from typing import NamedTuple

import pytest

from fixtures.evidence import BACKEND, CLIENT, ID_HEADER, Exchange, Record, expect
from fixtures.evidence.requirements import requirement
from fixtures.secrets import redact
from fixtures.stack import CHAT, TIER_PREFIX, Identity, Provider, Stack
from suites.hardening.test_crowds import at_once
from suites.mixed_providers.providers import ALL, LOCAL

USERS, TIMES, TOGETHER = 6, 8, 24
TIERS = ("enterprise", "premium")


class Asked(NamedTuple):
    """Who asks whom, and a word that goes along and comes back."""

    user: Identity
    tier: str
    provider: Provider
    word: str


@pytest.fixture
def questions(stack: Stack) -> list[Asked]:
    """Of users of two tiers, each at each provider, several times, in turns."""
    tiers = [TIERS[number % len(TIERS)] for number in range(USERS)]
    users = [(stack.account_token(f"{TIER_PREFIX}{tier}"), tier) for tier in tiers]
    return [
        Asked(user, tier, provider, f"word-{uuid.uuid4().hex[:12]}")
        for _ in range(TIMES)
        for provider in ALL
        for user, tier in users
    ]


def received(record: Record) -> tuple[str, ...]:
    """What a backend has of a question that is one user's, or one provider's, alone."""
    headers = record.headers
    names = ("x-maas-username", "x-maas-tier") if record.backend == LOCAL.name else ()
    keys = [headers.get(one.key_header) for one in ALL if one.name == record.backend]
    return (record.backend, record.path, headers.get("x-echo"), *keys, *map(headers.get, names))


def wanted(asked: Asked) -> tuple[str, ...]:
    """The same, as it has to be."""
    account, key = asked.user.username.rpartition(":")[2], asked.provider.key.reveal()
    bearer = asked.provider.key_header == "Authorization"
    names = (account, asked.tier) if asked.provider is LOCAL else ()
    return (asked.provider.name, CHAT, asked.word, f"Bearer {key}" if bearer else key, *names)


@requirement("HD-37")
def test_nothing_is_mixed_up(stack: Stack, questions: list[Asked]) -> None:
    """Each question once at its own provider, with that one's key and in its user's name; each
    answer at who asked; the last as the first."""
    together = {ID_HEADER: f"conformance-{uuid.uuid4()}"}

    def ask(number: int) -> Exchange:
        one = questions[number]
        headers = {**together, "x-echo": one.word}
        return stack.chat(one.provider, one.user, headers, user=one.word)

    answers = at_once(len(questions), ask, TOGETHER)
    for one, answer in zip(questions, answers, strict=True):
        got = (answer.status, answer.response.headers.get("x-echo"))
        answer.expect(CLIENT, got == (200, one.word), f"200 and {one.word}", got)
    records = stack.records(together[ID_HEADER])
    times = Counter(record.json["user"] for record in records)
    there = [times[one.word] for one in questions]
    expect(set(there) == {1}, BACKEND, "each question once", f"{Counter(there)} times")
    found = {record.json["user"]: received(record) for record in records}
    for one in questions:
        right = found[one.word] == wanted(one)
        expect(right, BACKEND, redact(f"{wanted(one)}"), redact(f"{found[one.word]}"))
