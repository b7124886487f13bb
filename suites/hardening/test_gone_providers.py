"""Each provider that is gone, and back again, in a cluster that is ruined by that."""

import pytest

from fixtures.evidence.requirements import requirement
from fixtures.stack import Stack
from suites.hardening.test_failures import scaled, until_answered, user_of
from suites.mixed_providers.providers import ALL, ANTHROPIC, OPENAI, VLLM

# Whose Pods are another's to keep, a model's of KServe, is left out.
SERVERS = {
    OPENAI: ("external-models", "openai-simulator"),
    ANTHROPIC: ("external-models", "anthropic-simulator"),
    VLLM: ("external-models", "vllm-server"),
}


@requirement("HD-20")
@pytest.mark.disposable
@pytest.mark.capability("disposable_clusters")
def test_without_a_provider(demo: Stack) -> None:
    """Its own users are told so, the others' are served, and it comes back by itself; one after
    the other."""
    for gone, server in SERVERS.items():
        user = user_of(demo, "enterprise")
        demo.models(gone, user).expect_status(200)
        scaled(demo.kube, server, 0)
        until_answered(demo, gone, user, 503)
        for other in (one for one in ALL if one is not gone):
            demo.models(other, user).expect_status(200)
        scaled(demo.kube, server, 1)
        until_answered(demo, gone, user, 200)
