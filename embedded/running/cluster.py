"""Puts the parts of the cluster together and runs them until it is told to stop."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
import os
import secrets
import shutil
import signal
import ssl
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import uvicorn
import yaml
from cryptography.hazmat.primitives.asymmetric import rsa

from embedded.apiserver import admission
from embedded.apiserver.api import Api, User
from embedded.apiserver.authn import Tokens
from embedded.apiserver.decoding import Options
from embedded.apiserver.http import ApiServer
from embedded.controllers.cleanup import GarbageCollector, Namespaces, furnish
from embedded.controllers.deployments import Deployments
from embedded.controllers.endpoints import Endpoints
from embedded.images import Catalogue
from embedded.node.container import base_environment
from embedded.node.dns import DnsServer
from embedded.node.kubelet import Kubelet
from embedded.node.services import ClusterIPs, Forwarder
from embedded.running import lifecycle
from embedded.running.config import Config
from embedded.running.origin import PLATFORM
from embedded.running.state import Info, State, started
from embedded.running.zygote import Zygote
from embedded.shared import net
from embedded.shared.tls import Authority
from embedded.shared.web import Server
from manifests import DOMAIN, identity, render

Object = dict[str, Any]
ADMIN = "kubernetes-admin"
SUITE = "conformance"  # the suite's field manager: what it deploys later takes the place of this
RESTART_SECONDS = 0.2
log = logging.getLogger("embedded")


def run(config: Config, zygote: Zygote, network: net.Network) -> None:
    """Run the cluster until SIGTERM, SIGINT, or the end of the lifeline."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    asyncio.run(_run(config, zygote, network))


async def _run(config: Config, zygote: Zygote, network: net.Network) -> None:
    state = State(config.name)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if config.lifeline:
        loop.add_reader(sys.stdin.fileno(), lambda: _lifeline(loop, stop))
    zygote.attach(stop.set)
    async with _parts(config, zygote, network, state, stop):
        await stop.wait()
    shutil.rmtree(state.folder, ignore_errors=True)


def _lifeline(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    if not os.read(sys.stdin.fileno(), 4096):
        loop.remove_reader(sys.stdin.fileno())
        stop.set()


@contextlib.asynccontextmanager
async def _parts(
    config: Config, zygote: Zygote, network: net.Network, state: State, stop: asyncio.Event
) -> AsyncIterator[None]:
    deploys = render(Path(config.kustomization)) if config.kustomization else []
    authority = Authority()
    certificate = authority.certificate.decode()
    key = await asyncio.to_thread(rsa.generate_private_key, 65537, 2048)
    api = Api([admission.defaults, admission.service_account, ClusterIPs(network)])
    admin_token = secrets.token_urlsafe(24)
    admin = User(ADMIN, ("system:masters", "system:authenticated"))
    tokens = Tokens(api, key, {admin_token: admin})
    environment = base_environment() | {
        "KUBERNETES_SERVICE_HOST": network.api,
        "KUBERNETES_SERVICE_PORT": str(net.API_PORT),
        "CLUSTER_DNS": network.dns,
    }
    catalogue = Catalogue().replaced(config.images)
    kubelet = Kubelet(api, tokens, zygote, catalogue, network, state.folder / "pods", environment)
    app = ApiServer(api, tokens, kubelet)
    server = _server(app, authority, network, state.folder)
    _system_objects(api, network)
    forwarder, dns = Forwarder(api), DnsServer(api)
    await dns.listen(network.dns_socket)
    deployments = Deployments(api)
    serving = asyncio.create_task(server.serve(sockets=[network.api_socket]))
    parts = {
        "namespaces": Namespaces(api, certificate).run,
        "deployments": deployments.run_deployments,
        "replicasets": deployments.run_replica_sets,
        "endpoints": Endpoints(api).run,
        "garbage collection": GarbageCollector(api).run,
        "services": forwarder.run,
        "node": kubelet.run,
    }
    tasks = [asyncio.create_task(keep_running(name, part)) for name, part in parts.items()]
    try:
        _deploy_platform(api, authority, certificate)
        apply_all(api, deploys, certificate, SUITE)
        address = f"https://{network.api}:{net.API_PORT}"
        _write_access(state, address, admin_token, authority.certificate, tokens.signing_key)
        resolver = f"{network.dns}:{net.DNS_PORT}"
        deployed = [list(identity(one)) for one in deploys]
        state.write_info(
            Info(
                os.getpid(),
                started(os.getpid()),
                address,
                resolver,
                DOMAIN,
                config.made_of,
                deployed,
            )
        )
        serving.add_done_callback(lambda _: stop.set())
        yield
    finally:
        if serving.done():
            log.critical("the API server ended, and so the cluster", exc_info=_problem(serving))
            lifecycle.keep_log(state)
        await app.close()
        for task in tasks:  # the node first of all: what is stopped must not start again
            task.cancel()
        await kubelet.close()
        forwarder.close()
        server.end()
        await asyncio.gather(serving, *tasks, return_exceptions=True)


async def keep_running(name: str, part: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a part for ever: what it raises is logged, and it starts anew, as controllers do."""
    while True:
        try:
            await part()
            log.error("%s ended; it starts again", name)
        except Exception:
            log.exception("%s failed; it starts again", name)
        await asyncio.sleep(RESTART_SECONDS)


def _problem(task: asyncio.Task[Any]) -> BaseException | None:
    return None if task.cancelled() else task.exception()


def _server(app: ApiServer, authority: Authority, network: net.Network, folder: Path) -> Server:
    names = [network.api, "kubernetes", "kubernetes.default", "kubernetes.default.svc"]
    chain, key = authority.issue([*names, "kubernetes.default.svc.cluster.local"])
    (folder / "api.crt").write_bytes(chain)
    (folder / "api.key").write_bytes(key)
    config = uvicorn.Config(
        app,
        lifespan="off",
        log_level="warning",
        access_log=False,
        ssl_certfile=str(folder / "api.crt"),
        ssl_keyfile=str(folder / "api.key"),
        ssl_version=ssl.PROTOCOL_TLS_SERVER,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=1,
        h11_max_incomplete_event_size=1 << 20,
    )
    server = Server(config)
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign, assignment]
    return server


def _system_objects(api: Api, network: net.Network) -> None:
    """What every cluster has before anything is installed."""
    options = Options("embedded", "Ignore")
    namespaces = api.resource("", "namespaces")
    for name in ("default", "kube-system", "kube-public"):
        api.create(namespaces, "v1", "", {"metadata": {"name": name}}, options)
    ports = [{"name": "https", "port": 443, "targetPort": net.API_PORT}]
    service = {"metadata": {"name": "kubernetes"}, "spec": {"ports": ports}}
    api.create(api.resource("", "services"), "v1", "default", service, options)
    endpoints = {
        "metadata": {
            "name": "kubernetes",
            "labels": {"kubernetes.io/service-name": "kubernetes"},
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": [network.api], "conditions": {"ready": True}}],
        "ports": [{"name": "https", "port": net.API_PORT, "protocol": "TCP"}],
    }
    slices = api.resource("discovery.k8s.io", "endpointslices")
    api.create(slices, "v1", "default", endpoints, options)


def _deploy_platform(api: Api, authority: Authority, certificate: str) -> None:
    """Install what Helm charts and operators install elsewhere."""
    apply_all(api, render(PLATFORM), certificate)
    chain, key = authority.issue([f"*.{DOMAIN}", DOMAIN])
    pair = {"tls.crt": chain, "tls.key": key}
    secret = {
        "metadata": {"name": "default-gateway-tls"},
        "type": "kubernetes.io/tls",
        "data": {name: base64.b64encode(value).decode() for name, value in pair.items()},
    }
    secrets_ = api.resource("", "secrets")
    api.create(secrets_, "v1", "openshift-ingress", secret, Options("embedded"))


def apply_all(api: Api, objects: list[Object], certificate: str, manager: str = "embedded") -> None:
    """Server-side apply in the given order; raises ApiError at the first refusal."""
    for obj in objects:
        group, _, version = obj["apiVersion"].rpartition("/")
        resource = api.registry.by_kind(group, obj["kind"])
        if resource is None:
            raise ValueError(f"no matches for kind {obj['kind']} in version {obj['apiVersion']}")
        metadata = obj["metadata"]
        namespace = metadata.get("namespace", "default") if resource.namespaced else ""
        options = Options(manager, "Strict", force=True)
        api.patch(
            resource, version, namespace, metadata["name"], "application/apply-patch+yaml", obj,
            options,
        )  # fmt: skip
        if resource.id == ("", "namespaces"):
            furnish(api, metadata["name"], certificate)


def _write_access(state: State, server: str, token: str, ca: bytes, signing_key: bytes) -> None:
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "embedded",
        "clusters": [
            {
                "name": "embedded",
                "cluster": {
                    "server": server,
                    "certificate-authority-data": base64.b64encode(ca).decode(),
                },
            }
        ],
        "users": [{"name": ADMIN, "user": {"token": token}}],
        "contexts": [{"name": "embedded", "context": {"cluster": "embedded", "user": ADMIN}}],
    }
    state.ca.write_bytes(ca)
    for path, text in (
        (state.kubeconfig, yaml.safe_dump(config).encode()),
        (state.signing_key, signing_key),
    ):
        path.touch(mode=0o600)
        path.write_bytes(text)
