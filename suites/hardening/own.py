"""A route of a test's own on the MaaS gateway, for what no shared one could bear: below a path, in
a namespace and to recorders of its own, under policies of its own."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx

from fixtures.clusters import Access
from fixtures.evidence import Exchange
from fixtures.found import only
from fixtures.kube import Kube
from fixtures.objects import conditions, existing, parent_of
from fixtures.stack import AUDIENCE, CHAT, Identity, Provider, Stack, Wish
from fixtures.stack.gateways import MAAS_GATEWAY, client, endpoint
from fixtures.stack.pods import IMAGE, RESTRICTED
from fixtures.waiting import ENFORCED_SECONDS, IN_A_ROW, until
from manifests import FOLDER, Object, render

Kind = tuple[str, str]
_GROUP = "gateway.networking.k8s.io"
ROUTE, GRANT = (f"{_GROUP}/v1", "HTTPRoute"), (f"{_GROUP}/v1beta1", "ReferenceGrant")
GATEWAY = (f"{_GROUP}/v1", "Gateway")
AUTH = ("kuadrant.io/v1", "AuthPolicy")
REQUESTS = ("kuadrant.io/v1", "RateLimitPolicy")
TOKENS = ("kuadrant.io/v1alpha1", "TokenRateLimitPolicy")
NAME, MODEL, PORT = "own", "own-model", 8000
USER_HEADER = "x-own-user"  # says who asks, where no token is asked for
KEY_HEADER = "X-Provider-Api-Key"


@dataclass(frozen=True)
class OwnRoute:
    """HTTPRoute `own` in `namespace`, and what belongs to it; `neighbour` is another namespace.
    `gateway` asks a Gateway of its own, if it has one, whose the policies are then."""

    kube: Kube
    stack: Stack
    namespace: str
    gateway: httpx.Client | None = None

    @property
    def neighbour(self) -> str:
        return f"{self.namespace}-neighbour"

    @property
    def path(self) -> str:
        return f"/{self.namespace}/{NAME}"

    # -- objects ------------------------------------------------------------------------

    def recorder(self, name: str, namespace: str = "") -> Provider:
        """A recording provider and its Service, ready; not before its probe a second later does
        the cluster see that it is so no more."""
        namespace = namespace or self.namespace
        labels = {"app": NAME, "recorder": name}
        self._program(namespace)
        container = {
            "name": "recorder",
            "image": IMAGE,
            "securityContext": RESTRICTED,
            "command": ["python", "/opt/provider/provider.py"],
            "args": ["--host", "$(POD_IP)", "--model", MODEL],
            "env": [{"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
            "ports": [{"name": "http", "containerPort": PORT}],
            "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"},
                               "periodSeconds": 1, "failureThreshold": 1},
            "volumeMounts": [{"name": "provider", "mountPath": "/opt/provider"}],
        }  # fmt: skip
        volume = {"name": "provider", "configMap": {"name": "recording-provider"}}
        template = {
            "metadata": {"labels": labels},
            "spec": {"containers": [container], "volumes": [volume],
                     "terminationGracePeriodSeconds": 1},
        }  # fmt: skip
        spec = {"selector": {"matchLabels": labels}, "template": template}
        self.service(name, labels, namespace)
        self.kube.wait_done([self.apply(("apps/v1", "Deployment"), spec, name, namespace)])
        return Provider(f"{namespace}/{name}", MODEL, self.path, "", namespace, f"{name}:{PORT}")

    def service(self, name: str, selector: dict[str, str], namespace: str = "") -> None:
        ports = [{"name": "http", "port": PORT, "targetPort": PORT}]
        self.apply(("v1", "Service"), {"selector": selector, "ports": ports}, name, namespace)

    def route(self, *rules: Object, namespace: str = "") -> None:
        """The HTTPRoute with these rules and no others."""
        home, name = (self.namespace, NAME) if self.gateway else MAAS_GATEWAY
        parent = {"name": name, "namespace": home}
        self.apply(ROUTE, {"parentRefs": [parent], "rules": list(rules)}, namespace=namespace)

    def rule(self, backend: str, below: str = "", namespace: str = "") -> Object:
        """What is asked for below a path goes to a Service, without the path."""
        rewrite = {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}}
        elsewhere = {"namespace": namespace} if namespace else {}
        return {
            "matches": [{"path": {"type": "PathPrefix", "value": self.path + below}}],
            "filters": [{"type": "URLRewrite", "urlRewrite": rewrite}],
            "backendRefs": [{"name": backend, "port": PORT, **elsewhere}],
        }

    def policy(self, kind: Kind, rules: Object, namespace: str = "") -> None:
        """A policy of the route's own, or of its Gateway's, as it is now."""
        target = {"group": _GROUP, "kind": (GATEWAY if self.gateway else ROUTE)[1], "name": NAME}
        self.apply(kind, {"targetRef": target, **rules}, namespace=namespace)

    def apply(self, kind: Kind, spec: Object, name: str = NAME, namespace: str = "") -> Object:
        metadata = {"name": name, "namespace": namespace or self.namespace}
        whole = {"apiVersion": kind[0], "kind": kind[1], "metadata": metadata, "spec": spec}
        return self.kube.apply(whole)

    def remove(self, kind: Kind, name: str = NAME, namespace: str = "") -> None:
        self.kube.delete(*kind, namespace or self.namespace, name)

    def resolved(self) -> str:
        """The gateway's controller's word: do the references of the route resolve?"""
        route = existing(self.kube, *ROUTE, self.namespace, NAME)
        return conditions(parent_of(self.kube, route), "ResolvedRefs")["ResolvedRefs"]

    def _program(self, namespace: str) -> None:
        """What recorders run."""
        self.kube.namespace(namespace)
        program = only(render(FOLDER / "recording-provider" / "base"), "ConfigMap")
        self.kube.apply({**program, "metadata": {**program["metadata"], "namespace": namespace}})

    # -- requests -----------------------------------------------------------------------

    def models(self, below: str = "", user: Identity | None = None) -> Exchange:
        """A listing; `expect…backend` and `records` know nothing of the route's recorders."""
        return self.stack.send("GET", f"{self.path}{below}/v1/models", user, at=self.gateway)

    def chat(self, user: str, wish: Wish | None = None) -> Exchange:
        """A chat by whom no token is asked of, and who says who he is."""
        body: dict[str, Any] = {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}]}
        headers = {USER_HEADER: user}
        return self.stack.send(
            "POST", self.path + CHAT, None, body, headers, recorder=wish, at=self.gateway
        )

    def until_answered(self, status: int, below: str = "", user: Identity | None = None) -> None:
        """Until a listing has this status, several times in a row; a Gateway that is being made
        takes no connections yet."""

        def seen() -> int | str:
            try:
                return self.models(below, user).status
            except httpx.TransportError as error:
                return f"no answer: {error}"

        until(
            f"{status} of {self.path}{below}",
            seen,
            lambda seen: seen == status,
            ENFORCED_SECONDS,
            IN_A_ROW,
        )

    def at(self, recorder: Provider, exchange: Exchange) -> int:
        """How often a recorder received a request."""
        return len(self.stack.records_of(recorder, exchange.id))


def open_to_all() -> Object:
    """Rules of an AuthPolicy that asks nobody who he is, and knows him by what he says, so that the
    gateway's own limits are nobody's."""
    properties = {
        "userid": {"expression": f'request.headers["{USER_HEADER}"]'},
        "tier": {"expression": "'own'"},
    }
    filters = {"identity": {"json": {"properties": properties}}}
    return {
        "rules": {
            "authentication": {"anybody": {"anonymous": {}}},
            "response": {"success": {"filters": filters}},
        }
    }


def for_accounts(
    audience: str = AUDIENCE, predicate: str = "", headers: dict[str, str] | None = None
) -> Object:
    """Rules of an AuthPolicy that asks for a token for an audience and for a predicate, and lets
    the backend have headers."""
    properties = {
        "userid": {"expression": "auth.identity.user.username"},
        "tier": {"expression": "'own'"},
    }
    said = {
        name: {"plain": {"expression": f"'{value}'"}} for name, value in (headers or {}).items()
    }
    patterns = {"patternMatching": {"patterns": [{"predicate": predicate}]}}
    return {
        "rules": {
            "authentication": {"accounts": {"kubernetesTokenReview": {"audiences": [audience]}}},
            **({"authorization": {"chosen": patterns}} if predicate else {}),
            "response": {
                "success": {
                    "filters": {"identity": {"json": {"properties": properties}}},
                    **({"headers": said} if said else {}),
                }
            },
        }
    }


@contextlib.contextmanager
def own_route(kube: Kube, stack: Stack) -> Iterator[OwnRoute]:
    """A namespace for one, which ends with all that is in it, and its neighbour's."""
    made = OwnRoute(kube, stack, f"conformance-{uuid.uuid4().hex[:8]}")
    kube.namespace(made.namespace)
    try:
        yield made
    finally:
        for name in (made.namespace, made.neighbour):
            kube.delete("v1", "Namespace", "", name)


@contextlib.contextmanager
def own_gateway(kube: Kube, access: Access, stack: Stack) -> Iterator[OwnRoute]:
    """The same, on a Gateway of its own that has one listener."""
    with own_route(kube, stack) as made:
        listeners = [{"name": "http", "port": 80, "protocol": "HTTP"}]
        spec = {"gatewayClassName": "openshift-default", "listeners": listeners}
        kube.wait_done([made.apply(GATEWAY, spec)])
        target = endpoint(kube, access, made.namespace, NAME, "http")
        with client(target, access) as gateway:
            yield OwnRoute(kube, stack, made.namespace, gateway)
