"""Objects of a namespace of a test's own that are called like those of others: of each destination,
Service, route and policy that a gateway knows by name."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

from fixtures.evidence import Exchange
from fixtures.stack import CHAT, Provider
from fixtures.stack.gateways import MAAS_GATEWAY
from fixtures.stack.surface import of_a_test
from manifests import Object
from suites.external_models.backends import BACKEND_API
from suites.hardening.own import (
    AUTH,
    MODEL,
    PORT,
    REQUESTS,
    ROUTE,
    TOKENS,
    Kind,
    OwnRoute,
    open_to_all,
)
from suites.hardening.test_keys_inside import EGRESS_GATEWAY

DESTINATION, SERVICE = (BACKEND_API, "XBackendDestination"), ("v1", "Service")
# Of requests, and of tokens: less than anybody has.
FEW = {"limits": {"few": {"rates": [{"limit": 1, "window": "10m"}]}}}


@dataclass(frozen=True)
class Namesakes:
    """They lead to a `recorder` of their own, below paths of their own, without a token."""

    own: OwnRoute
    recorder: Provider

    # -- objects ------------------------------------------------------------------------

    def make(self) -> None:
        """All of them; one where two of others have a name, in two namespaces."""
        for one in self._others(*DESTINATION):
            self._destination(one)
        for route in self._outer:
            for ref in references(route):
                self._service(ref)
            self._route(route, MAAS_GATEWAY)
        for route in self._inner:
            self._route(route, EGRESS_GATEWAY)
        self._policies()

    def remove(self) -> None:
        for kind in (AUTH, REQUESTS, TOKENS, ROUTE, DESTINATION, SERVICE):
            for one in self.own.kube.all(*kind, self.own.namespace):
                if one["metadata"]["name"] != self._service_name:
                    self.own.remove(kind, one["metadata"]["name"])

    @property
    def _service_name(self) -> str:
        """That by which the recorder's memory is read."""
        return self.recorder.service.partition(":")[0]

    def _others(self, api_version: str, kind: str) -> list[Object]:
        return [one for one in self.own.kube.all(api_version, kind) if not of_a_test(one)]

    @cached_property
    def _outer(self) -> list[Object]:
        return self._routes(MAAS_GATEWAY)

    @cached_property
    def _inner(self) -> list[Object]:
        return self._routes(EGRESS_GATEWAY)

    def _routes(self, gateway: tuple[str, str]) -> list[Object]:
        """Those that hang on a Gateway, and lead to a backend."""
        return [
            one
            for one in self._others(*ROUTE)
            if gateway in [
                (ref.get("namespace", one["metadata"]["namespace"]), ref["name"])
                for ref in one["spec"].get("parentRefs") or []
            ]
            and references(one)
        ]  # fmt: skip

    def _destination(self, first: Object) -> None:
        host = f"{self._service_name}.{self.own.namespace}.svc.cluster.local"
        ports = [
            {"number": one["number"], "protocol": "HTTP"}
            for one in first["spec"]["destination"]["ports"]
        ]
        destination = {"type": "Fqdn", "fqdn": {"hostname": host}, "ports": ports}
        self.own.apply(DESTINATION, {"destination": destination}, first["metadata"]["name"])

    def _service(self, ref: Object) -> None:
        """The ports of a destination are the recorder's; a Service's own lead there."""
        ports = [{"name": "http", "port": ref["port"], "targetPort": PORT}]
        selector = {"app": "own", "recorder": self._service_name}
        self.own.apply(SERVICE, {"selector": selector, "ports": ports}, ref["name"])

    def _route(self, first: Object, gateway: tuple[str, str]) -> None:
        """What is asked for below its path goes to the namesakes of the first one's backends."""
        namespace, name = gateway
        parent = {"namespace": namespace, "name": name}
        rewrite = {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}}
        path = {"type": "PathPrefix", "value": f"{self._path(first)}/"}
        ours = [{k: v for k, v in ref.items() if k != "namespace"} for ref in references(first)]
        rule = {
            "matches": [{"path": path}],
            "filters": [{"type": "URLRewrite", "urlRewrite": rewrite}],
            "backendRefs": ours[:1],
        }
        self.own.apply(ROUTE, {"parentRefs": [parent], "rules": [rule]}, first["metadata"]["name"])

    def _policies(self) -> None:
        """Nobody is asked for a token by an AuthPolicy of the first one's name, or of the route's
        where the first one is under the Gateway's; and of each limit one for the first route."""
        named = {
            one["spec"]["targetRef"]["name"]: one["metadata"]["name"]
            for one in self._others(*AUTH)
            if one["spec"]["targetRef"]["kind"] == ROUTE[1]
        }
        for route in self._outer:
            name = route["metadata"]["name"]
            self._policy(AUTH, named.get(name, name), name, open_to_all())
        for kind, path in ((REQUESTS, self.of_requests), (TOKENS, self.of_tokens)):
            for one in self._others(*kind)[:1]:
                self._policy(kind, one["metadata"]["name"], path.rpartition("/")[2], FEW)

    def _policy(self, kind: Kind, name: str, route: str, rules: Object) -> None:
        target = {"group": "gateway.networking.k8s.io", "kind": ROUTE[1], "name": route}
        self.own.apply(kind, {"targetRef": target, **rules}, name)

    # -- requests -----------------------------------------------------------------------

    def _path(self, first: Object) -> str:
        return f"/{self.own.namespace}/{first['metadata']['name']}"

    @property
    def of_requests(self) -> str:
        """The path of the one route that has a limit of requests."""
        return self._path(self._outer[0])

    @property
    def of_tokens(self) -> str:
        """The path of the one that has a limit of tokens."""
        return self._path(self._outer[1])

    def asked(self) -> dict[str, tuple[int, int]]:
        """By path (status, how often the recorder received it), of a listing, all side by side;
        beside the route that has a limit of requests."""

        def seen(one: tuple[bool, str]) -> tuple[int, int]:
            is_inner, path = one
            exchange = self._inside(path) if is_inner else self.own.stack.send("GET", path)
            return exchange.status, self.own.at(self.recorder, exchange)

        paths = [(False, f"{self._path(one)}/v1/models") for one in self._outer[1:]]
        paths += [(True, f"{self._path(one)}/v1/models") for one in self._inner]
        with ThreadPoolExecutor(len(paths)) as pool:
            return dict(zip((path for _, path in paths), pool.map(seen, paths), strict=True))

    def chat(self, path: str) -> Exchange:
        body = {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}]}
        return self.own.stack.send("POST", path + CHAT, None, body)

    def _inside(self, path: str) -> Exchange:
        """On a new connection: one that is kept may see old routes (HD-46)."""
        return self.own.stack.at_egress("GET", path, kept=False)


def references(route: Object) -> list[Object]:
    """A route's backends that namesakes are made of."""
    found = [ref for rule in route["spec"].get("rules") or []
             for ref in rule.get("backendRefs") or []]  # fmt: skip
    return [ref for ref in found if ref.get("kind", "Service") in ("Service", "Backend")]
