"""A budget is the user's, and no token's."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor

from fixtures.evidence import CLIENT, expect
from fixtures.evidence.requirements import requirement
from fixtures.kube import Kube
from fixtures.secrets import Secret
from fixtures.stack import AUDIENCE, CHAT, TIER_PREFIX, Identity, Stack
from suites.hardening.everywhere import SIDE_BY_SIDE
from suites.hardening.test_counted_everywhere import chat
from suites.hardening.test_keys import API_KEYS
from suites.hardening.test_usage import Question, questions
from suites.maas_gateway.tiers import REQUESTS, TOKENS

Several = list[Identity]  # of one user


def of_maas_api(stack: Stack) -> Several:
    """A new user's two tokens and his key."""
    user = stack.cluster_identity()
    made = [stack.mint(user).expect_status(201).json for _ in range(2)]
    asked = {"name": f"key-{uuid.uuid4().hex[:8]}", "expiration": "1h"}
    made.append(stack.send("POST", API_KEYS, user, asked).expect_status(201).json)
    return [Identity(Secret(one["token"])) for one in made]


def of_an_account(kube: Kube, tier: str) -> Several:
    """Three tokens of a new account."""
    namespace, name = f"{TIER_PREFIX}{tier}", f"user-{uuid.uuid4().hex[:12]}"
    kube.service_account(namespace, name)
    return [Identity(kube.token(namespace, name, [AUDIENCE])) for _ in range(3)]


def on_each_way(
    kube: Kube, stack: Stack, tier: str, user: Several, wanted: list[tuple[int, int]]
) -> None:
    """What a user of a tier is answered on each way that it has, with one token after the other: of
    each question the tokens that its answer reports, and its status."""
    first = stack.account_token(f"{TIER_PREFIX}{tier}")
    ways = [one for one in questions(kube, stack, first, [CHAT]) if one.is_usual]
    expect(len(ways) > 1, CLIENT, "ways to models on which budgets are counted", f"{ways}")

    def wrong(way: Question) -> str:
        found = [
            chat(stack, way, user[number % len(user)], used).status
            for number, (used, _) in enumerate(wanted)
        ]
        return "" if found == [status for _, status in wanted] else f"{way}: {found}"

    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        problems = [one for one in pool.map(wrong, ways) if one]
    expect(not problems, CLIENT, f"{wanted} on each of {len(ways)} ways", "; ".join(problems))


@requirement("HD-112")
def test_another_token_has_no_tokens(kube: Kube, stack: Stack) -> None:
    """Each uses some, of the free tier by maas-api and of the enterprise tier, and then none of
    them has any."""
    for tier, user in (
        ("free", of_maas_api(stack)),
        ("enterprise", of_an_account(kube, "enterprise")),
    ):
        wanted = [(TOKENS[tier] - 1, 200), (1, 200), (1, 429), (1, 429)]
        on_each_way(kube, stack, tier, user, wanted)


@requirement("HD-112")
def test_another_token_has_no_requests(kube: Kube, stack: Stack) -> None:
    """In turns, as many as one would have."""
    wanted = [(1, 200)] * REQUESTS["premium"] + [(1, 429)] * 3
    user = of_an_account(kube, "premium")
    on_each_way(kube, stack, "premium", user, wanted)
