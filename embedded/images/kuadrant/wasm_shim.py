"""Kuadrant's wasm-shim, as an Envoy ext_proc server beside the gateway's Envoy.

Stands for quay.io/kuadrant/wasm-shim. Upstream: Kuadrant/wasm-shim `src/configuration.rs`
(services, action sets), `src/kuadrant/pipeline` (order, failure modes, replies). It reads
the WasmPlugin that the Kuadrant operator writes for its Gateway, and calls Authorino over
`envoy.service.auth.v3` and Limitador over Envoy's and Kuadrant's rate-limit services, as
the real one does inside Envoy.
Generations of it, and what each does, are in `shim_generations`: 0.11 (Kuadrant 1.3.1, the
documents', the default), 0.12 (Kuadrant 1.4), 0.14, and `mended`. All but `mended` compare the host
with its case, so that a request for the same host in capitals passes unasked; its port is no part.
Of 0.12 this is 0.12.1, which Kind's table names, but that it does not forward what it refused; nor
does it hang at an answer's end, as 0.12.3 can.
Beside one embedded gateway it serves that one. On a real Istio, where its wasm module is not to be
had, it serves all of them, and an EnvoyFilter puts it where the module would be (`shim_filters`).
Two things differ. A refusal waits for the request's body, if the request says that Envoy can hold
it: an answer that comes before it ends in an HTTP/2 stream reset, which curl 7.88 reports as an
error when the machine is busy; for one that Envoy cannot hold it would wait for ever. And an
answer that is no stream passes as it comes in every generation: 0.11.1 holds it back until its end,
and Envoy breaks it off when it is longer than its buffer, 1 MiB on Istio; `--holds-json BYTES` does
so, 1048576 as there.
Left out: tracing, what a predicate that cannot be decided does (0.11 refuses, 0.12 lets pass; here
it does not hold), request and response header ("upstream") actions of extensions.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
from envoy.extensions.filters.http.ext_proc.v3 import processing_mode_pb2
from envoy.service.ext_proc.v3 import external_processor_pb2 as pb

from embedded.images.kuadrant.shim_actions import ActionSets, BrokenOff, Call, Denied, Services
from embedded.images.kuadrant.shim_filters import ENVOY_FILTERS, PORT, clusters_of, in_its_place
from embedded.images.kuadrant.shim_generations import GENERATIONS, Generation
from embedded.images.kuadrant.shim_usage import SseUsage, WholeBody
from embedded.shared import ext_proc, rpc
from embedded.shared.kube import Cache, Kube

WASM_PLUGINS = "extensions.istio.io/v1alpha1/wasmplugins"
Mode = processing_mode_pb2.ProcessingMode
Object = dict[str, Any]
_STREAM = "text/event-stream"
BUFFERED_BYTES = 1 << 20  # per_connection_buffer_limit_bytes as Envoy has it, and Istio leaves it


class Shim:
    """The action sets in force for each Gateway, `namespace/name`, and Envoy's streams.

    `gateway` is the only one that it serves, or "" when it serves all, and each of its calls
    says which by its metadata `gateway`. `holds` is how many bytes of an answer it holds back.
    """

    def __init__(
        self, kube: Kube, namespace: str, gateway: str, generation: Generation, holds: int | None
    ) -> None:
        self._kube, self._generation, self._holds = kube, generation, holds
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
            self._sets[key] = ActionSets(config, self._services, self._generation)
            print(f"{key}: {len(config.get('actionSets', []))} action sets loaded", flush=True)

    async def process(
        self, messages: AsyncIterator[pb.ProcessingRequest], context: Any
    ) -> AsyncIterator[pb.ProcessingResponse]:
        """One HTTP request: `envoy.service.ext_proc.v3.ExternalProcessor/Process`."""
        metadata = dict(context.invocation_metadata() or ())
        key = self._own or str(metadata.get("gateway", ""))
        sets = self._sets.get(key) or ActionSets({}, self._services, self._generation)
        exchange = Exchange(sets, self._generation, self._holds)
        held = []
        async for message in messages:
            kind = message.WhichOneof("request")
            try:
                held.append(await getattr(exchange, f"on_{kind}")(getattr(message, kind)))
            except Denied as denied:
                yield _immediate(denied)
                return
            except BrokenOff as error:
                await context.abort(grpc.StatusCode.ABORTED, str(error))
            if not exchange.holding:
                for answer in held:
                    yield answer
                held.clear()


def gateways_of(plugin: Object) -> list[str]:
    """The Gateways, `namespace/name`, that a WasmPlugin is for."""
    namespace = plugin["metadata"]["namespace"]
    return [f"{namespace}/{ref['name']}" for ref in plugin["spec"].get("targetRefs", [])]


class Exchange:
    """What the shim knows of one request while it passes; `holding` says that its answers wait."""

    def __init__(self, sets: ActionSets, generation: Generation, holds: int | None = None) -> None:
        self._sets, self._generation, self._holds = sets, generation, holds
        self.holding = False
        self._held = 0
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
            if message.end_of_stream or not _can_be_held(headers):
                raise
            self._denied, later = denied, True
        mode = Mode(
            request_header_mode=Mode.SEND,
            request_body_mode=Mode.BUFFERED if later else Mode.NONE,
            response_header_mode=Mode.SEND if later or call.wants_response else Mode.SKIP,
            request_trailer_mode=Mode.SKIP,
            response_trailer_mode=Mode.SKIP,
        )
        headers_set, added = self._placed(call.request_headers)
        answer = pb.HeadersResponse(response=ext_proc.common(headers_set, added=added))
        return pb.ProcessingResponse(request_headers=answer, mode_override=mode)

    def _placed(self, headers: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
        """Headers that take the place of the client's, and those that come beside them."""
        if self._generation.replaces_headers:
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
        headers, call = ext_proc.headers_of(message), self._call
        # In pieces, whatever the kind: what Envoy would have to buffer it limits to 1 MiB.
        wanted = call is not None and call.wants_response_body and not message.end_of_stream
        is_stream = _STREAM in headers.get("content-type", "")  # in capitals it is none
        self._parser = self._generation.stream() if is_stream else WholeBody()
        mode = Mode(
            response_header_mode=Mode.SEND,
            response_body_mode=Mode.STREAMED if wanted else Mode.NONE,
            response_trailer_mode=Mode.SKIP,
        )
        answer = pb.HeadersResponse()
        if call is not None and call.response_headers:
            answer = pb.HeadersResponse(response=ext_proc.common(call.response_headers))
        return pb.ProcessingResponse(response_headers=answer, mode_override=mode)

    async def on_response_body(self, message: pb.HttpBody) -> pb.ProcessingResponse:
        if self._call is not None:
            self._parser.feed(message.body)
            self._hold(message)
            if message.end_of_stream:
                self._call.bodies["response"] = self._parser.last_with_usage()
                await self._call.report()
        return pb.ProcessingResponse(response_body=pb.BodyResponse())

    def _hold(self, message: pb.HttpBody) -> None:
        """Hold an answer back that is no stream, if that is asked for; raises BrokenOff when it is
        more than may be held."""
        if self._holds is None or isinstance(self._parser, SseUsage):
            return
        self.holding = not message.end_of_stream
        self._held += len(message.body)
        if self._held > self._holds:
            raise BrokenOff(f"more than {self._holds} bytes to hold back")


def _can_be_held(headers: dict[str, str]) -> bool:
    """Whether a request says how long its body is, and Envoy buffers as much. Of an upgrade it
    would never end."""
    said = headers.get("content-length", "")
    return "upgrade" not in headers and said.isdecimal() and int(said) <= BUFFERED_BYTES


def _immediate(denied: Denied) -> pb.ProcessingResponse:
    body = denied.body.encode()
    return ext_proc.immediate(denied.code, body, denied.headers, denied.details)


async def _serve(namespace: str, gateway: str, generation: Generation, holds: int | None) -> None:
    """`gateway` "" serves all."""
    shim = Shim(Kube("wasm-shim"), namespace, gateway, generation, holds)
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
    """`--gateway NAMESPACE/NAME | --all-gateways`, `--generation 0.11`, `--holds-json BYTES`."""
    parser = argparse.ArgumentParser()
    served = parser.add_mutually_exclusive_group(required=True)
    served.add_argument("--gateway", default="")
    served.add_argument("--all-gateways", action="store_true")
    parser.add_argument("--generation", choices=GENERATIONS, default="0.11")
    parser.add_argument("--holds-json", type=int, metavar="BYTES")
    flags = parser.parse_args(argv)
    namespace, _, name = flags.gateway.partition("/")
    rpc.run(_serve(namespace, name, GENERATIONS[flags.generation], flags.holds_json))
