"""What runs in each place: whose build, which stand-in, and what no place has."""

from __future__ import annotations

import pytest

from embedded.images import Catalogue
from fixtures.clusters import ClusterError
from fixtures.clusters.programs import Build, Program, builds, check_used, running
from manifests import FOLDER, render
from manifests.images import used

OBJECTS = [
    {"spec": {"containers": [{"image": "quay.io/a/b:v1", "args": ["--image=ghcr.io/c/d:v2", "e"]}],
              "initContainers": [{"image": "python:3"}]}},
    {"spec": {"group": "gateway.networking.k8s.io/v1", "url": "https://x.example/y:1"}},
]  # fmt: skip


def test_images_that_objects_use() -> None:
    """Of containers, and in words to programs that make Pods themselves."""
    assert used(OBJECTS) == {"quay.io/a/b:v1", "ghcr.io/c/d:v2", "python:3"}


def test_the_demo_uses_what_the_catalogue_has() -> None:
    objects = [*render(FOLDER / "platform" / "embedded"), *render(FOLDER / "conformance")]
    for image in used(objects):
        Catalogue().find(image)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("quay.io/a/b", ""),
        ("quay.io/a/b:v1", ""),
        ("docker.io/library/python", ""),
        ("quay.io/a/b:v2", "quay.io/a/b:v2: nothing that is deployed uses .*nearest: quay.io/a/b:"),
        ("b", "nearest: quay.io/a/b:v1"),
        ("zzzzz", "there are ghcr.io/c/d:v2, python:3, quay.io/a/b:v1"),
    ],
)
def test_a_build_for_nothing_is_refused(name: str, said: str) -> None:
    found = builds([f"{name}=/bin/x --flag=1"], "COMMAND")
    assert found == [Build(name, "/bin/x --flag=1")]
    if not said:
        return check_used(found, used(OBJECTS))
    with pytest.raises(ClusterError, match=said):
        check_used(found, used(OBJECTS))
    return None


@pytest.mark.parametrize("option", ["nonsense", "a=", "=b", " = "])
def test_a_build_has_a_name_and_a_source(option: str) -> None:
    with pytest.raises(ClusterError, match=r"--image wants NAME=IMAGE, got"):
        builds([option], "IMAGE")


def test_a_reference_in_upstreams_place_is_a_build() -> None:
    """On OpenShift Pods show the reference that `--image` put there."""
    mine = [Build("quay.io/a/b", "registry.test/mine:dev")]
    (found,) = running({"registry.test/mine:dev": "sha256:1"}, {}, mine)
    assert (found.kind, found.words) == ("build", "registry.test/mine:dev, sha256:1")


def test_what_ran_is_named() -> None:
    """A build before all, a tag before its name, and upstream's own by its digest."""
    digest = "sha256:" + "0" * 64
    images = {"quay.io/a/b:v1": digest, "quay.io/a/b:v2": "", "quay.io/c/d:v1": digest, "e/f": ""}
    known = {"quay.io/a/b": ("stand-in", "b"), "quay.io/a/b:v2": ("stand-in", "b --new")}
    assert running(images, known, [Build("docker.io/e/f", "/bin/f")]) == [
        Program("e/f", "build", "/bin/f"),
        Program("quay.io/a/b:v1", "stand-in", "b"),
        Program("quay.io/a/b:v2", "stand-in", "b --new"),
        Program("quay.io/c/d:v1", "upstream", digest),
    ]


def test_a_build_of_one_tag_leaves_the_others() -> None:
    name = "ghcr.io/llm-d/llm-d-inference-sim"
    found = Catalogue().replaced([f"{name}:v0.7.1=/bin/sim"])
    assert found.find(f"{name}:v0.7.1").is_foreign
    assert not found.find(f"{name}:v0.6.1").is_foreign
    both = Catalogue().replaced([f"{name}=/bin/sim"])
    assert both.find(f"{name}:v0.7.1").is_foreign
    assert both.find(f"{name}:v0.6.1").is_foreign
