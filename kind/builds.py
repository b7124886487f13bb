"""Somebody's own builds (`--image=NAME=IMAGE`) on a Kind cluster, under upstream's names.

A build is an image of the local engine, or an archive that the engine loads. It is pushed to the
local registry, below a path of the cluster's own, and the node's containerd asks that place first
(`hosts.toml`: hosts in their order, the next one where one does not have an image). So manifests,
charts and operators are used as they are, and no pull policy brings upstream's image back.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from kind import KindError, registry
from kind.images.tools import digest, run
from manifests.images import canonical, tag

FOLDER = "/etc/containerd/certs.d"


def loaded(source: str) -> str:
    """The id of an image of the local engine: by its name there, or out of an archive. Raises
    KindError for what is neither."""
    try:
        return _id(source)
    except KindError:
        archive = Path(source).expanduser()
        if not archive.is_file():
            raise KindError(
                f"--image: {source} is no image of the local engine (`docker images` lists them), "
                "and no archive (`docker save` writes one)"
            ) from None
    said = run(["docker", "load", "--input", archive]).splitlines()
    names = [line.partition(": ")[2] for line in said if line.startswith("Loaded image")]
    if len(names) != 1:
        many = ", ".join(names) or "none"
        raise KindError(
            f"--image: the archive {source} should have one image, it has {many}: name the one "
            "that is meant, now that they are loaded"
        )
    return _id(names[0])


def _id(image: str) -> str:
    return run(["docker", "image", "inspect", "--format", "{{.Id}}", image]).strip()


def place(cluster: str) -> str:
    """Where the builds of a cluster lie in the registry."""
    return f"builds/{digest(cluster)}"


def serve(at: str, cluster: str, found: Mapping[str, str]) -> None:
    """Push images (reference → the engine's id) to a cluster's place, under their references."""
    for reference, image in found.items():
        if "@" in reference:
            raise KindError(
                f"--image: {reference} is named by its digest, which is of no other image: deploy "
                "it by a tag (--kustomization=FOLDER)"
            )
        target = f"{at}/{place(cluster)}/{canonical(reference)}:{tag(reference) or 'latest'}"
        run(["docker", "tag", image, target])
        try:
            run(["docker", "push", "--quiet", target])
        finally:
            run(["docker", "rmi", target])


def host_of(reference: str) -> str:
    """The registry of an image."""
    return canonical(reference).partition("/")[0]


def wire(node: str, cluster: str, hosts: Iterable[str], own: Iterable[str], packages: bool) -> None:
    """Let the node ask for what is of these registries where it lies: the builds of a cluster
    first, of those registries that have some; then the images made of packages, or the registry
    itself."""
    with_builds = set(own)
    for host in hosts:
        text = hosts_file(cluster, host, host in with_builds, packages)
        path = f"{FOLDER}/{host}/hosts.toml"
        if not text:
            run(["docker", "exec", node, "rm", "-f", path])
            continue
        run(["docker", "exec", node, "mkdir", "-p", f"{FOLDER}/{host}"])
        with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
            file.write(text)
            file.flush()
            Path(file.name).chmod(0o644)
            run(["docker", "cp", "--quiet", file.name, f"{node}:{path}"])


def hosts_file(cluster: str, host: str, has_builds: bool, packages: bool) -> str:
    """containerd's configuration of one registry; "" for its default."""
    text = registry.hosts_file(host) if packages else ""
    if not has_builds:
        return text
    first, _, rest = text.partition("\n")
    server = first if packages else f'server = "https://{_server(host)}"'
    return f"{server}\n{registry.host_entry(f'{place(cluster)}/{host}')}{rest}"


def _server(host: str) -> str:
    return "registry-1.docker.io" if host == "docker.io" else host
