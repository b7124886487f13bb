"""What whoever is inside the cluster reaches past the MaaS gateway, without a token.

Asked by a Pod in a namespace that is none of the stack's.
"""

from urllib.parse import quote

from fixtures.evidence import BACKEND, expect
from fixtures.evidence.requirements import requirement
from fixtures.evidence.verdicts import CLOSED, PRESENT, Decision
from fixtures.found import only, parsed, parsed_yaml, parts
from fixtures.kube import Kube
from fixtures.objects import existing
from fixtures.stack import CHAT, USERS, Identity, Stack
from fixtures.stack.pods import Inside, ask_from_inside, service_url
from suites.mixed_providers.providers import LOCAL

VICTIM, NAMED = (
    "system:serviceaccount:conformance-somebody:else",
    "system-serviceaccount-conformance-somebody-else-",
)
REFUSED = {0, 401, 403}  # 0: no connection at all, as a NetworkPolicy has it
LIMITS = ("kuadrant-system", "limitador-limits-config-limitador")
LIMITADOR = {"app": "limitador"}


def question(model: str) -> dict[str, object]:
    return {"model": model, "messages": [{"role": "user", "content": "Hello"}]}


def decided(status: int, holds: bool) -> str:
    """Of a gap: it is there when 2xx says what it should not, and closed when it is refused."""
    if status in REFUSED:
        return CLOSED
    return PRESENT if holds else f"status {status}"


@requirement("HD-27")
def test_maas_api_believes_whoever_reaches_it(kube: Kube, stack: Stack, decide: Decision) -> None:
    """At the gateway the same headers without a token get nobody anything, and a user his token."""
    stack.mint(stack.cluster_identity()).expect_status(201)
    headers = {"X-MaaS-Username": VICTIM, "X-MaaS-Group": '["system:authenticated"]'}
    body = {"expiration": "10m"}
    outside = stack.send("POST", "/maas-api/v1/tokens", None, body, headers)
    outside.expect_refusal(401)
    url = service_url(kube, "opendatahub", "maas-api", 8080)
    asked = Inside("POST", f"{url}/v1/tokens", headers, body)
    status, text = only(ask_from_inside(kube, USERS, [asked]), "answer")
    got = status == 201 and stack.account_of(parsed(text, "the token")["token"])[1].startswith(
        NAMED
    )
    decide(decided(status, bool(got)))


@requirement("HD-29")
def test_a_models_service_asks_nobody(
    kube: Kube, stack: Stack, alice: Identity, decide: Decision
) -> None:
    """What is 401 without a token at the gateway is answered at the model's own Service."""
    stack.chat(LOCAL, alice).expect_status(200)
    stack.chat(LOCAL).expect_refusal(401)
    scheme, service, port = parts(LOCAL.service, ":", 3, "a Service over TLS")
    url = service_url(kube, LOCAL.namespace, service, int(port), scheme) + CHAT
    asked = Inside("POST", url, {}, question(LOCAL.model))
    status, text = only(ask_from_inside(kube, USERS, [asked]), "answer")
    answered = status == 200 and parsed(text, "the answer")["model"] == LOCAL.model
    decide(decided(status, answered))


@requirement("HD-30")
def test_limitador_shows_its_counters(
    kube: Kube, stack: Stack, alice: Identity, decide: Decision
) -> None:
    """Who has used what, in the counters of each namespace of its limits."""
    stack.chat(LOCAL, alice).expect_status(200)
    config = existing(kube, "v1", "ConfigMap", *LIMITS)
    limits = [
        one for text in config["data"].values() for one in parsed_yaml(text, "the limits") or []
    ]
    names = sorted({limit["namespace"] for limit in limits})
    pods = kube.all("v1", "Pod", LIMITS[0], LIMITADOR)
    servers = [f"http://{pod['status']['podIP']}:8080" for pod in pods]
    urls = [f"{one}/counters/{quote(name, safe='')}" for one in servers for name in names]
    assert urls, f"no Pod or no limits of Limitador: {len(pods)} Pods, {len(names)} namespaces"
    asked = [Inside("GET", f"{servers[0]}/status"), *(Inside("GET", url) for url in urls)]
    (alive, _), *answers = ask_from_inside(kube, USERS, asked)
    account = alice.username.rpartition(":")[2]
    shown = any(status == 200 and account in text for status, text in answers)
    # Closed is what does not answer to anybody there, or asks who he is; not what is broken.
    status = max(status for status, _ in answers)
    works = alive in REFUSED | {200} and (status > 0 or alive == 0)
    observed = f"/status {alive}, /counters {status}"
    expect(works, BACKEND, "a Limitador that works", observed)
    decide(decided(status, shown))
