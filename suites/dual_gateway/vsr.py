"""The semantic router as a client of MaaS meets it, and the two models behind it."""

from dataclasses import dataclass
from typing import Any

from fixtures.evidence import Exchange
from fixtures.stack import CHAT, Identity, Provider, Stack, Wish

NAMESPACE = "vllm-semantic-router-system"
ROUTE, SERVICE, PORT = "vsr-interim-route", "semantic-router-kserve", 8801
VARIANT_HEADER = "x-conformance-variant"
MATHS, HELLO = "Solve the equation x + 2 = 5", "Hello"
# How vSR refuses what it does not route: Envoy's 503, and what newer routers answer themselves.
UNROUTED = (400, 404, 405, 503)


def _model(name: str) -> Provider:
    resource = name.lower()
    path, service = f"/{NAMESPACE}/{resource}", f"{resource}-predictor-stable:8000"
    return Provider(name, name, path, "", NAMESPACE, service)


MODEL_A, MODEL_B = _model("Model-A"), _model("Model-B")
MODELS = [MODEL_A, MODEL_B]


@dataclass(frozen=True)
class Vsr:
    """/v1/chat/* at the MaaS gateway; a `variant` is a second route to it, found by a header."""

    stack: Stack
    variant: str = ""

    def ask(
        self,
        user: Identity | None,
        prompt: str = HELLO,
        headers: dict[str, str] | None = None,
        recorder: Wish | None = None,
        tls: bool = True,
        **more: Any,
    ) -> Exchange:
        """A chat completion, the choice of the model left to the router; `more` goes into the
        body and may say otherwise, and `recorder` is what the recording model is to answer."""
        message = {"role": "user", "content": prompt}
        body = {"model": "auto", "messages": [message], "max_tokens": 10, **more}
        return self.send("POST", CHAT, user, body, headers, tls, recorder=recorder)

    def send(
        self,
        method: str,
        path: str,
        user: Identity | None,
        body: Any = None,
        headers: dict[str, str] | None = None,
        tls: bool = True,
        recorder: Wish | None = None,
    ) -> Exchange:
        """Any request, on the way of this variant."""
        chosen = {VARIANT_HEADER: self.variant} if self.variant else {}
        sent = {**chosen, **(headers or {})}
        return self.stack.send(method, path, user, body, sent, tls, recorder=recorder)


def served_by(exchange: Exchange) -> str:
    """The model whose record has the request; "" for none."""
    return exchange.records[0].backend if exchange.records else ""
