"""Which provider stands for all where a sentence is of no provider in particular: one that is
served. That each is, the other documents' requirements say."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

import httpx

from fixtures.stack import TIER_PREFIX, Identity, Provider, Stack
from fixtures.waiting import SETTLED_SECONDS, WaitTimeout, until

INSTEAD = "instead"  # of a test's user properties: who was asked in whose place, and why


@dataclass(frozen=True)
class Chosen:
    """A provider, and `why` it is not the first; "" if it is."""

    provider: Provider
    why: str = ""


def choose(stack: Stack, providers: Sequence[Provider]) -> Chosen:
    """The first that answers a good user, whose listing is asked; where none does the first, which
    shows what is wrong."""
    first, user = providers[0], stack.account_token(f"{TIER_PREFIX}enterprise")
    seen = {}
    for one in providers:
        seen[one] = _status(stack, one, user)
        if seen[one] == "200":
            others = ", ".join(f"{name} ({status})" for name, status in seen.items() if name != one)
            why = f"{one} was asked in the place of {others}" if others else ""
            return Chosen(one, why)
    return Chosen(first)


def _status(stack: Stack, provider: Provider, user: Identity) -> str:
    """What comes of a request, once that is no matter of a moment."""
    seen = ["no answer"]

    def ask() -> str:
        try:
            seen.append(str(stack.models(provider, user).status))
        except httpx.TransportError as error:
            seen.append(str(error) or type(error).__name__)
        return seen[-1]

    with contextlib.suppress(WaitTimeout):
        until(f"{provider} to be served", ask, lambda status: status == "200", SETTLED_SECONDS)
    return seen[-1]
