"""Who calls his objects like another's, in a namespace of his own."""

from __future__ import annotations

from functools import partial

from fixtures.evidence import CLIENT, expect
from fixtures.evidence.requirements import requirement
from fixtures.stack import CHAT, TIER_PREFIX
from fixtures.waiting import ENFORCED_SECONDS, until
from suites.hardening.namesakes import Namesakes
from suites.hardening.own import OwnRoute
from suites.hardening.test_every_way import record_of, told
from suites.hardening.test_whose import wrong_keys
from suites.hardening.ways import Walker, Way, expect_on_each
from suites.maas_gateway.tiers import REQUESTS
from suites.mixed_providers.providers import LOCAL

TIMES = 2  # in a row, of a dozen routes each


def expect_as_before(walker: Walker, all_ways: list[Way]) -> None:
    """Each first one's route asks for a token, and leads where it led, twice, with the key of
    whoever is there; and a user's requests are as many as they were."""

    def problem(way: Way) -> str:
        walker.stack.send("POST", way.route.path + CHAT, None, {}).expect_refusal(401)
        asked = [walker.ask(way).expect_status(200) for _ in range(2)]
        keys = [wrong_keys(record_of(walker, way, one)) for one in asked]
        return "; ".join(filter(None, keys))

    expect_on_each(all_ways, "the first one's requests and keys where they went", told(problem))
    alice = walker.stack.account_token(f"{TIER_PREFIX}free")
    statuses = [walker.stack.models(LOCAL, alice).status for _ in range(REQUESTS["free"] + 1)]
    wanted = [200] * REQUESTS["free"] + [429]
    expect(statuses == wanted, CLIENT, "the tier's requests, and 429", f"{statuses}")


def status_of(theirs: Namesakes, path: str) -> int:
    return theirs.chat(path).status


@requirement("HD-118")
def test_namesakes_take_nothing(own: OwnRoute, walker: Walker, all_ways: list[Way]) -> None:
    """Of every destination, Service, route and policy: while they are there, which their own ways
    show, and after they have gone."""
    theirs = Namesakes(own, own.recorder("namesake"))
    theirs.make()
    until("each namesake's route to lead to its own", lambda: set(theirs.asked().values()),
          {(200, 1)}.__eq__, ENFORCED_SECONDS, TIMES)  # fmt: skip
    for limited in (theirs.of_requests, theirs.of_tokens):
        until(f"the limit of {limited}", partial(status_of, theirs, limited), (429).__eq__,
              ENFORCED_SECONDS)  # fmt: skip
    expect_as_before(walker, all_ways)
    theirs.remove()
    until("no namesake's route", lambda: set(theirs.asked().values()), {(404, 0)}.__eq__,
          ENFORCED_SECONDS, TIMES)  # fmt: skip
    expect_as_before(walker, all_ways)
