"""Where a filter is put: into the Envoys that a stand-in configures, or into that of the router,
whose configuration is a file."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import yaml

from embedded.images import Catalogue, envoy_binary, stand_in
from tests.survey.filters import FILTERS, filter_of

Object = dict[str, Any]
ENVOY = "docker.io/envoyproxy/envoy"
EXT_PROC = "envoy.filters.http.ext_proc"


@dataclass(frozen=True)
class Place:
    """`image` is what is replaced on the cluster, by `serve(name, words)`."""

    image: str
    flags: tuple[str, ...]
    serve: Callable[[str, list[str]], None]


def with_filter(name: str, filters: list[Object]) -> list[Object]:
    """Requests meet it last, answers last too: Envoy gives answers to the first filter last."""
    own = filter_of(name)
    return [own, *filters] if FILTERS[name].answers else [*filters, own]


def _configured_by(module_name: str) -> Place:
    """The Envoys of a Gateway."""

    def serve(name: str, words: list[str]) -> None:
        import envoy.extensions.filters.http.lua.v3.lua_pb2  # noqa: F401 - known to `@type`

        module: Any = importlib.import_module(module_name)
        right = module.envoy.connections

        def connections(config: str, routes: Object, filters: list[Object], **more: Any) -> Object:
            found: Object = right(config, routes, with_filter(name, filters), **more)
            return found

        module.envoy.connections = connections
        module.main(words)

    images = Catalogue().images.items()
    image, flags = next((one, found.flags) for one, found in images if found.module == module_name)
    return Place(image, flags, serve)


def altered(name: str, config: Object) -> Object:
    """Envoy's configuration, with the filter where the router is asked; the others as they are."""
    for listener in config.get("static_resources", {}).get("listeners", []):
        for chain in listener["filter_chains"]:
            for one in chain["filters"]:
                *before, last = one["typed_config"].get("http_filters", [{}])
                if EXT_PROC in (found["name"] for found in before):
                    filters = [*with_filter(name, before), last]
                    one["typed_config"]["http_filters"] = filters
    return config


def _serve_envoy(name: str, words: list[str]) -> NoReturn:
    """Envoy itself, the file after `-c` altered."""
    at = words.index("-c") + 1
    config = altered(name, yaml.safe_load(Path(words[at]).read_text()))
    path = Path("altered.yaml").absolute()  # in the container's own folder
    path.write_text(yaml.safe_dump(config))
    binary = str(envoy_binary())
    os.execvp(binary, [binary, *words[:at], str(path), *words[at + 1 :]])


PLACES = {
    "maas": _configured_by(stand_in("envoy_gateway")),
    "egress": _configured_by(stand_in("envoy_controller")),
    "router": Place(ENVOY, (), _serve_envoy),
}


def command(place: str, name: str) -> str:
    """`--image` of the suite."""
    found = PLACES[place]
    words = [sys.executable, "-m", "tests.survey.places", place, name, *found.flags]
    return f"--image={found.image}={' '.join(words)}"


if __name__ == "__main__":
    chosen, name, *words = sys.argv[1:]
    PLACES[chosen].serve(name, words)
