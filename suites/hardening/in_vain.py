"""What is asked in vain, each time with a prompt of its own: refused, failed, and for nobody."""

from __future__ import annotations

import contextlib
import itertools
import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

from fixtures.evidence import MAAS, Exchange, expect
from fixtures.found import first
from fixtures.kube import Kube
from fixtures.secrets import Secret
from fixtures.stack import CHAT, MANY, TIER_PREFIX, Identity, Stack
from suites.hardening.ways import Way, expect_on_each, member_of

LARGE = 2_000_000  # bytes, more than Envoy buffers by itself
RESPONSES = "/v1/responses"
NOBODY = Identity(Secret("of-nobody"))
# The statuses that some of it has to get, whichever way it is.
STATUSES = {200, 400, 401, 403, 404, 429, 503}
Ask = Callable[[str, bytes], Exchange]


@dataclass
class InVain:
    """What was asked, by its word: each begins with the `stem`."""

    stem: str = field(default_factory=lambda: uuid.uuid4().hex)
    words: dict[str, str] = field(default_factory=dict)
    statuses: set[int] = field(default_factory=set)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def ask(self, what: str, way: Way, operation: str, ask: Ask, ends: int = 0) -> int:
        """A question on a way, of which the last bytes may be missing."""
        word = f"{self.stem}-{first(self._numbers, 'number')}"
        text = {"prompt": word, "input": word, "messages": [{"role": "user", "content": word}]}
        body = json.dumps({"model": way.model, "max_tokens": 10, **text}).encode()
        found = ask(way.route.path + operation, body[: len(body) - ends])
        self.words[word] = f"{what} by {operation} of {way}: {found.status}"
        self.statuses.add(found.status)
        return found.status


def ask_in_vain(kube: Kube, stack: Stack, user: Identity, all_ways: list[Way]) -> InVain:
    """Without a good token, without the right and beyond the budget by every operation; what its
    model answers with an error, no JSON, what is very large, and what nobody serves."""
    found = InVain()
    stranger = stack.account_token(f"{TIER_PREFIX}free")
    with contextlib.ExitStack() as rights:
        spender = rights.enter_context(member_of(kube, stack, "free"))
        expect_on_each(all_ways, "an answer to each question that is in vain",
                       partial(_on_way, found, stack, user, stranger, spender))  # fmt: skip
    missing = sorted(STATUSES - found.statuses)
    expect(not missing, MAAS, f"{sorted(STATUSES)} for what is in vain", f"no {missing}")
    return found


def _on_way(
    found: InVain, stack: Stack, user: Identity, stranger: Identity, spender: Identity, way: Way
) -> str:
    def by(who: Identity | None, **wish: int) -> Ask:
        kind = {"content-type": "application/json"}
        return lambda path, body: stack.send("POST", path, who, body, kind, recorder=wish or None)

    def large(path: str, body: bytes) -> Exchange:
        return by(user)(path, body + b" " * LARGE)

    operations = [*way.questions, RESPONSES] if way.route.path else way.questions
    found.ask("all of a budget", way, CHAT, by(spender, total_tokens=MANY))
    for one in operations:
        found.ask("no token", way, one, by(None))
        found.ask("no right", way, one, by(stranger))
        found.ask("no budget", way, one, by(spender))
    found.ask("a token of nobody", way, CHAT, by(NOBODY))
    found.ask("an error", way, CHAT, by(user, status=503))
    found.ask("no JSON", way, CHAT, by(user), ends=1)
    found.ask("a large question", way, CHAT, large)
    found.ask("no such operation", way, "/v1/nothing", by(user))
    return ""
