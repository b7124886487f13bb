"""What a shared cluster gets otherwise than one of the suite's own."""

from typing import Any

import pytest
from kubernetes.client.exceptions import ApiException

from fixtures.clusters.existing.ownership import ForeignObject
from fixtures.clusters.existing.shared import (
    mirror_of,
    mirrored,
    not_applicable,
    without_user,
)
from fixtures.kube import ApplyError
from manifests import FOLDER, Object, render

RBAC = 'pods is forbidden: User "me" cannot list resource "pods" in API group ""'


def named(value: Any) -> int:
    """How often a user is named in an object."""
    if isinstance(value, list):
        return sum(map(named, value))
    if not isinstance(value, dict):
        return 0
    return sum((name == "runAsUser") + named(one) for name, one in value.items())


def test_openshift_gives_pods_their_user() -> None:
    """All else of the demo stays as it is."""
    demo = render(FOLDER / "conformance")
    assert named(demo) > 0

    def without(obj: Object) -> Object:
        return dict(without_user(obj))

    changed = [without(obj) for obj in demo]
    assert named(changed) == 0
    assert [obj for obj in changed if obj["kind"] not in ("Deployment", "LLMInferenceService")] == [
        obj for obj in demo if obj["kind"] not in ("Deployment", "LLMInferenceService")
    ]
    users = [obj["spec"]["template"] for obj in changed if obj["kind"] == "Deployment"]
    assert any(named(obj) for obj in demo if obj["kind"] == "Deployment")
    assert all("containers" in template["spec"] for template in users)


def refused(body: str, status: int = 403) -> ApiException:
    error = ApiException(status)
    error.body = body
    return error


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ForeignObject("Service a/b is not the suite's"), "Service a/b is not the suite's"),
        (refused('{"message": "' + RBAC.replace('"', '\\"') + '"}'), f"the login may not: {RBAC}"),
        (ApplyError(f"Pod a/b: {RBAC}"), f"the login may not: Pod a/b: {RBAC}"),
        # An admission's refusal, another status, and a test's own failure are no want of rights.
        (refused('{"message": "pods is forbidden: exceeded quota"}'), ""),
        (ApplyError("Pod a/b: violates PodSecurity"), ""),
        (refused("{}", 404), ""),
        (AssertionError(RBAC), ""),
    ],
)
def test_what_may_not_be_done_is_not_applicable(error: Exception, reason: str) -> None:
    assert not_applicable(error) == reason


def images(value: Any) -> list[str]:
    """All that an object's containers name."""
    if isinstance(value, list):
        return [image for one in value for image in images(one)]
    if not isinstance(value, dict):
        return []
    own = [value["image"]] if isinstance(value.get("image"), str) else []
    return own + [image for one in value.values() for image in images(one)]


def test_images_come_from_mirrors() -> None:
    """Of the whole demo; the longest prefix counts, and whole words of it."""
    mirrors = {"docker.io": "m.test/hub", "docker.io/library": "m.test/stock", "ghcr": "m.test/no"}
    demo = render(FOLDER / "conformance")
    before, after = images(demo), images(mirrored(demo, mirrors))
    assert {one for one in before if one.startswith("docker.io/library/python:")}
    assert {one for one in before if one.startswith("ghcr.io/")}
    assert after == [
        one.replace("docker.io/library/", "m.test/stock/").replace("docker.io/", "m.test/hub/")
        for one in before
    ]
    assert mirror_of("docker.io/envoyproxy/envoy:v1", mirrors) == "m.test/hub/envoyproxy/envoy:v1"
    assert mirrored(demo, {}) == demo
