"""Limitador's limits, counters and services, as the real 2.1.0 has them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from envoy.service.ratelimit.v3 import rls_pb2
from starlette.testclient import TestClient

from embedded.images.kuadrant.limitador import Services
from embedded.images.kuadrant.limitador_http import Metrics, Shown
from embedded.images.kuadrant.limitador_limits import Broken, Limits, Unavailable

OWN = 'descriptors[0]["l"] == "1"'
USER = 'descriptors[0]["user"]'


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def spec(maximum: Any, **more: Any) -> dict[str, Any]:
    return {"namespace": "n", "max_value": maximum, "seconds": 60, "conditions": [OWN],
            "variables": [USER], **more}  # fmt: skip


def limits(maximum: int, clock: Clock, nulls: bool = True, **more: Any) -> Limits:
    made = Limits(clock, nulls)
    made.configure([spec(maximum, **more)])
    return made


ALICE, BOB = [{"l": "1", "user": "alice"}], [{"l": "1", "user": "bob"}]
NOBODY = [{"l": "1"}]


def test_limit_at_the_boundary() -> None:
    """At 99 one more is let through and may overshoot; at 100 it is not."""
    made = limits(100, Clock())
    made.add("n", ALICE, 99)
    assert made.within("n", ALICE, 1)
    made.add("n", ALICE, 1)
    assert not made.within("n", ALICE, 1)
    assert made.within("n", BOB, 1)


def test_window_begins_with_the_first_hit() -> None:
    clock = Clock()
    made = limits(1, clock)
    clock.now = 50
    made.add("n", ALICE, 1)
    clock.now = 109.9
    assert not made.within("n", ALICE, 1)
    clock.now = 110
    assert made.within("n", ALICE, 1)


@pytest.mark.parametrize(("variables", "ends"), [([USER], 60), ([], 90)])
def test_window_of_a_first_call_that_is_refused(variables: list[str], ends: int) -> None:
    """A user's counter begins with it, a limit's only one does not."""
    clock = Clock()
    made = limits(5, clock, variables=variables)
    assert not made.take("n", ALICE, 6)
    clock.now = 30
    assert made.take("n", ALICE, 5)
    clock.now = ends - 0.1
    assert not made.take("n", ALICE, 1)
    clock.now = ends
    assert made.take("n", ALICE, 1)


def test_limit_does_not_apply_elsewhere() -> None:
    """Another namespace, a descriptor without the condition's key, a name that no call has."""
    made = limits(0, Clock())
    assert not made.within("n", ALICE, 1)
    assert made.within("other", ALICE, 1)
    assert made.within("n", [{"user": "alice"}], 1)
    assert limits(0, Clock(), conditions=['tier == "free"']).within("n", ALICE, 1)
    assert limits(0, Clock(), variables=["limit.name"]).within("n", ALICE, 1) is False


@pytest.mark.parametrize(("nulls", "left"), [(True, [1]), (False, [])])
def test_users_without_the_variable(nulls: bool, left: list[int]) -> None:
    """Share the counter of "null" in 2.1.0; 2.4.0 leaves the limit out for them."""
    made = limits(2, Clock(), nulls)
    made.add("n", NOBODY, 1)
    assert [one[2] for one in made.counters("n")] == left
    made.add("n", NOBODY, 1)
    assert made.within("n", NOBODY, 1) is not nulls
    assert made.within("n", ALICE, 1)


@pytest.mark.parametrize(("nulls", "applies"), [(True, True), (False, False)])
def test_a_condition_on_a_key_that_is_missing(nulls: bool, applies: bool) -> None:
    made = limits(0, Clock(), nulls, conditions=['descriptors[0]["tier"] != "free"'])
    assert made.within("n", ALICE, 1) is not applies


@pytest.mark.parametrize("condition", ['descriptors[1]["l"] == "1"', 'descriptors[0]["l"]'])
def test_a_condition_that_cannot_be_decided(condition: str) -> None:
    with pytest.raises(Broken):
        limits(0, Clock(), conditions=[condition]).within("n", ALICE, 1)


@pytest.mark.parametrize("variable", ["descriptors[0]", 'int("x")'])
def test_a_variable_without_a_text(variable: str) -> None:
    with pytest.raises(Unavailable):
        limits(0, Clock(), variables=[variable]).add("n", ALICE, 1)


def test_a_condition_on_the_limits_own_name() -> None:
    for name, fits in (("free", False), ("paid", True)):
        made = limits(0, Clock(), name=name, conditions=['limit.name == "free"'])
        assert made.within("n", ALICE, 1) is fits


def test_of_two_limits_of_one_identity_the_first_counts() -> None:
    made = Limits(Clock())
    made.configure([spec(2), spec(1)])
    made.add("n", ALICE, 1)
    assert made.within("n", ALICE, 1)
    assert [limit.maximum for limit in made.limits("n")] == [2]


def test_reload_keeps_counters_of_limits_that_stay() -> None:
    made = limits(5, Clock())
    made.add("n", ALICE, 5)
    assert made.configure([spec(6)]) == []
    assert made.within("n", ALICE, 1)
    assert not made.within("n", ALICE, 2)
    assert made.configure([]) == ["n: ('alice',)"]
    assert made.configure([spec(6)]) == []
    assert made.within("n", ALICE, 6)


def test_what_is_shown_to_be_left() -> None:
    """Below zero it is what 64 bits make of it, and it is counted from the maximum of the first
    hit, however high that is now (upstream's issue 522)."""
    made = limits(50, Clock())
    made.add("n", ALICE, 100)
    assert [one[2] for one in made.counters("n")] == [2**64 - 50]
    made.configure([spec(200)])
    assert [one[2] for one in made.counters("n")] == [2**64 - 50]
    assert made.within("n", ALICE, 100)


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_value": "1"},
        {"max_value": 1.5},
        {"max_value": -1},
        {"variables": None},
        {"conditions": ["this is =="]},
    ],
)
def test_a_limit_that_is_none_changes_nothing(wrong: dict[str, Any]) -> None:
    made = limits(1, Clock())
    made.add("n", ALICE, 1)
    with pytest.raises(Exception, match=r".") as caught:
        made.configure([spec(9, namespace="m"), {**spec(9), **wrong}])
    assert caught.type.__name__ in ("ValueError", "TypeError", "CelError")
    assert not made.within("n", ALICE, 1)
    assert made.limits("m") == []


def test_a_limit_without_a_maximum_is_none_at_all() -> None:
    made, without = Limits(Clock()), spec(0)
    del without["max_value"]
    made.configure([without])
    assert not made.within("n", ALICE, 1)
    del without["variables"]
    with pytest.raises(KeyError):
        made.configure([without])


# -- the services ---------------------------------------------------------------------------


class Aborted(Exception):
    pass


class Context:
    async def abort(self, code: Any, details: str) -> None:
        raise Aborted(code.name)


def asked(services: Services, method: str, hits: int, domain: str = "n") -> Any:
    request = rls_pb2.RateLimitRequest(domain=domain, hits_addend=hits)
    for key, value in ALICE[0].items():
        if not request.descriptors:
            request.descriptors.add()
        request.descriptors[0].entries.add(key=key, value=value)
    return asyncio.run(getattr(services, method)(request, Context()))


@pytest.mark.parametrize("method", ["should_rate_limit", "check_rate_limit", "report"])
def test_an_empty_domain_is_unknown(method: str) -> None:
    services = Services(limits(1, Clock()), Metrics())
    assert asked(services, method, 1, "").overall_code == rls_pb2.RateLimitResponse.UNKNOWN


@pytest.mark.parametrize(("generation", "left"), [("2.1", 5), ("2.4", 4)])
def test_a_report_of_no_hits(generation: str, left: int) -> None:
    made = limits(5, Clock())
    asked(Services(made, Metrics(), generation), "report", 0)
    assert [one[2] for one in made.counters("n")] == [left]


@pytest.mark.parametrize(
    ("more", "code"),
    [({"variables": ["descriptors[0]"]}, "UNAVAILABLE"), ({"conditions": ["1"]}, "INTERNAL")],
)
@pytest.mark.parametrize("method", ["should_rate_limit", "check_rate_limit", "report"])
def test_calls_without_an_answer(method: str, more: dict[str, Any], code: str) -> None:
    with pytest.raises(Aborted, match=code):
        asked(Services(limits(1, Clock(), **more), Metrics()), method, 1)


@pytest.mark.parametrize(
    ("generation", "reset"), [("2.1", {}), ("2.4", {"X-RateLimit-Reset": "60"})]
)
def test_headers_of_the_draft(generation: str, reset: dict[str, str]) -> None:
    made = limits(5, Clock(), name="five")
    services = Services(made, Metrics(), generation, shows=True)
    asked(services, "should_rate_limit", 1)
    answer = asked(services, "should_rate_limit", 1)
    found = {one.key: one.value for one in answer.response_headers_to_add}
    limit = {"X-RateLimit-Limit": '5, 5;w=60;name="five"', "X-RateLimit-Remaining": "3"}
    assert found == limit | reset
    plain = asked(Services(made, Metrics()), "should_rate_limit", 1)
    assert not plain.response_headers_to_add


# -- the HTTP API ---------------------------------------------------------------------------


class Reader:
    def status(self) -> dict[str, Any]:
        return {"config_version": 3}


def test_whoever_reaches_the_http_port_spends_a_budget() -> None:
    made, metrics = limits(2, Clock(), namespace="ns/route"), Metrics()
    client = TestClient(Shown(made, metrics, Reader(), False).app())
    body = {"namespace": "ns/route", "values": ALICE[0], "delta": 1}
    assert client.post("/report", json=body).json() is None
    wanted = body | {"response_headers": "DraftVersion03"}
    assert client.post("/check_and_report", json=wanted).headers["X-RateLimit-Remaining"] == "0"
    refused = client.post("/check", json=body)
    assert (refused.status_code, refused.text) == (429, "Too many requests")
    assert client.post("/check_and_report", json=body).status_code == 429
    assert client.post("/report", json={**body, "delta": -1}).status_code == 400
    (shown,) = client.get("/counters/ns%2Froute").json()
    assert (shown["remaining"], shown["set_variables"]) == (0, {USER: "alice"})
    assert 'authorized_hits{limitador_namespace="ns/route"} 1\n' in client.get("/metrics").text
    assert 'limited_calls{limitador_namespace="ns/route"} 1\n' in client.get("/metrics").text


def test_what_the_http_port_shows() -> None:
    client = TestClient(Shown(limits(2, Clock(), name="two"), Metrics(), Reader(), False).app())
    assert client.get("/status").json() == {"config_version": 3}
    (limit,) = client.get("/limits/n").json()
    assert limit == {"id": None, "name": "two", **spec(2)}
    assert client.get("/limits/other").json() == []
    for path in ("/counters", "/counters/", "/counters/a/b", "/limits/a/b"):
        assert client.get(path).status_code == 404, path


def test_labels_of_the_metrics() -> None:
    """Of the second descriptor, when there is one, as Kuadrant asks for it."""
    metrics = Metrics("descriptors[1]", names=True)
    metrics.refused("n", [{}, {"user": 'a"b'}], None)
    metrics.allowed("n", [{}], 1, 7)
    text = metrics.text()
    assert 'limited_calls{user="a\\"b",limitador_namespace="n",limit_name=""} 1\n' in text
    assert 'authorized_calls{limitador_namespace="n"} 1\n' in text
