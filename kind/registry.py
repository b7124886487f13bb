"""A local registry that holds the images under upstream's names, one path for each registry.

`docker.io/istio/pilot` lies in it as `docker.io/istio/pilot`; containerd asks it in the place of
the real ones (`hosts.toml`, Kind's documented pattern), so manifests, charts and operators are
used as they are, whatever their pull policy.
"""

from __future__ import annotations

import contextlib

import httpx

from kind import PROJECT, KindError
from kind.images.tools import run

NAME = f"{PROJECT}-registry"
IMAGE = f"{PROJECT}/registry"
NETWORK = "kind"
HOSTS = ["docker.io", "ghcr.io", "quay.io", "registry.k8s.io"]
PORT = 5000
# Where no packages have made one: for builds (`--image`) beside upstream's images.
PUBLIC = "docker.io/library/registry:2.8.3"


def address() -> str:
    """`127.0.0.1:PORT`, where it listens on this machine; "" when it does not run."""
    with contextlib.suppress(KindError):
        found = run(["docker", "port", NAME, str(PORT)]).split()
        return found[0] if found else ""
    return ""


def ensure() -> str:
    """Its address: it runs, or is started from the image that was made of packages, or else from
    the public one."""
    if found := address():
        return found
    made = run(["docker", "images", "--format", "{{.Repository}}:{{.Tag}}", IMAGE]).split()
    return start(made[0] if made else PUBLIC)


def start(image: str) -> str:
    """Run it, on Kind's network; its address. Runs already: nothing is done."""
    if found := address():
        return found
    remove()
    networks = run(["docker", "network", "ls", "--format", "{{.Name}}"]).split()
    if NETWORK not in networks:
        run(["docker", "network", "create", "--driver=bridge", NETWORK])
    run([
        "docker", "run", "--detach", "--name", NAME, "--network", NETWORK, "--restart=always",
        "--publish", f"127.0.0.1::{PORT}", "--volume", f"{NAME}:/var/lib/registry", image,
    ])  # fmt: skip
    return address()


def remove() -> None:
    """End it; what it holds stays in its volume. No error when there is none."""
    with contextlib.suppress(KindError):
        run(["docker", "rm", "--force", NAME])


def has(at: str, image: str) -> bool:
    """Whether it holds an image, under upstream's name."""
    name, _, tag = image.rpartition(":")
    kinds = "application/vnd.docker.distribution.manifest.v2+json"
    try:
        answer = httpx.head(
            f"http://{at}/v2/{name}/manifests/{tag}",
            headers={"accept": kinds}, trust_env=False, timeout=5,
        )  # fmt: skip
    except httpx.HTTPError:
        return False
    return answer.status_code == 200


def push(at: str, image: str) -> None:
    """Put an image of the engine's into it."""
    target = f"{at}/{image}"
    run(["docker", "tag", image, target])
    run(["docker", "push", "--quiet", target])
    run(["docker", "rmi", target])


def hosts_files() -> dict[str, str]:
    """containerd's configuration for images made of packages: path on the node → content."""
    return {f"/etc/containerd/certs.d/{host}/hosts.toml": hosts_file(host) for host in HOSTS}


def hosts_file(host: str) -> str:
    """The same for one registry, which is asked here in its own place."""
    return f'server = "http://{NAME}:{PORT}/v2/{host}"\n{host_entry(host)}'


def host_entry(path: str) -> str:
    """A place of this registry that containerd asks for images."""
    return (
        f'[host."http://{NAME}:{PORT}/v2/{path}"]\n'
        f'capabilities = ["pull", "resolve"]\noverride_path = true\n'
    )
