"""Nobody gets in at any route while a part is gone, silent or new, or while something is edited:
all in one cluster, which each test leaves as it was."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial

import pytest

from fixtures.evidence import BACKEND, expect
from fixtures.evidence.requirements import requirement
from fixtures.stack import Identity
from fixtures.stack.local_models import local_model
from fixtures.stack.paused import paused
from fixtures.waiting import ENFORCED_SECONDS, until
from suites.hardening.everywhere import Answered, Asker, Question, welcoming
from suites.hardening.moments import (
    EDITS,
    GARBAGE,
    NOBODY,
    STRANGERS,
    Edit,
    Knocker,
    Whole,
    expect_all,
    until_welcome,
)
from suites.hardening.parts import (
    AUTHORINO,
    EGRESS_PROXY,
    LIMITADOR,
    MAAS_API,
    MAAS_PROXY,
    OPERATOR,
    ROUTER,
    Part,
    gone,
    in_time,
    replaced,
    waits,
)

pytestmark = [pytest.mark.disposable, pytest.mark.capability("disposable_clusters")]

PARTS = [AUTHORINO, OPERATOR, LIMITADOR, MAAS_PROXY, EGRESS_PROXY, MAAS_API, ROUTER]
TIMES = 2  # that something is edited


@pytest.fixture
def crowd(whole: Whole, tried: Counter[str]) -> Iterator[Asker]:
    """Who asks every route at once, for everybody."""
    made = whole.asker(tried, len(whole.asked))
    yield made
    made.close()


@pytest.fixture(autouse=True)
def settled(whole: Whole, crowd: Asker) -> None:
    """Authorino answers at every route, whatever the test before has done to it."""
    until("Authorino to answer at every route",
          lambda: [str(one) for one in crowd.ask(whole.asked) if one.status == 500],
          lambda silent: not silent, ENFORCED_SECONDS)  # fmt: skip
    crowd.renew()


@requirement("HD-18")
def test_without_authorino(whole: Whole, crowd: Asker) -> None:
    """Who was let in before is not let in either; when it is back, everybody is."""
    known, new = whole.user(), whole.user()
    welcome = welcoming(whole.kube, crowd, whole.asked, known)
    with gone(whole.kube, AUTHORINO):
        for user in (known, new, GARBAGE, NOBODY):
            expect_all(crowd.ask(whole.asked, user), 500, "everybody", "without Authorino")
        expect_nothing_behind(crowd)
    expect_as_before(whole, crowd, welcome, known, new)


@requirement("HD-38")
@pytest.mark.capability("pausing")
def test_while_authorino_is_silent(whole: Whole, crowd: Asker) -> None:
    """It stands still, so that connections to it are made and nothing comes back."""
    known, new = whole.user(), whole.user()
    welcome = welcoming(whole.kube, crowd, whole.asked, known)
    everybody: list[Callable[[], list[Answered]]] = [
        partial(crowd.ask, whole.asked, user) for user in (known, new, GARBAGE, NOBODY)
    ]
    with paused(whole.kube, whole.access, AUTHORINO):
        answers = in_time(everybody, waits(whole.kube, "auth-service"))
    for some in answers:
        expect_all(some, 500, "everybody", "while Authorino is silent")
    expect_nothing_behind(crowd)
    expect_as_before(whole, crowd, welcome, known, new)


def expect_nothing_behind(crowd: Asker) -> None:
    received = crowd.received()
    expect(not received, BACKEND, "no request", f"{received}")


def expect_as_before(whole: Whole, crowd: Asker, welcome: list[Question], *users: Identity) -> None:
    """These users are let in where they were, and nobody else is."""
    for user in users:
        until_welcome(crowd, welcome, user)
    for stranger in STRANGERS.values():
        expect_all(crowd.ask(whole.asked, stranger), 401, "strangers", "when it is back")
    expect_nothing_behind(crowd)


@requirement("HD-32")
@pytest.mark.parametrize("part", PARTS, ids=[name for _, name in PARTS])
def test_no_door_is_open_while_a_part_starts_anew(
    whole: Whole, crowd: Asker, tried: Counter[str], part: Part
) -> None:
    """And until all that depends on it is served again."""
    user = whole.user()
    welcome = welcoming(whole.kube, crowd, whole.asked, user)
    with Knocker(whole, tried, f"{part[1]} starts anew") as knocker:
        replaced(whole.kube, part)
        until_welcome(crowd, welcome, user)
        knocker.go_on()


@requirement("HD-32")
@pytest.mark.parametrize("what", EDITS, ids=str)
def test_no_door_is_open_while_something_is_edited(
    whole: Whole, tried: Counter[str], what: str
) -> None:
    """Some times, each of which is another moment."""
    edit: Edit = EDITS[what]
    with Knocker(whole, tried, f"{what} is edited") as knocker:
        for number in range(TIMES):
            edit.make(whole.kube, number)
            knocker.go_on()


@requirement("HD-32")
def test_no_door_is_open_while_a_model_comes_and_goes(whole: Whole, tried: Counter[str]) -> None:
    """At the other routes; its own is new (HD-82)."""
    with ExitStack() as models, Knocker(whole, tried, "a model comes and goes") as knocker:
        models.enter_context(local_model(whole.kube, "llm"))
        knocker.go_on()
        models.close()
        knocker.go_on()
