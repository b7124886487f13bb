"""The wasm-shim, generation by generation, as its releases are in the source."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from envoy.service.ext_proc.v3 import external_processor_pb2 as pb
from envoy.service.ratelimit.v3 import rls_pb2

from embedded.images.kuadrant import wasm_shim
from embedded.images.kuadrant.shim_actions import ActionSets, BrokenOff, Call, Denied, Services
from embedded.images.kuadrant.shim_generations import GENERATIONS
from embedded.images.kuadrant.wasm_shim import Exchange

RELEASES = ["0.11", "0.12", "0.14"]
USAGE = 'data: {"usage":{"total_tokens":%d}}\n\n'
DONE = "data: [DONE]\n\n"
Object = dict[str, Any]


@pytest.mark.parametrize(
    ("pieces", "before_done", "last_but_one"),
    [
        ([USAGE % 7, DONE], 7, 7),
        ([(USAGE % 7 + DONE).replace("\n", "\r\n")], 7, 7),
        ([(USAGE % 7 + DONE).replace("\n", "\r")], None, None),  # 0.12: the last \r may be \r\n's
        (['data: {"usage":{"tot', 'al_tokens":7}}\n\n', DONE], 7, 7),
        (["data:" + USAGE[6:] % 7, DONE], 7, 7),
        ([USAGE % 7], None, None),
        ([USAGE % 3, USAGE % 9], None, 3),
        ([USAGE % 3, USAGE % 9, DONE], 9, 9),
        ([USAGE % 7, ": ping\n\n", DONE], None, 7),
        ([USAGE % 7, DONE, ": ping\n\n"], 7, 7),
        ([USAGE % 7, DONE, USAGE % 8], 7, None),
        ([USAGE % 7, "data: {}\n\n", DONE], None, None),
        ([USAGE % 7, DONE.rstrip()], None, None),
        (["event: x\n" + USAGE % 7, DONE], 7, 7),
    ],
    ids=lambda value: str(value)[:60],
)
def test_which_event_of_a_stream_has_the_usage(
    pieces: list[str], before_done: int | None, last_but_one: int | None
) -> None:
    wanted = {"0.11": before_done, "0.12": last_but_one, "0.14": last_but_one}
    assert {name: counted(name, [p.encode() for p in pieces]) for name in RELEASES} == wanted


@pytest.mark.parametrize(("release", "found"), [("0.11", None), ("0.12", 7)])
def test_a_letter_that_two_pieces_share(release: str, found: int | None) -> None:
    """0.11.1 looks no further then, later ones leave out the piece."""
    letter = "data: é\n\n".encode()
    pieces = [letter[:7], letter[7:], (USAGE % 7).encode(), DONE.encode()]
    assert counted(release, pieces) == found


NUMBERS = ["30", "30.0", "30.9", '"30"', '"30.5"', "4294967295", "4294967296", "1" + "0" * 30,
           "0", "-1", "-1.5", "true", "null", '"many"', "{}"]  # fmt: skip
WHOLE = {"30": 30, "4294967295": 4294967295, "0": 0}
CONVERTED = WHOLE | {"30.0": 30, "30.9": 30, '"30"': 30}


@pytest.mark.parametrize("number", NUMBERS)
def test_what_counts_as_a_number_of_tokens(number: str) -> None:
    body = b'{"usage":{"total_tokens":%s}}' % number.encode()
    found = {name: reported(name, "application/json", [body]) for name in RELEASES}
    whole, converted = WHOLE.get(number), CONVERTED.get(number)
    assert found == {"0.11": whole, "0.12": whole, "0.14": converted}


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        ("application/json", True),
        ("text/plain", True),
        ("application/x-ndjson", True),
        ("", True),
        ("Text/Event-Stream", True),
        ("text/event-stream", False),
        ("text/event-stream; charset=utf-8", False),
    ],
)
@pytest.mark.parametrize("release", RELEASES)
def test_of_which_kind_an_answer_has_to_be(release: str, kind: str, found: bool) -> None:
    """Whatever is no stream is read whole."""
    body = b'{"usage":{"total_tokens":7}}'
    assert reported(release, kind, [body]) == (7 if found else None)


def test_an_answer_without_json_is_not_reported() -> None:
    for body in (b"", b"no", b"\xff", b'{"usage":null}'):
        assert reported("0.11", "application/json", [body]) is None


# -- the host -------------------------------------------------------------------------------

DEMO, CAPITALS = "maas.example.com", "MAAS.Example.com"


@pytest.mark.parametrize("generation", GENERATIONS)
def test_the_hosts_case(generation: str) -> None:
    """Every release up to 0.14.1 knows no host in capitals, and so lets it pass unasked."""
    assert chosen(generation, DEMO, {"own": DEMO}) == "own"
    mended = "own" if generation == "mended" else None
    assert chosen(generation, CAPITALS, {"own": DEMO}) == mended
    assert chosen(generation, DEMO, {"own": CAPITALS}) == mended
    assert chosen(generation, CAPITALS, {"own": "*.example.com"}) == mended


@pytest.mark.parametrize("generation", GENERATIONS)
def test_the_hosts_port_is_no_part_of_it(generation: str) -> None:
    assert chosen(generation, f"{DEMO}:443", {"own": DEMO}) == "own"
    assert chosen(generation, f"{DEMO}:443", {"own": "*.example.com"}) == "own"


@pytest.mark.parametrize(
    ("host", "own"),
    [(DEMO, "exact"), ("b.example.com", "near"), ("x.y.example.com", "near"), ("a.com", "far"),
     ("example.com", "far"), ("com", "all"), ("", "all")],
)  # fmt: skip
def test_the_longest_name_that_matches(host: str, own: str) -> None:
    patterns = {"all": "*", "far": "*.com", "near": "*.example.com", "exact": DEMO}
    assert chosen("0.11", host, patterns) == own


def test_the_action_sets_of_other_names_are_not_looked_at() -> None:
    """A wildcard's do not apply where the host's own do not."""
    patterns = {"exact": DEMO, "near": "*.example.com"}
    assert chosen("0.11", DEMO, patterns, {"exact": ["request.method == 'PUT'"]}) is None


@pytest.mark.parametrize(
    ("path", "url_path", "query"),
    [
        ("/a?b=1#c", "/a", "b=1"),
        ("//x/y", "//x/y", ""),
        ("//[", "//[", ""),
        ("/a?b?c", "/a", "b?c"),
    ],
)
def test_the_path_without_its_query(path: str, url_path: str, query: str) -> None:
    predicate = f"request.url_path == '{url_path}' && request.query == '{query}'"
    assert chosen("0.11", DEMO, {"own": DEMO}, {"own": [predicate]}, path) == "own"


# -- the order of the actions ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("release", "calls"),
    [
        ("0.11", ["check first", "report first", "check second", "report second"]),
        ("0.12", ["check first", "report first", "check second", "report second"]),
        ("0.14", ["check first", "check second", "report first", "report second"]),
    ],
)
def test_limits_are_asked_one_after_the_other(release: str, calls: list[str]) -> None:
    """A report waits for the answer, and what stands after it waits too: mended in 0.13."""
    limitador = Limitador()
    call = of_two_limits(release, limitador)
    asyncio.run(call.check_limits())
    asyncio.run(call.report())
    assert limitador.calls == calls


def test_a_limit_that_does_not_apply_keeps_none_waiting() -> None:
    limitador = Limitador()
    asyncio.run(of_two_limits("0.11", limitador, "request.method == 'PUT'").check_limits())
    assert limitador.calls == ["check second"]


def test_a_second_limit_that_refuses() -> None:
    """0.11.1 lets the answer pass and tells no more, 0.12 breaks it off, 0.14 refuses."""
    calls = {}
    for release, raised in (("0.11", None), ("0.12", BrokenOff), ("0.14", Denied)):
        limitador = Limitador(refuses="check second")
        call = of_two_limits(release, limitador)
        seen = None
        try:
            asyncio.run(call.check_limits())
            asyncio.run(call.report())
        except (BrokenOff, Denied) as error:
            seen = type(error)
        assert seen is raised
        calls[release] = limitador.calls[-1]
    assert calls == dict.fromkeys(RELEASES, "check second")


def test_what_a_request_has_not_is_null() -> None:
    limitador = Limitador()
    blocks = [block("first"), block("user", value="auth.identity.userid")]
    actions = [{"service": "check", "scope": "s", "conditionalData": blocks}]
    asyncio.run(made("0.11", limitador, actions).check_limits())
    assert limitador.entries == [{"first": "1", "user": "null"}]


@pytest.mark.parametrize(
    ("mode", "raised"), [("allow", None), ("deny", "Internal Server Error.\n")]
)
@pytest.mark.parametrize("broken", ["an entry", "an unknown answer"])
def test_a_limit_that_cannot_be_asked(mode: str, raised: str | None, broken: str) -> None:
    """The service's failure mode decides, of the whole action."""
    value = "request.headers['x'] + 1" if broken == "an entry" else "1"
    limitador = Limitador(knows=broken != "an unknown answer")
    blocks = [block("first"), block("second", value=value)]
    actions = [{"service": "check", "scope": "s", "conditionalData": blocks}]
    seen = None
    try:
        asyncio.run(made("0.11", limitador, actions, mode).check_limits())
    except Denied as denied:
        seen = denied.body
    assert seen == raised


def test_headers_of_limitador_reach_the_client() -> None:
    limitador = Limitador(headers={"X-RateLimit-Limit": "5"}, refuses="check second")
    call = of_two_limits("0.14", limitador)
    with pytest.raises(Denied) as denied:
        asyncio.run(call.check_limits())
    assert denied.value.headers == {"content-type": "text/plain", "X-RateLimit-Limit": "5"}
    assert call.response_headers == {"X-RateLimit-Limit": "5"}
    assert call.wants_response


# -- an answer that is held back ------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "holds", "answers"),
    [
        ("application/json", None, [1, 1, 1]),
        ("application/json", 100, [0, 0, 3]),
        ("text/event-stream", 100, [1, 1, 1]),
        ("application/json", 25, [0, 0, "aborted"]),
        ("text/event-stream", 25, [1, 1, 1]),
    ],
)
def test_an_answer_is_held_back_when_that_is_asked_for(
    kind: str, holds: int | None, answers: list[Any]
) -> None:
    """How many answers follow each piece of ten bytes."""
    limitador = Limitador()
    sets = ActionSets(configuration(two_limits()), limitador, GENERATIONS["0.11"])
    shim: Any = wasm_shim.Shim.__new__(wasm_shim.Shim)
    shim._own, shim._sets, shim._services = "own", {"own": sets}, limitador
    shim._generation, shim._holds = GENERATIONS["0.11"], holds
    seen: list[Any] = []

    async def messages() -> AsyncIterator[Any]:
        yield pb.ProcessingRequest(request_headers=headers({":authority": DEMO}, ended=True))
        yield pb.ProcessingRequest(response_headers=headers({"content-type": kind}))
        for last in (False, False, True):
            seen.append(0)
            body = pb.HttpBody(body=b"x" * 10, end_of_stream=last)
            yield pb.ProcessingRequest(response_body=body)

    class Context:
        def invocation_metadata(self) -> tuple[Any, ...]:
            return ()

        async def abort(self, *_: Any) -> None:
            seen[-1] = "aborted"
            raise ConnectionAbortedError

    async def run() -> None:
        try:
            async for answer in shim.process(messages(), Context()):
                if answer.HasField("response_body"):
                    seen[-1] += 1
        except ConnectionAbortedError:
            pass

    asyncio.run(run())
    assert seen == answers


# -- a Limitador, and what is asked of it ---------------------------------------------------


class Limitador(Services):
    """Writes down what it is asked."""

    def __init__(
        self, refuses: str = "", headers: dict[str, str] | None = None, knows: bool = True
    ) -> None:
        super().__init__()
        self._refuses, self._headers, self._knows = refuses, headers or {}, knows
        self.calls: list[str] = []
        self.hits: list[int] = []
        self.entries: list[dict[str, str]] = []

    async def call(self, service: Object, request: Any) -> Any:
        entries = {entry.key: entry.value for entry in request.descriptors[0].entries}
        self.entries.append(entries)
        kind = service["type"].removeprefix("ratelimit-")
        self.calls.append(f"{kind} {next(iter(entries))}")
        if kind == "report":
            self.hits.append(request.hits_addend)
        over = self.calls[-1] == self._refuses
        answer = rls_pb2.RateLimitResponse(overall_code=2 if over else int(self._knows))
        for name, value in self._headers.items():
            answer.response_headers_to_add.add(key=name, value=value)
        return answer


def block(name: str, value: str = "1", predicate: str = "true", hits: str = "") -> Object:
    data = [{"expression": {"key": name, "value": value}}]
    if hits:
        data.append({"expression": {"key": "ratelimit.hits_addend", "value": hits}})
    return {"predicates": [predicate], "data": data}


def two_limits(of_first: str = "true", tokens: str = "1") -> list[Object]:
    """As the operator writes them: each a check and a report."""
    actions = []
    for name, predicate in (("first", of_first), ("second", "true")):
        for service, hits in (("check", "0"), ("report", tokens)):
            found = [block(name, "1", predicate, hits)]
            actions.append({"service": service, "scope": "s", "conditionalData": found})
    return actions


def configuration(actions: list[Object], mode: str = "allow") -> Object:
    services = {
        name: {"type": f"ratelimit-{name}", "endpoint": "e", "failureMode": mode, "timeout": "1s"}
        for name in ("check", "report")
    }
    rule = {"hostnames": [DEMO], "predicates": []}
    return {"services": services, "actionSets": [{"routeRuleConditions": rule, "actions": actions}]}


def made(release: str, limitador: Limitador, actions: list[Object], mode: str = "allow") -> Call:
    sets = ActionSets(configuration(actions, mode), limitador, GENERATIONS[release])
    call = sets.match({":authority": DEMO, ":path": "/", ":method": "POST"})
    assert call is not None
    return call


def of_two_limits(release: str, limitador: Limitador, of_first: str = "true") -> Call:
    return made(release, limitador, two_limits(of_first))


def chosen(
    generation: str,
    host: str,
    patterns: dict[str, str],
    predicates: dict[str, list[str]] | None = None,
    path: str = "/",
) -> str | None:
    """The name of the action set that a request to `host` gets."""
    sets = [
        {
            "routeRuleConditions": {
                "hostnames": [pattern], "predicates": (predicates or {}).get(name, [])
            },
            "actions": [{"service": name}],
        }
        for name, pattern in patterns.items()
    ]  # fmt: skip
    config = {"actionSets": sets, "services": {name: {"type": "auth"} for name in patterns}}
    made = ActionSets(config, Services(), GENERATIONS[generation])
    call = made.match({":authority": host, ":path": path, ":method": "POST"})
    return call and call._actions[0]["service"]


def headers(found: dict[str, str], ended: bool = False) -> pb.HttpHeaders:
    message = pb.HttpHeaders(end_of_stream=ended)
    for name, value in found.items():
        message.headers.headers.add(key=name, raw_value=value.encode())
    return message


def reported(release: str, kind: str, pieces: list[bytes]) -> int | None:
    """The hits that a report has after an answer of these pieces, or None without one."""
    limitador = Limitador()
    tokens = "responseBodyJSON('/usage/total_tokens')"
    config = configuration(two_limits("request.method == 'PUT'", tokens))
    sets = ActionSets(config, limitador, GENERATIONS[release])
    exchange = Exchange(sets, GENERATIONS[release])

    async def run() -> None:
        asked = {":authority": DEMO, ":path": "/", ":method": "POST"}
        await exchange.on_request_headers(headers(asked, ended=True))
        await exchange.on_response_headers(headers({"content-type": kind} if kind else {}))
        for number, piece in enumerate(pieces, 1):
            last = number == len(pieces)
            await exchange.on_response_body(pb.HttpBody(body=piece, end_of_stream=last))

    asyncio.run(run())
    assert limitador.calls[0] == "check second"
    return limitador.hits[0] if limitador.hits else None


def counted(release: str, pieces: list[bytes]) -> int | None:
    return reported(release, "text/event-stream", pieces)
