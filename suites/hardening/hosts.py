"""Other ways to write a host name, and a stranger who asks under it for all that there is."""

from __future__ import annotations

import contextlib
import uuid
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx

from fixtures.clusters import Access
from fixtures.evidence import ID_HEADER
from fixtures.kube import Kube
from fixtures.stack import CHAT
from fixtures.stack.gateways import client, endpoint
from fixtures.stack.surface import Entrance
from suites.hardening.everywhere import QUESTION, SIDE_BY_SIDE

Spell = Callable[[str], str]
PLAIN: Spell = str.lower
# With a port, which is no part of a name, whatever it is (RFC 9110, section 7.2), or with the
# root's dot.
PORTS: dict[str, Spell] = {
    "443": lambda host: f"{host}:443",
    "another": lambda host: f"{host}:18443",
    "dot": lambda host: f"{host}.",
}
SPELLINGS: dict[str, Spell] = {
    "capitals": str.upper,
    "mixed": lambda host: "".join(c.upper() if at % 2 else c for at, c in enumerate(host)),
}
# Of maas-api, which takes the headers for the gateway's; and it lists nothing without a token.
FORGED = {
    "x-maas-username": "system:serviceaccount:conformance-nobody:else",
    "x-maas-group": '["system:authenticated", "tier-enterprise-users"]',
}
BAD_TOKEN = {"authorization": "Bearer of-nobody"}
Operation = tuple[str, str, dict[str, str], dict[str, Any] | None]
_LISTING: Operation = ("GET", "/v1/models", FORGED | BAD_TOKEN, None)
MAAS_API: list[Operation] = [_LISTING, ("POST", "/v1/tokens", FORGED, {"expiration": "10m"})]
MODELS: list[Operation] = [
    _LISTING,
    ("POST", CHAT, {}, QUESTION),
    ("POST", "/v1/completions", {}, QUESTION),
]
# Where the name is said: HTTP/1.1's Host or its absolute target (RFC 9112, section 3.2.2), or
# HTTP/2's :authority.
HOST, TARGET, AUTHORITY = "Host", "absolute target", ":authority"
WAYS = {"http": (HOST,), "https": (HOST, TARGET, AUTHORITY)}
REFUSED = {401, 403, 404, 421}  # 404: no route has such a name; 421: no listener has
_NO_ANSWER_IN_TIME = (500, "Internal Server Error.\n")  # of Authorino: the module's own refusal


@dataclass(frozen=True)
class Answer:
    """What the gateway answered at an entrance to the operation `asked`."""

    entrance: Entrance
    asked: str
    status: int
    text: str

    def __str__(self) -> str:
        return f"{self.entrance.route}: {self.asked} got {self.status}"

    @property
    def is_refusal(self) -> bool:
        return self.status in REFUSED or (self.status, self.text) == _NO_ANSWER_IN_TIME


def operations(entrance: Entrance) -> dict[tuple[str, str], Operation]:
    """What there is to ask for below the path that a rule matches, by method and whole path."""
    known = MAAS_API if entrance.is_maas_api else MODELS
    whole = {(one[0], entrance.base + one[1]): one for one in known}
    found = {at: one for at, one in whole.items() if at[1].startswith(entrance.path.rstrip("/"))}
    return found or {("GET", entrance.path): ("GET", entrance.path, {}, None)}


class Stranger:
    """Asks at every entrance for everything, by every way, without a good token; what backends
    receive of it has the id `id`."""

    def __init__(self, kube: Kube, access: Access, tried: Counter[str]) -> None:
        self._kube, self._access, self._tried = kube, access, tried
        self.id = f"conformance-{uuid.uuid4()}"

    def ask(self, entrances: list[Entrance], spell: Spell) -> list[Answer]:
        """With the host written so, and once each, side by side but for HTTP/2: httpcore's
        connections of it are not for several threads."""
        asked: dict[tuple[object, ...], Callable[[], Answer]] = {}
        with contextlib.ExitStack() as stack:
            clients: dict[tuple[object, ...], httpx.Client] = {}
            for one in entrances:
                target = endpoint(self._kube, self._access, *one.gateway, one.listener)
                for way in WAYS[target.scheme]:
                    at = (one.gateway, one.listener, way == AUTHORITY)
                    if at not in clients:
                        made = client(target, self._access, http2=way == AUTHORITY)
                        clients[at] = stack.enter_context(made)
                    for (method, path), (_, _, headers, body) in operations(one).items():
                        said = {**headers, ID_HEADER: self.id, "host": spell(one.host)}
                        asked.setdefault(
                            (at, way, one.host, method, path),
                            partial(_asked, clients[at], one, way, (method, path), said, body),
                        )
            alone = [[ask] for key, ask in asked.items() if key[1] != AUTHORITY]
            in_turn = [ask for key, ask in asked.items() if key[1] == AUTHORITY]
            with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
                found = pool.map(lambda some: [ask() for ask in some], [in_turn, *alone])
                answers = [one for some in found for one in some]
        self._tried.update(one.entrance.route for one in answers)
        return answers


def _asked(
    gateway: httpx.Client,
    entrance: Entrance,
    way: str,
    operation: tuple[str, str],
    headers: dict[str, str],
    body: dict[str, Any] | None,
) -> Answer:
    (method, path), host = operation, headers["host"]
    target = f"{gateway.base_url.scheme}://{host}{path}" if way == TARGET else path
    answer = gateway.request(
        method, path, headers=headers, json=body, extensions={"target": target.encode()}
    )
    asked = f"{method} {path} with {host} in its {way}"
    return Answer(entrance, asked, answer.status_code, answer.text)
