"""A request is found in any proxy's log, and its absence believed where it proves something."""

import json

import pytest

from fixtures.evidence import access_log

ID, OTHER = "conformance-1", access_log.agent("conformance-2")
ENVOY = (
    '[2026-02-25T10:00:00.000Z] "POST /openai/v1/chat/completions HTTP/1.1" 200 - 93 381 12 11 '
    '"-" "{agent}" "6d9f" "poc.example" "127.0.0.9:8000"'
)
ISTIO = (
    '[2026-02-25T10:00:00.000Z] "POST /external/v1/models HTTP/2" 429 - wasm_fail - "-" 0 18 2 - '
    '"10.0.0.1" "{agent}" "6d9f" "maas.example" "10.0.0.2:80" outbound|80||x.y 10.0.0.3:1 '
    "10.0.0.4:443 10.0.0.1:2 maas.example y.route.0"
)
ISTIO_JSON = {
    "method": "GET", "path": "/v1/models", "response_code": 404, "user_agent": f"curl ({ID})",
    "response_code_details": "route_not_found", "upstream_cluster": None, "route_name": None,
}  # fmt: skip
OURS = {"method": "GET", "received_path": "/x", "code": 200, "conformance_id": ID}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (
            ENVOY.format(agent=f"x ({ID})"),
            {"code": "200", "received_path": "/openai/v1/chat/completions", "method": "POST",
             "host": "poc.example", "upstream": "127.0.0.9:8000"},
        ),
        (
            ISTIO.format(agent=f"x ({ID})"),
            {"code": "429", "details": "wasm_fail", "cluster": "outbound|80||x.y",
             "route": "y.route.0", "upstream": "10.0.0.2:80"},
        ),
        (
            json.dumps(ISTIO_JSON),
            {"code": "404", "received_path": "/v1/models", "details": "route_not_found",
             "cluster": "-"},
        ),
        (json.dumps(OURS), {"code": "200", "received_path": "/x"}),
    ],
    ids=["envoy", "istio", "istio-json", "ours"],
)  # fmt: skip
def test_a_request_in_any_format(text: str, wanted: dict[str, str]) -> None:
    log = f"[2026-02-25 10:00:00.000][7][info] starting\n{text}\n{{broken\n"
    (line,) = access_log.read(log, ID).lines
    assert wanted.items() <= line.fields.items()


def test_a_field_that_the_format_lacks() -> None:
    (line,) = access_log.read(ENVOY.format(agent=ID), ID).lines
    assert line.get("details") == "unknown"
    with pytest.raises(pytest.skip.Exception, match="has no details"):
        line.need("details")


@pytest.mark.parametrize(
    ("log", "names_itself", "untold"),
    [
        (ENVOY.format(agent=OTHER), True, ""),
        (ENVOY.format(agent=OTHER), False, "User-Agent"),
        (ENVOY.format(agent="curl"), True, "does not tell requests apart"),
        (json.dumps({**OURS, "conformance_id": "-"}), False, ""),
        ("", True, "no line"),
        ("[info] starting\n", True, "no line"),
    ],
    ids=["named", "of-another-agent", "of-nobody", "ours", "empty", "no-access-log"],
)
def test_what_absence_proves(log: str, names_itself: bool, untold: str) -> None:
    seen = access_log.read(log, ID, names_itself)
    assert seen.lines == []
    assert untold in seen.untold
    assert bool(untold) == bool(seen.untold)
