"""What whoever is inside the cluster reaches past the MaaS gateway, without a token.

Asked by a Pod in a namespace that is none of the stack's.
"""

import re
from urllib.parse import quote

from fixtures.evidence import BACKEND, expect
from fixtures.evidence.requirements import requirement
from fixtures.evidence.verdicts import CLOSED, PRESENT, Decision
from fixtures.found import only, parsed, parsed_yaml, parts
from fixtures.kube import Kube
from fixtures.objects import existing
from fixtures.stack import CHAT, TIER_PREFIX, USERS, Identity, Stack
from fixtures.stack.pods import Inside, ask_from_inside, service_url
from manifests import Object
from suites.mixed_providers.providers import LOCAL

VICTIM, NAMED = (
    "system:serviceaccount:conformance-somebody:else",
    "system-serviceaccount-conformance-somebody-else-",
)
REFUSED = {0, 401, 403}  # 0: no connection at all, as a NetworkPolicy has it
LIMITS = ("kuadrant-system", "limitador-limits-config-limitador")
LIMITADOR = {"app": "limitador"}


FREE_REQUESTS = 5


def account_of(user: Identity) -> str:
    """What budgets are kept by."""
    return user.username.rpartition(":")[2]


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


def limits(kube: Kube) -> list[Object]:
    """Those in Limitador's file."""
    config = existing(kube, "v1", "ConfigMap", *LIMITS)
    return [
        one for text in config["data"].values() for one in parsed_yaml(text, "the limits") or []
    ]


def servers_of(kube: Kube) -> list[str]:
    """The HTTP ports of Limitador's Pods."""
    pods = kube.all("v1", "Pod", LIMITS[0], LIMITADOR)
    return [f"http://{pod['status']['podIP']}:8080" for pod in pods]


@requirement("HD-30")
def test_limitador_shows_its_counters(
    kube: Kube, stack: Stack, alice: Identity, decide: Decision
) -> None:
    """Who has used what, in the counters of each namespace of its limits."""
    stack.chat(LOCAL, alice).expect_status(200)
    names = sorted({limit["namespace"] for limit in limits(kube)})
    servers = servers_of(kube)
    urls = [f"{one}/counters/{quote(name, safe='')}" for one in servers for name in names]
    assert urls, f"no Pod or no limits of Limitador: {len(servers)} Pods, {len(names)} namespaces"
    asked = [Inside("GET", f"{servers[0]}/status"), *(Inside("GET", url) for url in urls)]
    (alive, _), *answers = ask_from_inside(kube, USERS, asked)
    account = account_of(alice)
    shown = any(status == 200 and account in text for status, text in answers)
    # Closed is what does not answer to anybody there, or asks who he is; not what is broken.
    status = max(status for status, _ in answers)
    works = alive in REFUSED | {200} and (status > 0 or alive == 0)
    observed = f"/status {alive}, /counters {status}"
    expect(works, BACKEND, "a Limitador that works", observed)
    decide(decided(status, shown))


_KEY = re.compile(r"""descriptors\[0\]\["(.+?)"\]""")


def of_free_users(kube: Kube, route: str) -> tuple[str, str]:
    """(the limit of a free user's requests on a route, by what it knows him), as Kuadrant has them
    in Limitador's file."""
    found = [
        (key, variable)
        for one in limits(kube)
        if (one["namespace"], one["max_value"]) == (route, FREE_REQUESTS)
        for key in _KEY.findall(only(one["conditions"], "condition"))
        for variable in _KEY.findall(only(one["variables"], "variable"))
    ]
    return only(found, f"limit of {FREE_REQUESTS} requests on {route}")


@requirement("HD-81")
def test_limitador_counts_for_whoever_reaches_it(
    kube: Kube, stack: Stack, alice: Identity, decide: Decision
) -> None:
    """A Pod spends one user's requests by /report and another's by /check_and_report, and asks by
    /check whose are spent; a third user, of whom it says nothing, is served."""
    by_report, by_both = (stack.account_token(f"{TIER_PREFIX}free") for _ in range(2))
    route = f"llm/{LOCAL.path.rpartition('/')[2]}-kserve-route"
    limit, name = of_free_users(kube, route)
    server = only(servers_of(kube), "Pod of Limitador")

    def call(path: str, user: Identity, delta: int) -> Inside:
        values = {limit: "1", name: account_of(user)}
        body = {"namespace": route, "values": values, "delta": delta}
        return Inside("POST", f"{server}/{path}", {}, body)

    asked = {
        "check": call("check", by_report, 1),
        "report": call("report", by_report, FREE_REQUESTS),
        "check_and_report": call("check_and_report", by_both, FREE_REQUESTS),
        "check again": call("check", by_report, 1),
    }
    answers = ask_from_inside(kube, USERS, list(asked.values()))
    told = {name: status for name, (status, _) in zip(asked, answers, strict=True)}
    stack.models(LOCAL, alice).expect_status(200)
    after = [stack.models(LOCAL, one).status for one in (by_report, by_both)]
    if set(told.values()) <= REFUSED:
        expect(after == [200, 200], BACKEND, "nothing spent by who was refused", f"{after}")
        for _ in range(FREE_REQUESTS - 1):  # a Limitador that is gone refuses the Pod too
            stack.models(LOCAL, alice).expect_status(200)
        stack.models(LOCAL, alice).expect_refusal(429)
        decide(CLOSED)
    else:
        taken = [told["report"] == 200, told["check_and_report"] == 200]
        spent, observed = [status == 429 for status in after], f"{told} inside, then {after}"
        expect(spent == taken, BACKEND, "429 for whom it was spent, 200 for others", observed)
        tells = told["check"] == 200 and told["check again"] == (429 if taken[0] else 200)
        decide(PRESENT if any(taken) or tells else f"{told}")
