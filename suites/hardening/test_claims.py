"""Two ask for the same: it is whose route is the older one (Gateway API, HTTPRouteRule)."""

from __future__ import annotations

import time

from fixtures.evidence import BACKEND, expect
from fixtures.evidence.requirements import requirement
from fixtures.stack import Provider
from suites.hardening.own import AUTH, ROUTE, OwnRoute, open_to_all
from suites.hardening.test_changes import until_served

TIMES = 10  # requests in a row, of which not one may go astray
OLDER_SECONDS = 1.1  # an object's age is told in seconds


@requirement("HD-114")
def test_a_path_stays_with_who_has_it(own: OwnRoute) -> None:
    """A neighbour's later route has what nobody had, and the rest when the first one has gone; then
    its own is the older one."""
    one, other = own.recorder("one"), own.recorder("other", own.neighbour)
    own.policy(AUTH, open_to_all())
    own.route(own.rule("one"))
    until_served(own, "", one, [other])
    time.sleep(OLDER_SECONDS)
    own.route(own.rule("other"), own.rule("other", "/beside"), namespace=own.neighbour)
    own.policy(AUTH, open_to_all(), own.neighbour)
    until_served(own, "/beside", other, [one])
    expect_at(own, one, other)
    own.remove(ROUTE)
    until_served(own, "", other, [one])
    time.sleep(OLDER_SECONDS)
    own.route(own.rule("one"), own.rule("one", "/late"))
    until_served(own, "/late", one, [other])
    expect_at(own, other, one)


def expect_at(own: OwnRoute, first: Provider, second: Provider) -> None:
    """Every request is with the first who claimed the path."""
    for _ in range(TIMES):
        exchange = own.models().expect_status(200)
        found = [own.at(one, exchange) for one in (first, second)]
        seen = f"at {first} {found[0]} times, at {second} {found[1]}"
        expect(found == [1, 0], BACKEND, f"{own.path} at {first}, who was first", seen)
