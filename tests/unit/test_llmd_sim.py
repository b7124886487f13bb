"""llm-d-inference-sim, as its real program at v0.6.1 answered the same requests."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import httpx
import pytest

from embedded.images.simulators.llmd_answers import GENERATIONS
from embedded.images.simulators.llmd_sim import Simulator

CHAT, TEXT = "/v1/chat/completions", "/v1/completions"
PLAIN = "text/plain; charset=utf-8"
HI: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
TRANSFER = (
    '"do_remote_decode":false,"do_remote_prefill":false,"remote_block_ids":null,'
    '"remote_engine_id":"","remote_host":"","remote_port":0,'
)


def simulator(mode: str = "random", generation: str = "0.6", **more: int) -> Simulator:
    return Simulator("m", mode, GENERATIONS[generation], **more)


def ask(
    body: Any, path: str = CHAT, method: str = "POST", app: Simulator | None = None
) -> httpx.Response:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    app = app or simulator()

    async def asked() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://sim") as client:
            return await client.request(method, path, content=raw)

    return asyncio.run(asked())


def plain(text: str) -> str:
    """A body without what differs from answer to answer."""
    return re.sub(r'"created":\d+', '"created":0', re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "ID", text))


def echoed(messages: Any, **more: Any) -> tuple[str, int, int]:
    """What mode echo says, and how many tokens the prompt and it have."""
    answer = ask({"model": "m", "messages": messages, **more}, app=simulator("echo")).json()
    usage = answer["usage"]
    said: str = answer["choices"][0]["message"]["content"]
    return said, usage["prompt_tokens"], usage["completion_tokens"]


# -- the context window --------------------------------------------------------------------------


@pytest.mark.parametrize("path", [CHAT, TEXT])
@pytest.mark.parametrize(("most", "status"), [(1023, 200), (1024, 400), (2000, 400)])
def test_prompt_and_answer_have_a_window(path: str, most: int, status: int) -> None:
    answer = ask({**HI, "prompt": "hi", "max_tokens": most}, path)
    assert answer.status_code == status
    if status == 400:
        message = answer.json()["error"]["message"]
        assert f"is 1024 tokens. However, you requested {most + 1} tokens (1 in" in message


def test_a_long_prompt_alone_is_too_much() -> None:
    long = [{"role": "user", "content": "word " * 1025}]
    assert ask({"model": "m", "messages": long}).status_code == 400
    assert ask({"model": "m", "messages": long}, app=simulator(window=1025)).status_code == 200


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
@pytest.mark.parametrize("most", [0, -1])
def test_nothing_is_not_asked_for(name: str, most: int) -> None:
    answer = ask({**HI, name: most})
    assert (answer.status_code, answer.text) == (
        400,
        '{"error":{"message":"Max completion tokens and max tokens should be positive",'
        '"type":"BadRequestError","param":null,"code":400}}',
    )


def test_the_newer_of_two_names_counts() -> None:
    both = {**HI, "max_tokens": 5, "max_completion_tokens": 2}
    assert ask(both).json()["usage"]["completion_tokens"] == 2
    text = {"model": "m", "prompt": "hi", **both}
    assert ask(text, TEXT).json()["usage"]["completion_tokens"] == 5


# -- what it cannot read, and what it has not ----------------------------------------------------


def test_another_model_does_not_exist() -> None:
    answer = ask({**HI, "model": "<n>"})
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/json")
    assert answer.text == (
        '{"error":{"message":"The model `\\u003cn\\u003e` does not exist.",'
        '"type":"NotFoundError","param":null,"code":404}}'
    )


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "unexpected end of JSON input"),
        (b'{"model": "m"', "unexpected end of JSON input"),
        (b"hello", "invalid character 'h' looking for beginning of value"),
        (b'{"model":"m"}x', "invalid character 'x' after top-level value"),
        (b'{"model":"m","x":NaN}', "invalid character 'N' looking for beginning of value"),
        (b'\xef\xbb\xbf{"model":"m"}', "invalid character '\u00ef' looking for beginning of value"),
    ],
    ids=str,
)
def test_what_is_no_json_is_refused_in_plain_text(raw: bytes, words: str) -> None:
    answer = ask(raw)
    assert (answer.status_code, answer.headers["content-type"]) == (400, PLAIN)
    assert answer.text == f"Failed to read and parse request body, {words}"


@pytest.mark.parametrize(
    "more",
    [
        {"max_tokens": "5"}, {"max_tokens": 2.5}, {"max_tokens": 1 << 63}, {"messages": "x"},
        {"messages": ["x"]}, {"stream": "yes"}, {"stream": 1}, {"model": 5}, {"stream_options": []},
        {"stream_options": {"include_usage": 1}}, {"messages": [{"role": 5}]},
        {"messages": [{"content": 5}]}, {"messages": [{"content": ["x"]}]}, {"ignore_eos": 1},
        {"logprobs": 1}, {"remote_block_ids": [1]}, {"tools": "x"},
    ],
    ids=str,
)  # fmt: skip
def test_another_type_is_refused(more: dict[str, Any]) -> None:
    answer = ask({**HI, **more})
    assert (answer.status_code, answer.headers["content-type"]) == (400, PLAIN)
    assert answer.text.startswith("Failed to read and parse request body, ")


def test_several_prompts_are_refused() -> None:
    assert ask({"model": "m", "prompt": ["a", "b"]}, TEXT).status_code == 400


@pytest.mark.parametrize("more", [{"max_tokens": None}, {"stream": None}, {"stream_options": None}])
def test_null_is_nothing(more: dict[str, Any]) -> None:
    assert ask({**HI, **more}).json()["usage"]["completion_tokens"] == 16


def test_deep_bodies_are_read() -> None:
    """Ten thousand levels, as Go allows them."""
    deep = b'{"model":"m","x":' + b"[" * 9999 + b"]" * 9999 + b"}"
    assert ask(deep).status_code == 200
    assert ask(b"[" + deep + b"]").status_code == 400


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"ignore_eos": True}, "Ignore_eos is true but max_completion_tokens"),
        ({"do_remote_decode": True, "stream": True}, "Prefill does not support streaming"),
    ],
)
def test_what_does_not_go_together(more: dict[str, Any], words: str) -> None:
    answer = ask({**HI, **more})
    assert (answer.status_code, answer.json()["error"]["message"][: len(words)]) == (400, words)


# -- answers -------------------------------------------------------------------------------------


def test_answers_to_the_letter() -> None:
    usage = '"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3},'
    head = '{"id":"chatcmpl-ID","created":0,"model":"m",' + usage
    choice = '"choices":[{"index":0,"finish_reason":"length",'
    assert plain(ask({**HI, "max_tokens": 2}).text) == (
        f'{head}"object":"chat.completion",{TRANSFER}{choice}'
        '"message":{"role":"assistant","content":"Today it "}}]}'
    )
    body = {"model": "m", "prompt": "hi", "max_tokens": 2}
    text = f'{head}"object":"text_completion",{TRANSFER}{choice}"text":"Today it "}}]}}'
    assert plain(ask(body, TEXT).text) == text


@pytest.mark.parametrize(
    ("most", "said", "reason"),
    [
        (None, "Today it is partially cloudy and raining. Testing, testing 1,2,3", "stop"),
        (8, "Today it is partially cloudy and raining.", "length"),
        (9, "Today it is partially cloudy and raining. Testing", "length"),
        (16, "Today it is partially cloudy and raining. Testing, testing 1,2,3", "length"),
        (17, "Today it is partially cloudy and raining. Testing, testing 1,2,3", "stop"),
    ],
)
def test_answers_are_cut(most: int | None, said: str, reason: str) -> None:
    choice = ask({**HI, "max_tokens": most}).json()["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == (said, reason)


def test_ignoring_the_end_gives_all_that_was_asked_for() -> None:
    answer = ask({**HI, "max_tokens": 1000, "ignore_eos": True}).json()
    assert answer["usage"]["completion_tokens"] == 1000
    assert answer["choices"][0]["finish_reason"] == "length"
    assert "1,2,3 Today it" in answer["choices"][0]["message"]["content"]


def test_a_user_s_last_message_is_echoed() -> None:
    """All of them count."""
    messages = [
        {"role": "system", "content": "be nice"},
        {"role": "user", "content": "first"},
        {"role": "user", "content": "second one"},
        {"role": "assistant", "content": "well"},
    ]
    assert echoed(messages) == ("second one", 6, 2)
    assert echoed([{"role": "system", "content": "be nice"}]) == ("", 2, 0)
    assert echoed(messages, max_tokens=1) == ("second ", 6, 1)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, ""),
        ("", ""),
        ([{"type": "text", "text": "two"}, {"type": "text", "text": "parts"}], "two parts "),
        ([{"type": "image_url", "image_url": {"url": "http://x"}}], ""),
        ([None], ""),
        ("it's | über größe слово", "its ber gre "),
        ("_a b_c  d\n", "_a b_c  d\n"),
        ("\u00a0x\v", "x"),
    ],
)
def test_what_counts_of_a_content(content: Any, said: str) -> None:
    """Parts of type text; of a text, signs and words of ASCII."""
    assert echoed([{"role": "user", "content": content}])[0] == said


def test_a_sign_of_its_own_is_a_token() -> None:
    assert echoed([{"role": "user", "content": "_a b_c d-e 1.5"}])[1:] == (9, 9)


# -- streams -------------------------------------------------------------------------------------


def events(response: httpx.Response) -> list[str]:
    assert response.headers["content-type"] == "text/event-stream"
    parts = response.text.split("\n\n")
    assert parts.pop() == ""
    return [plain(part).removeprefix("data: ") for part in parts]


def test_stream_to_the_letter() -> None:
    """Each event with a null usage; the end of what was cut with its last token."""
    found = events(ask({**HI, "max_tokens": 2, "stream": True}))
    head = '{"id":"chatcmpl-ID","created":0,"model":"m","usage":null,'
    head += f'"object":"chat.completion.chunk",{TRANSFER}"choices":[{{"index":0,"finish_reason":'
    assert found == [
        head + 'null,"delta":{"role":"assistant","content":""}}]}',
        head + 'null,"delta":{"content":"Today "}}]}',
        head + '"length","delta":{"content":"it "}}]}',
        "[DONE]",
    ]


def test_a_whole_stream_has_an_event_for_its_end() -> None:
    found = [json.loads(e) for e in events(ask({**HI, "stream": True}))[:-1]]
    last = found[-1]["choices"][0]
    assert (len(found), last["finish_reason"], last["delta"]) == (18, "stop", {"content": ""})


def test_usage_of_a_stream_is_asked_for() -> None:
    wanted = {"stream_options": {"include_usage": True}}
    *_, last, done = events(ask({**HI, "stream": True, "max_tokens": 2, **wanted}))
    assert (json.loads(last)["choices"], done) == ([], "[DONE]")
    assert json.loads(last)["usage"]["total_tokens"] == 3


def test_stream_of_a_text() -> None:
    body = {"model": "m", "prompt": "hi", "max_tokens": 1, "stream": True}
    head = '{"id":"chatcmpl-ID","created":0,"model":"m","usage":null,"object":"text_completion",'
    wanted = head + TRANSFER + '"choices":[{"index":0,"finish_reason":"length","text":"Today "}]}'
    assert events(ask(body, TEXT)) == [wanted, "[DONE]"]


def test_a_stream_of_nothing() -> None:
    nothing = {"model": "m", "messages": [], "stream": True}
    assert events(ask(nothing, app=simulator("echo"))) == ["[DONE]"]


def ids(response: httpx.Response) -> list[str]:
    found = re.findall(r'"id":"([^"]+)"', response.text)
    return [str(one) for one in found]


def test_events_have_ids_of_their_own() -> None:
    found = ids(ask({**HI, "stream": True}))
    assert len(found) == len(set(found)) == 18


# -- 0.7, read in its source ---------------------------------------------------------------------


def test_0_7_has_one_id_and_its_own_field() -> None:
    app = simulator(generation="0.7")
    assert len(set(ids(ask({**HI, "stream": True}, app=app)))) == 1
    text = ask({"model": "m", "prompt": "hi"}, TEXT, app=app).json()
    assert text["id"].startswith("cmpl-")
    assert (text["kv_transfer_params"], "remote_host" in text) == (None, False)


def test_a_transfer_s_fields_are_each_generation_s_own() -> None:
    """The other's are nobody's, whatever they are."""
    new = {**HI, "kv_transfer_params": 5}
    old = {**HI, "do_remote_decode": 5}
    for generation, statuses in (("0.6", [200, 400]), ("0.7", [400, 200])):
        app = simulator(generation=generation)
        assert [ask(body, app=app).status_code for body in (new, old)] == statuses


def test_0_7_echoes_the_whole() -> None:
    app = simulator("echo", "0.7")
    last = {"model": "m", "messages": [{"role": "system", "content": "be nice"}], "max_tokens": 1}
    choice = ask(last, app=app).json()["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("be nice", "length")


# -- the server ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "status", "text", "allow"),
    [
        ("GET", "/health", 200, "{}", None),
        ("OPTIONS", CHAT, 200, "", "POST, OPTIONS"),
        ("OPTIONS", "/v1/models", 200, "", "GET, OPTIONS"),
        ("HEAD", "/health", 405, "", "GET, OPTIONS"),
        ("GET", CHAT, 405, "Method Not Allowed", "POST, OPTIONS"),
        ("GET", "/other", 404, "Not Found", None),
        ("OPTIONS", "/other", 404, "Not Found", None),
        ("GET", "/x/..//health", 200, "{}", None),
        ("GET", "/v1/.././/health", 200, "{}", None),
        ("POST", "/v1//models", 405, "Method Not Allowed", "GET, OPTIONS"),
    ],
)
def test_methods(method: str, path: str, status: int, text: str, allow: str | None) -> None:
    answer = ask(b"", path, method)
    assert (answer.status_code, answer.text, answer.headers.get("allow")) == (status, text, allow)


@pytest.mark.parametrize(
    ("method", "path", "status", "place"),
    [
        ("GET", "/health/", 301, "/health"),
        ("GET", "/v1/models/?x=1", 301, "/v1/models"),
        ("GET", "/V1/Models?x=1", 301, "/v1/models?x=1"),
        ("POST", "/v1/chat/completions/", 307, CHAT),
        ("POST", "/health/", 404, None),
    ],
)
def test_another_spelling_is_elsewhere(
    method: str, path: str, status: int, place: str | None
) -> None:
    answer = ask(b"", path, method)
    found = answer.headers.get("location")
    assert (answer.status_code, found) == (status, place and f"http://sim{place}")
    assert "content-type" not in answer.headers or place is None


def test_pods_name_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the container has it, and of completions alone."""
    monkeypatch.setenv("POD_NAME", "sim-1")
    monkeypatch.setenv("POD_NAMESPACE", "llm")
    app = simulator(port=8001)
    wanted = {"x-inference-pod": "sim-1", "x-inference-port": "8001",
              "x-inference-namespace": "llm"}  # fmt: skip
    for body in (HI, {**HI, "stream": True}):
        assert wanted.items() <= dict(ask(body, app=app).headers).items()
    for body in ({**HI, "model": "n"}, b""):
        assert "x-inference-pod" not in ask(body, app=app).headers


def test_no_pods_name_is_told_without() -> None:
    assert "x-inference-pod" not in ask(HI).headers


# -- five at a time ------------------------------------------------------------------------------


class Client:
    """One request, by hand: what came, and when it leaves."""

    def __init__(self, app: Simulator, body: dict[str, Any]) -> None:
        self.events, self.status = 0, 0
        self._body, self._left = json.dumps(body).encode(), asyncio.Event()
        self._read, self.on_event = False, asyncio.Event()
        self._app = app

    async def run(self) -> None:
        scope = {"type": "http", "method": "POST", "path": CHAT, "headers": []}
        await self._app(scope, self._receive, self._send)

    def leave(self) -> None:
        self._left.set()

    async def _receive(self) -> dict[str, Any]:
        if not self._read:
            self._read = True
            return {"type": "http.request", "body": self._body, "more_body": False}
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        self.status = message.get("status", self.status)
        if message.get("body"):
            self.events += 1
            self.leave()  # at the first event


LONG = {**HI, "stream": True, "max_tokens": 1000, "ignore_eos": True}


@pytest.mark.parametrize(
    ("generation", "status"),
    [("0.6", 200), ("0.7", 200), ("0.6-upstream", 0), ("0.7-upstream", 0)],
)
def test_who_leaves_a_stream_frees_his_seat(generation: str, status: int) -> None:
    """And in upstream's releases keeps it: after five nobody is answered, but for /health."""
    app = simulator(generation=generation)

    async def six() -> Client:
        for _ in range(5):
            one = Client(app, LONG)
            await one.run()
            assert 0 < one.events < 1000
        last = Client(app, HI)
        waits = asyncio.ensure_future(last.run())
        await asyncio.wait([waits], timeout=0.2)
        waits.cancel()
        return last

    assert asyncio.run(six()).status == status
    assert ask(b"", "/health", "GET", app=app).status_code == 200


def test_who_reads_to_the_end_keeps_no_seat() -> None:
    app = simulator(generation="0.6-upstream")
    assert [ask({**HI, "stream": True}, app=app).status_code for _ in range(6)] == [200] * 6


def test_the_queue_has_an_end() -> None:
    """One is answered, one waits, and one is refused."""
    app = simulator(generation="0.6-upstream", seats=1, queue=1)

    async def three() -> httpx.Response:
        await Client(app, LONG).run()
        waits = asyncio.ensure_future(Client(app, HI).run())
        await asyncio.sleep(0)
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://sim") as client:
            refused = await client.post(CHAT, json=HI)
        waits.cancel()
        return refused

    answer = asyncio.run(three())
    assert (answer.status_code, answer.text) == (
        429,
        "Failed to enqueue request, waiting requests queue is full",
    )
    assert answer.headers["content-type"] == PLAIN
