"""Kuadrant's wasm-shim, as an Envoy ext_proc server beside the gateway's Envoy.

Stands for quay.io/kuadrant/wasm-shim. Upstream: Kuadrant/wasm-shim `src/configuration.rs`
(services, action sets), `src/kuadrant/pipeline` (order, failure modes, replies). It reads
the WasmPlugin that the Kuadrant operator writes for its Gateway, and calls Authorino over
`envoy.service.auth.v3` and Limitador over Envoy's and Kuadrant's rate-limit services, as
the real one does inside Envoy.
Two generations of it: 0.11.1 (Kuadrant 1.3.1), the documents', replaces headers that the client
sent; from 0.12.0 on (Kuadrant 1.4) names are compared with their case, the request's are in lower
case, and so a policy's header with a capital letter comes beside the client's.
Beside one embedded gateway it serves that one. On a real Istio, where its wasm module is not to be
had, it serves all of them, and an EnvoyFilter puts it where the module would be (`shim_filters`).
One thing differs: a refusal waits for the request's body. An answer that comes before it ends
in an HTTP/2 stream reset, which curl 7.88 reports as an error when the machine is busy.
Left out: tracing, request and response header ("upstream") actions of extensions.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator
from typing import Any

from envoy.extensions.filters.http.ext_proc.v3 import processing_mode_pb2
from envoy.service.ext_proc.v3 import external_processor_pb2 as pb

from embedded import ext_proc, rpc
from embedded.images.kuadrant.shim_actions import ActionSets, Call, Denied, Services
from embedded.images.kuadrant.shim_filters import ENVOY_FILTERS, PORT, clusters_of, in_its_place
from embedded.kube import Cache, Kube

WASM_PLUGINS = "extensions.istio.io/v1alpha1/wasmplugins"
Mode = processing_mode_pb2.ProcessingMode
Object = dict[str, Any]
_JSON, _STREAM = "application/json", "text/event-stream"


class Shim:
    """The action sets in force for each Gateway, `namespace/name`, and Envoy's streams.

    `gateway` is the only one that it serves, or "" when it serves all, and each of its calls
    says which by its metadata `gateway`.
    """

    def __init__(self, kube: Kube, namespace: str, gateway: str, generation: str) -> None:
        self._kube, self._generation = kube, generation
        self._own = f"{namespace}/{gateway}" if gateway else ""
        watched = [WASM_PLUGINS] if gateway else [WASM_PLUGINS, ENVOY_FILTERS]
        self._cache = Cache(kube, watched, namespace)
        self._services = Services()
        self._sets: dict[str, ActionSets] = {}
        self._configs: dict[str, Object] = {}
        self.loaded = asyncio.Event()  # all that there is; no request passes before

    async def run(self) -> None:
        await self._cache.run(self._reconcile)

    async def _reconcile(self) -> None:
        found: dict[str, Object] = {}
        for plugin in self._cache.list(WASM_PLUGINS):
            for key in gateways_of(plugin):
                if key == self._own or not self._own:
                    found[key] = plugin["spec"].get("pluginConfig", {})
                    await self._loaded(plugin)
        if not self._own:
            self._services.clusters = clusters_of(self._cache.list(ENVOY_FILTERS))
        for key in found.keys() | self._configs.keys():
            self._load(key, found.get(key, {}))
        self.loaded.set()

    async def _loaded(self, plugin: Object) -> None:
        if self._own:
            loaded = {"loadedGeneration": plugin["metadata"]["generation"]}
            await self._kube.set_status(WASM_PLUGINS, plugin, loaded)
        else:
            await self._kube.apply(ENVOY_FILTERS, in_its_place(plugin))

    def _load(self, key: str, config: Object) -> None:
        if config != self._configs.get(key):
            self._configs[key] = config
            self._sets[key] = ActionSets(config, self._services)
            print(f"{key}: {len(config.get('actionSets', []))} action sets loaded", flush=True)

    async def process(
        self, messages: AsyncIterator[pb.ProcessingRequest], context: Any
    ) -> AsyncIterator[pb.ProcessingResponse]:
        """One HTTP request: `envoy.service.ext_proc.v3.ExternalProcessor/Process`."""
        metadata = dict(context.invocation_metadata() or ())
        key = self._own or str(metadata.get("gateway", ""))
        sets = self._sets.get(key) or ActionSets({}, self._services)
        exchange = Exchange(sets, self._generation)
        async for message in messages:
            kind = message.WhichOneof("request")
            try:
                yield await getattr(exchange, f"on_{kind}")(getattr(message, kind))
            except Denied as denied:
                yield _immediate(denied)
                return


def gateways_of(plugin: Object) -> list[str]:
    """The Gateways, `namespace/name`, that a WasmPlugin is for."""
    namespace = plugin["metadata"]["namespace"]
    return [f"{namespace}/{ref['name']}" for ref in plugin["spec"].get("targetRefs", [])]


class Exchange:
    """What the shim knows of one request while it passes."""

    def __init__(self, sets: ActionSets, generation: str) -> None:
        self._sets, self._generation = sets, generation
        self._call: Call | None = None
        self._denied: Denied | None = None
        self._parser: SseUsage | WholeBody = WholeBody()

    async def on_request_headers(self, message: pb.HttpHeaders) -> pb.ProcessingResponse:
        headers = ext_proc.headers_of(message)
        self._call = call = self._sets.match(headers)
        if call is None:
            return pb.ProcessingResponse(request_headers=pb.HeadersResponse())
        later = call.needs_request_body and not message.end_of_stream
        try:
            await call.authorize()
            if not later:
                await call.check_limits()
        except Denied as denied:
            if message.end_of_stream or "upgrade" in headers:  # its body would never end
                raise
            self._denied, later = denied, True
        mode = Mode(
            request_header_mode=Mode.SEND,
            request_body_mode=Mode.BUFFERED if later else Mode.NONE,
            response_header_mode=Mode.SEND if call.wants_response else Mode.SKIP,
            request_trailer_mode=Mode.SKIP,
            response_trailer_mode=Mode.SKIP,
        )
        headers_set, added = self._placed(call.request_headers)
        answer = pb.HeadersResponse(response=ext_proc.common(headers_set, added=added))
        return pb.ProcessingResponse(request_headers=answer, mode_override=mode)

    def _placed(self, headers: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
        """Headers that take the place of the client's, and those that come beside them."""
        if self._generation == "0.11":
            return headers, {}
        same_case = {name: value for name, value in headers.items() if name == name.lower()}
        return same_case, {n: value for n, value in headers.items() if n not in same_case}

    async def on_request_body(self, message: pb.HttpBody) -> pb.ProcessingResponse:
        if self._denied is not None:
            raise self._denied
        if self._call is not None:
            self._call.bodies["request"] = message.body
            await self._call.check_limits()
        return pb.ProcessingResponse(request_body=pb.BodyResponse())

    async def on_response_headers(self, message: pb.HttpHeaders) -> pb.ProcessingResponse:
        headers = ext_proc.headers_of(message)
        kind = headers.get("content-type", "").split(";")[0].strip().lower()
        # In pieces, whatever the kind: what Envoy would have to buffer it limits to 1 MiB.
        known = kind in (_JSON, _STREAM) and not message.end_of_stream
        body_mode = Mode.STREAMED if known else Mode.NONE
        self._parser = SseUsage() if kind == _STREAM else WholeBody()
        mode = Mode(
            response_header_mode=Mode.SEND,
            response_body_mode=body_mode,
            response_trailer_mode=Mode.SKIP,
        )
        return pb.ProcessingResponse(response_headers=pb.HeadersResponse(), mode_override=mode)

    async def on_response_body(self, message: pb.HttpBody) -> pb.ProcessingResponse:
        if self._call is not None:
            self._parser.feed(message.body)
            if message.end_of_stream:
                self._call.bodies["response"] = self._parser.last_with_usage()
                await self._call.report()
        return pb.ProcessingResponse(response_body=pb.BodyResponse())


class WholeBody:
    """Collects an answer that is one JSON object."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def feed(self, chunk: bytes) -> None:
        self._pieces.append(chunk)

    def last_with_usage(self) -> bytes:
        """All of it."""
        return b"".join(self._pieces)


class SseUsage:
    """Finds the last event with a usage object in server-sent events."""

    def __init__(self) -> None:
        self._rest = b""
        self._last = b""

    def feed(self, chunk: bytes) -> None:
        lines = (self._rest + chunk).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        self._rest = lines.pop()
        for line in lines:
            self._line(line)

    def last_with_usage(self) -> bytes:
        """The JSON of that event, or b"" if there was none."""
        self._line(self._rest)
        return self._last

    def _line(self, line: bytes) -> None:
        if line.startswith(b"data:") and b'"usage"' in line and b'"total_tokens"' in line:
            self._last = line.removeprefix(b"data:").strip()


def _immediate(denied: Denied) -> pb.ProcessingResponse:
    body = denied.body.encode()
    return ext_proc.immediate(denied.code, body, denied.headers, denied.details)


async def _serve(namespace: str, gateway: str, generation: str) -> None:
    """`gateway` "" serves all."""
    shim = Shim(Kube("wasm-shim"), namespace, gateway, generation)
    server = rpc.server(PORT)
    ext_proc.add_to(server, shim.process)
    running = asyncio.create_task(shim.run())
    # Envoy does not listen either before it has the module and its configuration.
    loaded = asyncio.create_task(shim.loaded.wait())
    await asyncio.wait([running, loaded], return_when=asyncio.FIRST_COMPLETED)
    if not running.done():
        await server.start()
    await running


def main(argv: list[str]) -> None:
    """`--gateway NAMESPACE/NAME | --all-gateways`, `--generation 0.11`."""
    parser = argparse.ArgumentParser()
    served = parser.add_mutually_exclusive_group(required=True)
    served.add_argument("--gateway", default="")
    served.add_argument("--all-gateways", action="store_true")
    parser.add_argument("--generation", choices=["0.11", "0.12"], default="0.11")
    flags = parser.parse_args(argv)
    namespace, _, name = flags.gateway.partition("/")
    rpc.run(_serve(namespace, name, flags.generation))
