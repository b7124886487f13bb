"""The listing of models, while some of them cannot say what they are."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import pytest

from fixtures.evidence import BACKEND, CLIENT, expect
from fixtures.evidence.requirements import requirement
from fixtures.kube import Kube
from fixtures.stack import TIER_PREFIX, Identity, Provider, Stack
from fixtures.stack.grants import granted
from fixtures.stack.local_models import local_model
from fixtures.waiting import ENFORCED_SECONDS, until
from suites.mixed_providers.providers import LOCAL

# maas-api asks a model four times, for five seconds each (maas-api/internal/models).
LISTED_SECONDS = 27.0
LOCAL_OBJECT = LOCAL.path.rpartition("/")[2]


@contextlib.contextmanager
def models_of(kube: Kube, stack: Stack, user: Identity) -> Iterator[list[Provider]]:
    """Two that the user may use, and that are listed for him."""
    with (
        local_model(kube, LOCAL.namespace) as one,
        local_model(kube, LOCAL.namespace) as other,
        granted(kube, user, LOCAL.namespace, [LOCAL_OBJECT, one.name, other.name]),
    ):
        stack.wait_in_effect([one, other])
        wanted = {LOCAL.model, one.model, other.model}
        until("the listing to have two models more", lambda: listed(stack, user)[0],
              lambda found: wanted <= found, ENFORCED_SECONDS, every=2)  # fmt: skip
        yield [one, other]


def listed(stack: Stack, user: Identity) -> tuple[set[str], float]:
    """(the models that a user has listed, and in how many seconds)."""
    began = time.monotonic()
    answer = stack.send("GET", "/v1/models", user).expect_status(200)
    return {one["id"] for one in answer.listed()}, time.monotonic() - began


def told(stack: Stack, model: Provider, how: str) -> None:
    """Let a recorder answer its own listing so."""
    path = f"/_recorder/listing?{how}"
    status, text = stack.kube.through_service(model.namespace, model.service, path)
    expect(status == 200, BACKEND, f"{model} to take {how}", f"{status} {text}")


@requirement("HD-99")
@pytest.mark.window(LISTED_SECONDS)
def test_a_listing_comes_while_models_fail_or_are_silent(kube: Kube, stack: Stack) -> None:
    """One of a user's models answers 500, another not at all: the third is listed, and they when
    they are well again."""
    user = stack.account_token(f"{TIER_PREFIX}enterprise")
    with models_of(kube, stack, user) as (failing, silent):
        told(stack, failing, "status=500")
        told(stack, silent, f"hang={2 * LISTED_SECONDS}")
        found, seconds = listed(stack, user)
        ill = {failing.model, silent.model}
        expect(LOCAL.model in found, CLIENT, f"{LOCAL.model} listed", f"{sorted(found)}")
        expect(not ill & found, CLIENT, "neither of the two that are ill", f"{sorted(ill & found)}")
        within = f"a listing within {LISTED_SECONDS:.0f} s"
        expect(seconds < LISTED_SECONDS, CLIENT, within, f"after {seconds:.1f} s")
        for one in (failing, silent):
            told(stack, one, "status=200")
        again, _ = listed(stack, user)
        expect(ill <= again, CLIENT, "both when they are well", f"{sorted(again)}")
