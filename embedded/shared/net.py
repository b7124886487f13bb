"""Addresses: a /16 of 127.0.0.0/8 for each cluster, and ports that need no root.

Linux binds any 127.x.y.z without set-up. Ports below 1024 need privileges, so every
listener of the cluster shifts them by 10000 (Envoy Gateway's convention), for everybody
alike: 80 becomes 10080, 443 becomes 10443. In a container of a real cluster, where the stand-ins
run too, nothing is shifted: its image says so with `$CLUSTER_PORTS`.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
from dataclasses import dataclass

from embedded.errors import EmbeddedError

DNS_PORT = 10053
API_PORT = 6443
FIRST, LAST = 16, 250


def unprivileged(port: int) -> int:
    """The port that really listens for `port`."""
    shifted = os.environ.get("CLUSTER_PORTS") != "real"
    return port + 10000 if port < 1024 and shifted else port


@dataclass(frozen=True)
class Network:
    """The addresses of one cluster: 127.<index>.0.0/16.

    `lock` keeps other clusters out, until the last process of this one has ended; `api_socket` and
    `dns_socket` are bound to the API's and the DNS server's address and port.
    """

    index: int
    lock: socket.socket
    api_socket: socket.socket
    dns_socket: socket.socket

    @property
    def api(self) -> str:
        return f"127.{self.index}.0.1"

    @property
    def dns(self) -> str:
        return f"127.{self.index}.0.10"

    def service(self, number: int) -> str:
        """The `number`-th ClusterIP, from 0; 16,000 of them."""
        return f"127.{self.index}.{1 + number // 250}.{1 + number % 250}"

    @property
    def services(self) -> tuple[ipaddress.IPv4Address, ipaddress.IPv4Address]:
        """The first ClusterIP and the last one."""
        return ipaddress.IPv4Address(self.service(0)), ipaddress.IPv4Address(self.service(15_999))

    def pod(self, number: int) -> str:
        """The `number`-th Pod address, from 0."""
        return f"127.{self.index}.{128 + number // 250 % 120}.{1 + number % 250}"


def claim(first: int = FIRST, last: int = LAST) -> Network:
    """Take the first /16 that no cluster has and whose API and DNS ports are free.

    It is free again when this process, and those forked from it, have ended. Raises
    EmbeddedError when there is none.
    """
    for index in range(first, last):
        with contextlib.ExitStack() as taken:
            try:
                lock = taken.enter_context(socket.socket())
                # Nobody listens: it is taken, that is all.
                lock.bind((f"127.{index}.0.2", API_PORT))
                api = socket.create_server((f"127.{index}.0.1", API_PORT), backlog=512)
                taken.enter_context(api)
                dns = taken.enter_context(socket.socket(type=socket.SOCK_DGRAM))
                dns.bind((f"127.{index}.0.10", DNS_PORT))
            except OSError:  # another cluster's, or somebody else's program
                continue
            taken.pop_all()
            return Network(index, lock, api, dns)
    raise EmbeddedError(
        f"no free network: all of 127.{first}.0.0/16 to 127.{last - 1}.0.0/16 are taken by running "
        f"clusters, or something listens on their ports {API_PORT} and {DNS_PORT}; end some with "
        "`python -m embedded down --name NAME`"
    )
