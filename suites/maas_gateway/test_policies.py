"""The policies of the MaaS gateway and of its routes, whoever made them."""

from functools import partial

import pytest

from fixtures.evidence import MAAS, expect
from fixtures.evidence.requirements import requirement
from fixtures.kube import Kube
from fixtures.objects import conditions
from fixtures.stack.gateways import MAAS_GATEWAY
from fixtures.stack.surface import entrances
from fixtures.waiting import ENFORCED_SECONDS, WaitTimeout, until

POLICIES = [
    ("kuadrant.io/v1", "AuthPolicy"),
    ("kuadrant.io/v1", "RateLimitPolicy"),
    ("kuadrant.io/v1alpha1", "TokenRateLimitPolicy"),
]
WANTED = {"Accepted": "True", "Enforced": "True"}


def shown(kube: Kube) -> dict[str, dict[str, str]]:
    """What the status of each says, but of those on routes that tests make beside this one."""
    routes = {one.route for one in entrances(kube) if one.gateway == MAAS_GATEWAY}
    targets = {("HTTPRoute", route) for route in routes} | {("Gateway", "/".join(MAAS_GATEWAY))}
    found = {}
    for version, kind in POLICIES:
        for policy in kube.all(version, kind):
            metadata, target = policy["metadata"], policy["spec"]["targetRef"]
            if (target["kind"], f"{metadata['namespace']}/{target['name']}") in targets:
                name = f"{kind} {metadata['namespace']}/{metadata['name']}"
                found[name] = conditions(policy.get("status", {}), *WANTED)
    return found


@requirement("MG-7")
@pytest.mark.at_rest
def test_every_policy_is_enforced(kube: Kube) -> None:
    """Accepted and Enforced, all at one time; for a moment one may not be, while routes come and
    go."""
    seen = {}
    try:
        seen = until("all policies to be enforced", partial(shown, kube),
                     lambda found: all(one == WANTED for one in found.values()),
                     ENFORCED_SECONDS)  # fmt: skip
    except WaitTimeout:
        others = {name: one for name, one in shown(kube).items() if one != WANTED}
        expect(not others, MAAS, f"{WANTED} of each policy", f"{others}")
    expect(len(seen) >= len(POLICIES), MAAS, "a policy of each kind", f"{sorted(seen)}")
