"""What is deployed, before any cluster has seen it."""

import pytest

from manifests import FOLDER, Object, render

DEMO = [
    pytest.param(obj, id=f"{obj['kind']}-{obj['metadata']['name']}")
    for obj in render(FOLDER / "conformance")
    if "template" in obj.get("spec", {})
]


def refused(container: Object) -> list[str]:
    """What the Pod Security level `restricted` has against a container (Pod Security Standards)."""
    context = container.get("securityContext", {})
    wanted = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    return [name for name, value in wanted.items() if context.get(name) != value]


@pytest.mark.parametrize("obj", DEMO)
def test_containers_are_restricted(obj: Object) -> None:
    template = obj["spec"]["template"]
    spec = template.get("spec", template)  # of an LLMInferenceService it is the Pod's own
    containers = [*spec.get("initContainers", []), *spec["containers"]]
    assert [(c["name"], refused(c)) for c in containers if refused(c)] == []
    assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
