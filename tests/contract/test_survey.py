"""The survey of faults that nobody planned for: its filters, what it says of them, and its exit
codes."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from embedded.images import envoy_binary
from manifests import FOLDER
from tests.survey import __main__ as survey
from tests.survey import places
from tests.survey.filters import FILTERS, HARMLESS, HARMLESS_AT, filter_of
from tests.survey.places import altered

EXTENSIONS = "type.googleapis.com/envoy.extensions.filters"


def test_envoy_takes_every_filter(tmp_path: Path) -> None:
    """It compiles their Lua when it reads its configuration."""
    router = {"@type": f"{EXTENSIONS}.http.router.v3.Router"}
    manager = {
        "@type": f"{EXTENSIONS}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "all",
        "route_config": {},
        "http_filters": [
            *({**filter_of(name), "name": name} for name in FILTERS),
            {"name": "envoy.filters.http.router", "typed_config": router},
        ],
    }
    chain = {"filters": [{"name": "manager", "typed_config": manager}]}
    address = {"socket_address": {"address": "127.0.0.1", "port_value": 0}}
    listener = {"address": address, "filter_chains": [chain]}
    path = tmp_path / "envoy.json"
    path.write_text(json.dumps({"static_resources": {"listeners": [listener]}}))
    done = subprocess.run(
        [envoy_binary(), "--mode", "validate", "-c", path], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_filter_is_noticed(capsys: pytest.CaptureFixture[str]) -> None:
    """By the requirement that it violates, on a cluster of its own."""
    assert survey.main(["query-added", "--", "--requirement=MP-28"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("query-added: red: MP-28 ("), said


@pytest.mark.parametrize("name", ["query-added", "usage-lost"])
def test_where_the_router_is_asked(name: str) -> None:
    """Requests meet the filter behind the router, answers too; other configurations stay."""
    text = (FOLDER / "dual-gateway" / "base" / "envoy.yaml").read_text()
    config = yaml.safe_load(text)
    found = altered(name, yaml.safe_load(text))
    (chain,) = found["static_resources"]["listeners"][0]["filter_chains"]
    filters = chain["filters"][0]["typed_config"]["http_filters"]
    names = [one["name"].rpartition(".")[2] for one in filters]
    assert names == (
        ["lua", "ext_proc", "router"] if FILTERS[name].answers else ["ext_proc", "lua", "router"]
    )
    filters[:] = [one for one in filters if "lua" not in one["name"]]
    assert found == config
    bare = {"admin": {}, "dynamic_resources": {"ads_config": {}}}
    assert altered(name, dict(bare)) == bare


def test_what_goes_unnoticed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Is missing a test, or harmless for a reason; a run without a verdict says nothing."""
    monkeypatch.setattr(survey, "_met", lambda *_: (0, []))
    assert survey.main(["server-told"]) == 0
    assert survey.main(["--at", "egress", "host-with-port"]) == 0
    assert survey.main(["host-with-port"]) == 1
    assert survey.main(["server-told", "cookie-added"]) == 1
    said = capsys.readouterr().out
    assert f"server-told: unnoticed: {HARMLESS['server-told']}" in said
    assert "cookie-added: unnoticed: a test is missing" in said
    assert "2 filters, 1 missed: cookie-added" in said
    monkeypatch.setattr(survey, "_met", lambda *_: (4, []))
    assert survey.main(["server-told"]) == 1
    assert "server-told: no verdict: exit code 4, see " in capsys.readouterr().out


def test_names_that_are_none() -> None:
    assert HARMLESS.keys() <= FILTERS.keys()
    assert HARMLESS_AT.keys() <= places.PLACES.keys()
    assert all(names.keys() <= FILTERS.keys() for names in HARMLESS_AT.values())
    with pytest.raises(SystemExit, match="2"):
        survey.main(["no-such"])
