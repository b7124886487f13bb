"""Request limits and token limits by tier, at their boundaries and for their whole windows."""

import contextlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from fixtures.evidence import CLIENT, Exchange
from fixtures.evidence.bodies import SIZES
from fixtures.evidence.budget import reported_usage
from fixtures.evidence.requirements import requirement
from fixtures.evidence.verdicts import CLOSED, PRESENT, Decision
from fixtures.kube import Kube
from fixtures.stack import STREAMED, Identity, Provider, Stack
from fixtures.stack.local_models import local_model
from fixtures.stack.windows import refused_shortly_before
from fixtures.waiting import SETTLED_SECONDS, wait_until
from suites.maas_gateway.everywhere import Spender, side_by_side, spenders
from suites.maas_gateway.models import SHARED
from suites.maas_gateway.tiers import REQUEST_WINDOW, REQUESTS, TOKEN_WINDOW, TOKENS

UserOf = Callable[[str], Identity]
MANY_SECONDS = 8.0  # before a window's end: of all tiers on all ways


def using(stack: Stack, user: Identity, tokens: int) -> Exchange:
    """A chat whose answer reports so many tokens."""
    return stack.chat(SHARED, user, recorder={"total_tokens": tokens})


def pressed(stack: Stack, user: Identity, times: int) -> list[Exchange]:
    """So many requests at the same time."""
    with ThreadPoolExecutor(times) as threads:
        return list(threads.map(lambda _: stack.models(SHARED, user), range(times)))


def hit(stack: Stack, user: Identity, times: int) -> None:
    """Requests that use no tokens, all accepted."""
    for number in range(1, times + 1):
        exchange = stack.models(SHARED, user)
        observed = f"{exchange.status} at request {number}"
        exchange.expect(CLIENT, exchange.status == 200, f"200 for {times} requests", observed)


def exhaust(stack: Stack, user: Identity) -> None:
    """Requests until the first refusal, which must come within the largest tier's limit."""
    for _ in range(51):
        exchange = stack.models(SHARED, user)
        if exchange.status == 429:
            return
        exchange.expect_status(200)
    exchange.expect(CLIENT, False, "429 after at most 50 requests", "51 accepted")


@pytest.mark.parametrize(
    ("tier", "limit"),
    [
        pytest.param("free", 5, marks=requirement("MG-19")),
        pytest.param("premium", 20, marks=requirement("MG-20")),
        pytest.param("enterprise", 50, marks=requirement("MG-21")),
    ],
)
def test_request_limit(stack: Stack, user_of: UserOf, tier: str, limit: int) -> None:
    """So many are accepted, and not one more."""
    user = user_of(tier)
    hit(stack, user, limit)
    for _ in range(2):
        stack.models(SHARED, user).expect_status(429).expect_no_backend()


@requirement("MG-55")
def test_requests_at_once(stack: Stack, alice: Identity) -> None:
    """Twenty at the same time: exactly the free user's five are accepted and forwarded."""
    exchanges = pressed(stack, alice, 20)
    statuses = sorted(exchange.status for exchange in exchanges)
    wanted = [200] * 5 + [429] * 15
    exchanges[0].expect(CLIENT, statuses == wanted, "five times 200", f"{statuses}")
    for exchange in exchanges:
        if exchange.status == 200:
            exchange.expect_backend_received(SHARED.name)
        else:
            exchange.expect_no_backend()


@requirement("MG-22")
def test_request_limit_is_per_user(stack: Stack, alice: Identity, bob: Identity) -> None:
    """Alice has no requests left; Bob is served."""
    exhaust(stack, alice)
    stack.models(SHARED, bob).expect_status(200)
    stack.models(SHARED, alice).expect_status(429)


@pytest.fixture
def spare(kube: Kube) -> Iterator[Provider]:
    """A model of the test's own, made before anything is counted: a window is a minute."""
    with local_model(kube, SHARED.namespace) as model:
        yield model


@contextlib.contextmanager
def another_policy(kube: Kube, model: Provider) -> Iterator[None]:
    """A limit of a model's own, which comes and goes: limits are written anew twice."""
    target = {"group": "gateway.networking.k8s.io", "kind": "HTTPRoute",
              "name": f"{model.name}-kserve-route"}  # fmt: skip
    policy = {
        "apiVersion": "kuadrant.io/v1",
        "kind": "RateLimitPolicy",
        "metadata": {"name": model.name, "namespace": model.namespace},
        "spec": {"targetRef": target, "limits": {"all": {"rates": [{"limit": 7, "window": "1m"}]}}},
    }
    kube.wait_done([kube.apply(policy)])
    yield
    kube.delete("kuadrant.io/v1", "RateLimitPolicy", model.namespace, model.name)


@requirement("MG-22")
def test_other_policies_give_nothing_back(
    stack: Stack, kube: Kube, alice: Identity, spare: Provider
) -> None:
    """Limits are written anew when any policy comes or goes; what was counted stays counted."""
    exhaust(stack, alice)
    with another_policy(kube, spare):
        stack.models(SHARED, alice).expect_status(429)
    stack.models(SHARED, alice).expect_status(429)


@requirement("MG-25")
def test_other_policies_give_no_tokens_back(
    stack: Stack, kube: Kube, alice: Identity, spare: Provider
) -> None:
    """The same of tokens."""
    using(stack, alice, TOKENS["free"]).expect_status(200)
    with another_policy(kube, spare):
        using(stack, alice, 1).expect_status(429)
    using(stack, alice, 1).expect_status(429)


@requirement("MG-23")
def test_refused_request_uses_no_tokens(stack: Stack, alice: Identity) -> None:
    """What is refused is not forwarded, so nothing is generated."""
    exhaust(stack, alice)
    exchange = using(stack, alice, 50).expect_status(429).expect_no_backend()
    assert "usage" not in exchange.response.text


@requirement("MG-24")
@pytest.mark.window(REQUEST_WINDOW)
def test_requests_return_after_the_window(kube: Kube, stack: Stack) -> None:
    """A user of each tier on each way, all waiting together: the last requests come at half time,
    are refused shortly before two minutes after the first are over, and then served again."""
    users = spenders(kube, stack)
    began = time.monotonic()
    side_by_side(users, lambda one: one.hit(1))
    counted = time.monotonic()  # the first hits were counted between `began` and now
    wait_until(began + REQUEST_WINDOW / 2)
    side_by_side(users, lambda one: one.hit(REQUESTS[one.tier] - 1))
    side_by_side(users, lambda one: one.use().expect_status(429))
    refused_shortly_before(began + REQUEST_WINDOW, [one.use for one in users], MANY_SECONDS)
    wait_until(counted + REQUEST_WINDOW + 1)
    side_by_side(users, lambda one: one.hit(2))


@pytest.mark.parametrize(
    ("tier", "budget"),
    [
        pytest.param("free", 100, marks=requirement("MG-25")),
        pytest.param("premium", 50_000, marks=requirement("MG-26")),
        pytest.param("enterprise", 100_000, marks=requirement("MG-27")),
    ],
)
def test_token_limit(stack: Stack, user_of: UserOf, tier: str, budget: int) -> None:
    """One below the budget the next request passes; at the budget it does not."""
    below, at = user_of(tier), user_of(tier)
    using(stack, below, budget - 1).expect_status(200)
    using(stack, below, 1).expect_status(200)
    using(stack, below, 1).expect_status(429).expect_no_backend()
    using(stack, at, budget).expect_status(200)
    using(stack, at, 1).expect_status(429).expect_no_backend()


@requirement("MG-28")
@pytest.mark.parametrize("stream", [False, True], ids=["json", "stream"])
def test_usage_is_total_tokens(stack: Stack, alice: Identity, stream: bool) -> None:
    """A small usage leaves some budget, a large one none, whichever way it is reported."""
    more = STREAMED if stream else {}
    for tokens in (60, 4000):
        exchange = stack.chat(SHARED, alice, recorder={"total_tokens": tokens}, **more)
        assert reported_usage(exchange.expect_status(200)) == tokens
    using(stack, alice, 1).expect_status(429)


@requirement("MG-28")
@pytest.mark.parametrize(
    "kind",
    ["application/json; charset=utf-8", "application/json;charset=UTF-8", "Application/JSON"],
)
def test_usage_whatever_the_content_type(stack: Stack, alice: Identity, kind: str) -> None:
    """JSON is JSON, with parameters and in any case (RFC 9110, section 8.3.1)."""
    wish = {"total_tokens": 100, "kind": kind}
    assert reported_usage(stack.chat(SHARED, alice, recorder=wish).expect_status(200)) == 100
    using(stack, alice, 1).expect_status(429)


@requirement("MG-28")
@pytest.mark.parametrize("style", ["crlf", "tight", "named", "pieces", "nulls", "running"])
def test_usage_however_events_are_written(stack: Stack, alice: Identity, style: str) -> None:
    """Server-sent events as the HTML standard lets servers write them, and as OpenAI does."""
    wish, options = {"total_tokens": 100, "sse": style}, {"include_usage": True}
    exchange = stack.chat(SHARED, alice, stream=True, stream_options=options, recorder=wish)
    assert reported_usage(exchange.expect_status(200)) == 100
    using(stack, alice, 1).expect_status(429)


@requirement("MG-28")
def test_usage_of_a_stream_with_a_charset(stack: Stack, alice: Identity) -> None:
    """Events are events, with a parameter too, as FastAPI's servers write it."""
    wish = {"total_tokens": 100, "kind": "text/event-stream; charset=utf-8"}
    options = {"include_usage": True}
    exchange = stack.chat(SHARED, alice, stream=True, stream_options=options, recorder=wish)
    assert reported_usage(exchange.expect_status(200)) == 100
    using(stack, alice, 1).expect_status(429)


@requirement("MG-29")
def test_stream_without_usage_consumes_nothing(
    stack: Stack, alice: Identity, bob: Identity, decide: Decision
) -> None:
    """The same stream with its usage, and without, for which somebody pays all the same."""
    wish = {"total_tokens": 5000, "text": "word " * 200}
    said = {"include_usage": True}
    stack.chat(SHARED, bob, recorder=wish, stream=True, stream_options=said).expect_status(200)
    using(stack, bob, 1).expect_status(429)
    stack.chat(SHARED, alice, recorder=wish, stream=True).expect_status(200)
    time.sleep(SETTLED_SECONDS)  # a report would have come by now
    found = using(stack, alice, 1).status
    decide({200: PRESENT, 429: CLOSED}.get(found, f"status {found}"))


@requirement("MG-30")
def test_last_request_may_overshoot(stack: Stack, alice: Identity) -> None:
    """Delivered whole, and paid for."""
    using(stack, alice, 99).expect_status(200)
    assert reported_usage(using(stack, alice, 5000).expect_status(200)) == 5000
    using(stack, alice, 1).expect_status(429)


@requirement("MG-31")
def test_errors_and_listings_consume_no_tokens(stack: Stack, alice: Identity) -> None:
    """After an error and a listing not one token of the budget is gone."""
    stack.chat(SHARED, alice, recorder={"status": 500}).expect_status(500)
    stack.models(SHARED, alice).expect_status(200)
    using(stack, alice, 99).expect_status(200)
    using(stack, alice, 1).expect_status(200)


@requirement("MG-31")
def test_errors_consume_no_tokens_on_any_way(kube: Kube, stack: Stack) -> None:
    """After two of them a new user of each tier has his whole budget."""

    def spend(one: Spender) -> None:
        for status in (429, 500):
            one.use(status=status).expect_status(status)
        for tokens in (TOKENS[one.tier] - 1, 1):
            one.use(tokens).expect_status(200)

    side_by_side(spenders(kube, stack), spend)


@requirement("MG-32")
@pytest.mark.window(TOKEN_WINDOW)
def test_tokens_return_after_the_window(kube: Kube, stack: Stack) -> None:
    """A user of each tier on each way, all waiting together: half of the budget is used at half
    time, the next request refused shortly before a minute after the first is over, and then the
    whole budget is there again."""
    users = spenders(kube, stack)

    def half(one: Spender) -> None:
        one.use(TOKENS[one.tier] // 2).expect_status(200)

    began = time.monotonic()
    side_by_side(users, half)
    counted = time.monotonic()  # the usage was counted between `began` and now
    wait_until(began + TOKEN_WINDOW / 2)
    side_by_side(users, half)
    refused_shortly_before(began + TOKEN_WINDOW, [one.use for one in users], MANY_SECONDS)
    wait_until(counted + TOKEN_WINDOW + 1)
    side_by_side(users, lambda one: one.use(TOKENS[one.tier] - 1).expect_status(200))
    side_by_side(users, lambda one: one.use().expect_status(200))


@requirement("MG-56")
@pytest.mark.parametrize("stream", [False, True], ids=["json", "stream"])
def test_usage_of_large_answers_counts(stack: Stack, user_of: UserOf, stream: bool) -> None:
    """Of each size a fresh user's one answer, which uses the whole budget."""
    more = STREAMED if stream else {}
    for letters in SIZES[1:]:
        user, wish = user_of("free"), {"total_tokens": 100, "letters": letters}
        exchange = stack.chat(SHARED, user, recorder=wish, **more).expect_status(200)
        size = len(exchange.response.content)
        exchange.expect(CLIENT, size > letters, f"more than {letters} bytes", f"{size} bytes")
        assert reported_usage(exchange) == 100
        using(stack, user, 1).expect_status(429)
