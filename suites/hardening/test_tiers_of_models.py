"""A model's annotation says which tiers may use it (odh-model-controller): it is what it says
now."""

from __future__ import annotations

import json
from functools import partial

from fixtures.evidence.requirements import requirement
from fixtures.kube import Kube
from fixtures.stack import TIER_PREFIX, Provider, Stack
from fixtures.stack.local_models import local_model
from fixtures.waiting import ENFORCED_SECONDS, until
from suites.mixed_providers.providers import LOCAL

TIERS = ("free", "premium", "enterprise")
ANNOTATION = "alpha.maas.opendatahub.io/tiers"
MODEL = ("serving.kserve.io/v1alpha1", "LLMInferenceService")
# What it says in turn: each tier comes and goes while another stays, and no tier is every tier.
NAMED: list[list[str] | None] = [
    ["free", "premium"], ["premium"], ["free", "enterprise"], [], ["enterprise"], None
]  # fmt: skip


def statuses(stack: Stack, model: Provider) -> dict[str, int]:
    """What a new user of each tier is told there: nobody remembers his rights."""
    users = {tier: stack.account_token(f"{TIER_PREFIX}{tier}") for tier in TIERS}
    return {tier: stack.models(model, user).status for tier, user in users.items()}


@requirement("HD-73")
def test_a_model_is_for_the_tiers_that_it_names_now(kube: Kube, stack: Stack) -> None:
    """Two tiers, one of them alone, another two, all, one, and none."""
    with local_model(kube, LOCAL.namespace) as model:
        for named in NAMED:
            said = None if named is None else json.dumps(named)
            kube.merge(*MODEL, LOCAL.namespace, model.name,
                       {"metadata": {"annotations": {ANNOTATION: said}}})  # fmt: skip
            may = (named or TIERS) if named is not None else ()
            expected = {tier: 200 if tier in may else 403 for tier in TIERS}
            until(f"{ANNOTATION}: {said} to let in those tiers alone",
                  partial(statuses, stack, model), partial(dict.__eq__, expected),
                  ENFORCED_SECONDS, every=1.0)  # fmt: skip
