"""Cluster DNS, and the resolver for stand-ins.

Serves A records of Services (`<service>.<namespace>.svc.cluster.local`, headless ones by
their endpoints) and of names that a Service is annotated with
(`external-dns.alpha.kubernetes.io/hostname`), and SRV records `_<port>._tcp.<name>` that
tell the port which really listens (see `embedded.shared.net`).
Source: kubernetes/dns `docs/specification.md`. Any other name is NXDOMAIN: nothing here
leaves the machine.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from typing import Any, cast

from dnslib import QTYPE, RCODE, RR, SRV, A, DNSError, DNSRecord

from embedded.apiserver.api import Api
from embedded.shared.net import DNS_PORT, unprivileged

Object = dict[str, Any]
HOSTNAME = "external-dns.alpha.kubernetes.io/hostname"
ZONE = "svc.cluster.local"
log = logging.getLogger("embedded.node")


class DnsServer(asyncio.DatagramProtocol):
    """Answers from the stored Services."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._transport: asyncio.DatagramTransport | None = None

    async def listen(self, sock: socket.socket) -> None:
        """Answer at a bound socket."""
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: self, sock=sock)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        try:
            reply = self._answer(DNSRecord.parse(data))
        except (DNSError, ValueError, KeyError) as error:
            log.warning("a query that cannot be answered: %s", error)
            return
        if self._transport:
            self._transport.sendto(reply.pack(), addr)

    def _answer(self, query: DNSRecord) -> DNSRecord:
        reply = query.reply()
        name = str(query.q.qname).rstrip(".").lower()
        port, _, host = name.partition("._tcp.")
        wanted = host or name
        addresses = self._addresses(wanted)
        if not addresses:
            reply.header.rcode = RCODE.NXDOMAIN
        elif host and query.q.qtype == QTYPE.SRV:
            number = unprivileged(int(port.lstrip("_")))
            answer = SRV(priority=0, weight=0, port=number, target=wanted)
            reply.add_answer(RR(name, QTYPE.SRV, rdata=answer, ttl=1))
        elif query.q.qtype == QTYPE.A:
            for address in addresses:
                reply.add_answer(RR(name, QTYPE.A, rdata=A(address), ttl=1))
        return reply

    def _addresses(self, name: str) -> list[str]:
        for suffix in (f".{ZONE}", ".svc"):
            if name.endswith(suffix):
                parts = name.removesuffix(suffix).split(".")
                if len(parts) == 2:
                    return self._service(parts[1], parts[0])
        for service in self._api.store.objects(("", "services")):
            names = service["metadata"].get("annotations", {}).get(HOSTNAME, "").split(",")
            if name in names:
                return [service["spec"]["clusterIP"]]
        return []

    def _service(self, namespace: str, name: str) -> list[str]:
        service = self._api.find("", "services", namespace, name)
        if service is None:
            return []
        address = service["spec"].get("clusterIP", "")
        if address and address != "None":
            return [address]
        return [
            found
            for slice_ in self._api.store.objects(("discovery.k8s.io", "endpointslices"), namespace)
            if slice_["metadata"].get("labels", {}).get("kubernetes.io/service-name") == name
            for endpoint in slice_.get("endpoints") or []
            if (endpoint.get("conditions") or {}).get("ready") is not False
            for found in endpoint["addresses"]
        ]


class UnknownHost(OSError):
    """A name that the cluster does not know."""


def resolve(host: str, port: int) -> tuple[str, int]:
    """(address, port that really listens), for code in Pods; raises UnknownHost.

    Asks the server in `$CLUSTER_DNS`, or the system's resolver without one, as in a container of
    a real cluster; an address is returned as it is.
    """
    if host.replace(".", "").isdigit():
        return host, port
    if "CLUSTER_DNS" not in os.environ:
        try:
            return socket.gethostbyname(host), port
        except socket.gaierror as error:
            raise UnknownHost(f"lookup {host}: {error.strerror}") from error
    address = _ask(host, "A")
    if not address:
        raise UnknownHost(f"lookup {host}: no such host")
    found = _ask(f"_{port}._tcp.{host}", "SRV")
    return str(address[0]), int(found[0].port) if found else port


def _ask(name: str, kind: str) -> list[Any]:
    server = os.environ["CLUSTER_DNS"]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(2)
        sock.sendto(DNSRecord.question(name, kind).pack(), (server, DNS_PORT))
        reply = DNSRecord.parse(sock.recv(4096))
    return [rr.rdata for rr in reply.rr if QTYPE[rr.rtype] == kind]
