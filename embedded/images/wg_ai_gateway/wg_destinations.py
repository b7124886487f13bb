"""backendRefs → Envoy clusters, as wg-ai-gateway makes them.

Upstream: kubernetes-sigs/wg-ai-gateway `pkg/translator/envoy/httproute.go` (which references
resolve, and the reasons), `listener.go` (clusters, TLS, endpoints). As there:

- the kinds are `Backend` and `Service`, of whatever group; `XBackendDestination`, which the CRD is
  called, is none of them; no ReferenceGrant is asked for;
- a Service, and an XBackendDestination of type Service, lead to endpoints that are looked up under
  a name which nobody has (`synsvc-<name>`, and the destination's own): 503, though all resolved;
- HTTP/1.1 is spoken with everybody, `protocol: HTTP2` too;
- a server's certificate is looked at only where a destination says by what.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

from embedded.gatewayapi import envoy
from embedded.gatewayapi.controller import SERVICES, Problem
from embedded.gatewayapi.routes import Entry
from embedded.images.wg_ai_gateway.wg_routes import MISSING, Backend, envoy_routes, redirects
from embedded.shared.kube import Cache
from embedded.shared.net import unprivileged

BACKENDS = "ainetworking.prototype.x-k8s.io/v0alpha0/xbackenddestinations"
SLICES, SECRETS = "discovery.k8s.io/v1/endpointslices", "v1/secrets"
CONNECT_TIMEOUT = "5s"
_ALPN = {"HTTP": ["http/1.1"], "HTTP2": ["h2"]}
Object = dict[str, Any]


class TranslationError(Exception):
    """What makes upstream give up the whole Gateway, not one rule."""


@dataclass(frozen=True)
class _Target:
    """What a reference names: `ports` are (as references say it, as its clusters have it)."""

    namespace: str
    name: str  # in the names of its clusters, and of EndpointSlices that are looked for
    host: str
    by_dns: bool
    ports: list[tuple[int, Object]]

    def cluster(self, number: int) -> str:
        return f"{self.namespace}-{self.name}-{number}"


class Destinations:
    """Translates rules (`controller.Translator`) and remembers the clusters they need.

    A backend that is missing takes all of its rule with it, as upstream, and one whose Secret is
    missing all of its Gateway; with `shares` either takes its share of the requests alone, as
    Gateway API has it.
    """

    def __init__(self, cache: Cache, shares: bool = False) -> None:
        self._cache, self._shares = cache, shares
        self._clusters: dict[str, Object] = {}

    def clusters(self) -> list[Object]:
        return list(self._clusters.values())

    def rule(self, route: Object, index: int, name: str) -> tuple[list[Entry], list[Problem]]:
        """As `embedded.gatewayapi.controller.Translator` says."""
        rule = route["spec"]["rules"][index]
        if redirects(rule):
            return envoy_routes(route, index, name, []), []
        backends, problems = self.resolve(rule, route["metadata"]["namespace"])
        return envoy_routes(route, index, name, backends), problems

    def resolve(self, rule: Object, namespace: str) -> tuple[list[Backend], list[Problem]]:
        """Where a rule of a route in `namespace` leads, and what did not resolve; without
        backends it answers 500."""
        found: list[Backend] = []
        problems: list[Problem] = []
        clusters: dict[str, Object] = {}
        for ref in rule.get("backendRefs") or []:
            backend = self._backend(ref, namespace, clusters)
            if not isinstance(backend, Backend):
                problems.append(backend)
                backend = Backend(MISSING, ref.get("weight", 1))
            found += [backend] if backend.weight else []
        if not found:
            problems.append(("UnsupportedValue", "no backend has a weight above 0"))
        if problems and not self._shares:
            return [], problems
        self._clusters |= clusters
        return found, problems

    def _backend(
        self, ref: Object, namespace: str, clusters: dict[str, Object]
    ) -> Backend | Problem:
        """What one reference leads to; the clusters of all ports go to `clusters`."""
        target = self._target(ref, namespace)
        if not isinstance(target, _Target):
            return target
        try:
            made = {target.cluster(port["number"]): self._cluster(target, port)
                    for _, port in target.ports}  # fmt: skip
        except TranslationError as error:
            if not self._shares:
                raise
            return "InvalidTLS", str(error)
        clusters |= made
        weight, host = ref.get("weight", 1), self._host(target)
        if weight == 0:
            return Backend("", 0)
        for number, port in target.ports:
            if number == ref.get("port"):
                return Backend(target.cluster(port["number"]), weight, host)
        return "ResolvedRefs", f"{target.namespace}/{ref['name']} has no port {ref.get('port')}"

    def _target(self, ref: Object, own: str) -> _Target | Problem:
        name, kind, namespace = ref["name"], ref.get("kind", "Service"), ref.get("namespace", own)
        if kind == "Backend":
            backend = self._cache.get(BACKENDS, namespace, name)
            found = self._destination(backend) if backend else None
        elif kind == "Service":
            service = self._cache.get(SERVICES, namespace, name)
            found = _of_service(service) if service else None
        else:
            return "UnsupportedValue", f"backends of kind {kind} are not supported"
        return found or ("BackendNotFound", f"{kind} {namespace}/{name} is not there")

    def _destination(self, backend: Object) -> _Target | Problem:
        metadata, destination = backend["metadata"], backend["spec"]["destination"]
        namespace, by_dns = metadata["namespace"], destination["type"] == "Fqdn"
        if by_dns:
            host = (destination.get("fqdn") or {}).get("hostname", "")
        else:  # the namespace that it names is not looked at
            service = (destination.get("service") or {}).get("name", "")
            host = f"{service}.{namespace}.svc.cluster.local"
        ports = [(port["number"], port) for port in destination["ports"]]
        return _Target(namespace, metadata["name"], host, by_dns, ports)

    def _host(self, target: _Target) -> str:
        """The Host that requests get: the name of what DNS finds, "" for the client's own."""
        return target.host if target.by_dns else ""

    # -- clusters -----------------------------------------------------------------------

    def _cluster(self, target: _Target, port: Object) -> Object:
        number = port["number"]
        name, more = target.cluster(number), self._tls(target, port)
        more["connect_timeout"] = CONNECT_TIMEOUT
        if target.by_dns:
            return envoy.dns_cluster(name, target.host, number, **more)
        return envoy.static_cluster(name, self._endpoints(target, number), **more)

    def _endpoints(self, target: _Target, number: int) -> list[tuple[str, int]]:
        """What is ready under the name that upstream looks for, at the port's own number."""
        return sorted(
            (address, unprivileged(number))
            for found in self._cache.list(SLICES, target.namespace)
            if (found["metadata"].get("labels") or {}).get("kubernetes.io/service-name")
            == target.name
            for endpoint in found.get("endpoints") or []
            if (endpoint.get("conditions") or {}).get("ready") is not False
            for address in endpoint["addresses"]
        )

    def _tls(self, target: _Target, port: Object) -> Object:
        tls = port.get("tls") or {"mode": "None"}
        if tls["mode"] == "None":
            return {}
        common: Object = {}
        if alpn := _ALPN.get(port["protocol"]):
            common["alpn_protocols"] = alpn
        checks: Object = {}
        if tls.get("insecureSkipVerify"):
            checks["trust_chain_verification"] = "ACCEPT_UNTRUSTED"
        if refs := tls.get("caBundleRef"):
            authorities = [self._secret(ref, target.namespace, "ca.crt", "tls.crt") for ref in refs]
            checks["trusted_ca"] = {"inline_string": "".join(authorities)}
        if names := tls.get("subjectAltNames"):
            checks["match_typed_subject_alt_names"] = [
                {"san_type": "DNS", "matcher": {"exact": name}} for name in names
            ]
        if checks:
            common["validation_context"] = checks
        ref = tls.get("clientCertificateRef")
        if tls["mode"] == "Mutual" and ref:
            chain = self._secret(ref, target.namespace, "tls.crt")
            key = self._secret(ref, target.namespace, "tls.key")
            pair = {"certificate_chain": {"inline_string": chain},
                    "private_key": {"inline_string": key}}  # fmt: skip
            common["tls_certificates"] = [pair]
        return envoy.upstream_tls(tls.get("sni") or target.host, common)

    def _secret(self, ref: Object, own: str, *keys: str) -> str:
        """The text under the first of these keys; whatever kind the reference names, a Secret."""
        namespace, name = ref.get("namespace") or own, ref["name"]
        secret = self._cache.get(SECRETS, namespace, name)
        if secret is None:
            raise TranslationError(f"Secret {namespace}/{name} is not there")
        data = secret.get("data") or {}
        for key in keys:
            if key in data:
                return base64.b64decode(data[key]).decode()
        raise TranslationError(f"Secret {namespace}/{name} has no {' or '.join(keys)}")


def _of_service(service: Object) -> _Target:
    """Its named target ports are passed over."""
    metadata = service["metadata"]
    ports = [
        (port["port"], {"number": number, "protocol": "TCP"})
        for port in service["spec"].get("ports") or []
        if isinstance(number := port.get("targetPort", port["port"]), int)
    ]
    host = f"{metadata['name']}.{metadata['namespace']}.svc.cluster.local"
    return _Target(metadata["namespace"], f"synsvc-{metadata['name']}", host, False, ports)
