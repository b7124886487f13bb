"""What is told of a request from its records and logs, and what is claimed when there are none."""

from __future__ import annotations

import httpx
import pytest

from fixtures.evidence import Exchange, Headers, HopMismatch, Observatory, Record, access_log, trace
from fixtures.evidence.access_log import Line, Seen
from fixtures.evidence.budget import reported_usage, spend
from fixtures.secrets import fingerprint


def exchange(
    path: str, records: list[Record], status: int = 200, log: list[dict[str, str]] | None = None
) -> Exchange:
    request = httpx.Request("POST", f"https://maas.test{path}")
    response = httpx.Response(status, request=request, text="{}")
    read = None if log is None else (lambda *_: Seen([Line("", fields) for fields in log]))
    return Exchange(Observatory(lambda _: records, read), "id", response)


def record(path: str, original: str = "", backend: str = "openai", **headers: str) -> Record:
    stamped = {"x-envoy-original-path": original} if original else {}
    found = Headers({**headers, **stamped}.items())
    return Record(backend, "POST", path, found, "{}", False)


def test_egress_path_from_the_stamp() -> None:
    """Both rewrote: the stamp is the second gateway's, what it received."""
    seen = exchange("/external/openai/v1/models", [record("/v1/models", "/openai/v1/models")])
    seen.expect_inner_received("/openai/v1/models").expect_backend_received("openai", "/v1/models")


def test_egress_path_when_the_egress_did_not_rewrite() -> None:
    """The stamp is still the first gateway's: the backend has what the egress received."""
    client = "/external/openai/v1/models"
    seen = exchange(client, [record("/openai/v1/models", client)])
    seen.expect_inner_received("/openai/v1/models")
    with pytest.raises(HopMismatch) as broken:
        seen.expect_backend_received("openai", "/v1/models")
    hop = broken.value.broken
    assert (hop.where, hop.expected, hop.observed) == (
        "backend",
        "path /v1/models",
        "path /openai/v1/models",
    )


def test_egress_path_from_the_log_when_no_backend_saw_it() -> None:
    lines = [{"received_path": "/external/openai/x", "code": "404", "details": "route_not_found"}]
    seen = exchange("/external/openai/x", [], 404, lines)
    with pytest.raises(HopMismatch, match="expected path /openai/x") as broken:
        seen.expect_inner_received("/openai/x")
    assert "answered 404 (route_not_found)" in str(broken.value)


def test_without_a_log_nothing_is_claimed() -> None:
    """Whether the egress gateway saw it is not known, and so not applicable."""
    with pytest.raises(pytest.skip.Exception, match="egress gateway saw the request is unknown"):
        exchange("/x", [], 401).expect_no_inner()
    lines = [{"received_path": "/x", "code": "404", "details": ""}]
    with pytest.raises(HopMismatch, match="expected no request"):
        exchange("/x", [], 401, lines).expect_no_inner()


def test_a_log_that_tells_no_requests_apart_proves_nothing() -> None:
    """That it has none of this request is no evidence, and so not applicable."""
    told: list[tuple[str, bool]] = []

    def read(request_id: str, names_itself: bool) -> Seen:
        told.append((request_id, names_itself))
        return Seen([], "its lines have no ids")

    for agent, named in ((access_log.agent("id"), True), ("OpenAI/Python", False)):
        request = httpx.Request("POST", "https://maas.test/x", headers={"user-agent": agent})
        response = httpx.Response(401, request=request)
        seen = Exchange(Observatory(lambda _: [], read), "id", response)
        with pytest.raises(pytest.skip.Exception, match="its lines have no ids"):
            seen.expect_no_inner()
        assert seen.inner_received == "nothing"
        assert told.pop() == ("id", named)


def test_what_a_real_server_received_is_unknown() -> None:
    """And so not applicable; what the client got is judged all the same."""
    response = exchange("/external/vllm/v1/models", [], 200).response
    real = Exchange(Observatory(lambda _: [], None), "id", response, "vllm")
    real.expect_status(200)
    for ask in (real.expect_no_backend, lambda: real.expect_backend_received("vllm")):
        with pytest.raises(pytest.skip.Exception, match="what vllm received is unknown"):
            ask()
    with pytest.raises(HopMismatch, match="expected status 401"):
        real.expect_status(401)


def test_the_way_of_a_request_is_as_far_as_its_test_looked() -> None:
    """Nothing is looked up for it; the second gateway is on it when it is known to have been."""
    client = "/external/openai/v1/models"
    told = record("/v1/models", "/openai/v1/models", **{"x-provider-api-key": "sk-secret-key"})
    seen = exchange(client, [told])
    assert [hop.observed for hop in seen.seen()] == [f"sent POST {client}", "got 200"]
    seen.expect_backend_received("openai")
    ways = [hop.observed for hop in seen.seen()]
    assert ways[1:3] == [
        "received /openai/v1/models",
        f"openai received POST /v1/models; x-provider-api-key: {fingerprint('sk-secret-key')}",
    ]
    local = exchange("/llm/some/v1/models", [record("/v1/models", "/llm/some/v1/models")])
    local.expect_backend_received("openai")
    assert [hop.where for hop in local.seen()] == ["client", "backend", "client"]
    lines = [{"received_path": "/external/openai/x", "code": "404", "details": "route_not_found"}]

    def unknown(_: str) -> list[Record]:
        raise AssertionError("looked up")

    line = Line("", lines[0])
    unseen = Exchange(Observatory(unknown, lambda *_: Seen([line])), "id", local.response)
    assert unseen.need_inner_lines() == [line]
    assert unseen.seen()[1].observed == "received /external/openai/x"
    trace.forget()
    for one in (local, seen, local):
        trace.add(one)
    assert trace.telling() is seen
    trace.forget()
    assert trace.telling() is None


def test_every_value_of_a_header_counts() -> None:
    """An injected key behind the client's is not the injected key alone."""
    pairs = [("X-Provider-Api-Key", "sk-of-the-client"), ("x-provider-api-key", "sk-injected-1")]
    headers = Headers(pairs)
    assert headers.all("X-PROVIDER-API-KEY") == ["sk-of-the-client", "sk-injected-1"]
    seen = exchange("/x", [Record("openai", "POST", "/x", headers, "{}", False)])
    with pytest.raises(HopMismatch, match="once"):
        seen.expect_backend_header("openai", "X-Provider-Api-Key", "sk-injected-1")
    with pytest.raises(HopMismatch, match="the key in no header"):
        seen.expect_nowhere(seen.records[0], "injected", "the key")


def test_a_request_at_two_backends_is_an_error() -> None:
    seen = exchange("/x", [record("/x"), record("/x", backend="anthropic")])
    with pytest.raises(HopMismatch, match=r"requests at \['openai', 'anthropic'\]"):
        seen.expect_backend_received("openai")
    with pytest.raises(HopMismatch, match="expected no request"):
        seen.expect_no_backend()


def test_a_wrong_key_shows_as_two_fingerprints() -> None:
    headers = {"x-provider-api-key": "sk-ant-claude-key-for-demo"}
    seen = exchange("/x", [record("/x", **headers)])
    with pytest.raises(HopMismatch) as broken:
        seen.expect_backend_header("openai", "X-Provider-Api-Key", "sk-openai-key-for-demo")
    text = str(broken.value)
    assert text.count("<redacted") >= 2
    assert "sk-" not in text


def test_usage_of_a_stream_is_the_last_reported() -> None:
    body = 'data: {"choices":[]}\n\ndata: {"usage":{"total_tokens":7}}\n\ndata: [DONE]\n\n'
    request = httpx.Request("POST", "https://maas.test/")
    headers = {"content-type": "text/event-stream"}
    response = httpx.Response(200, request=request, text=body, headers=headers)
    assert reported_usage(Exchange(Observatory(lambda _: [], None), "id", response)) == 7


def test_spending_stops_when_nothing_refuses() -> None:
    def answer() -> Exchange:
        request = httpx.Request("POST", "https://maas.test/")
        response = httpx.Response(200, request=request, json={"usage": {"total_tokens": 60}})
        return Exchange(Observatory(lambda _: [], None), "id", response)

    with pytest.raises(HopMismatch, match="200 after 240 tokens"):
        spend(answer, 100)
