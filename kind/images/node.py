"""The node image: Debian, containerd and Kubernetes as Kind's own node image lays them out.

Upstream: kind `images/base` (entrypoint, units, containerd's configuration, taken from the
module at build time) and `pkg/build/nodeimage`. What differs: Debian's containerd, runc and CNI
plugins; a bridge for the Pods in the place of kindnet, since there is one node; the mirror of
the registries; and what a machine without CAP_SYS_RESOURCE needs.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from kind import PROJECT, registry
from kind.components import Table
from kind.images import containers, debian, golang
from kind.images.tools import digest, step

NAME = f"{PROJECT}/node"
_ON_NODE = ["kubelet", "kubeadm", "kubectl"]
_CNI = {
    "cniVersion": "0.4.0",
    "name": "bridge",
    "plugins": [
        {
            "type": "bridge",
            "bridge": "cni0",
            "isDefaultGateway": True,
            "ipMasq": True,
            "hairpinMode": True,
            "ipam": {"type": "host-local", "subnet": "10.244.0.0/24"},
        },
        {"type": "portmap", "capabilities": {"portMappings": True}},
    ],
}
# As Kind's Dockerfile: only these units run, and systemd ends on this signal.
_LINES = [
    "RUN find /lib/systemd/system/sysinit.target.wants/ -name systemd-tmpfiles-setup.service "
    "-delete && rm -f /lib/systemd/system/multi-user.target.wants/* /etc/systemd/system/*.wants/* "
    "/lib/systemd/system/local-fs.target.wants/* /lib/systemd/system/sockets.target.wants/*udev* "
    "/lib/systemd/system/sockets.target.wants/*initctl* "
    "/lib/systemd/system/basic.target.wants/* && echo ReadKMsg=no >> /etc/systemd/journald.conf "
    "&& chmod 755 /usr/local/bin/* /kind/bin/* && mkdir -p /etc/kubernetes/manifests /opt/cni "
    "/dev /proc /sys /var/cache/apt /var/lib/apt/lists "
    "&& ln -sf /usr/lib/cni /opt/cni/bin && ln -sf /usr/bin/containerd /usr/bin/ctr "
    "/usr/local/bin/ && ln -sf /usr/bin/crictl /usr/local/bin/ "
    "&& systemctl enable kubelet containerd undo-mount-hacks && systemctl mask systemd-binfmt",
    "RUN ctr oci spec | jq '.hooks.createContainer[.hooks.createContainer| length] |= . + "
    '{"path": "/kind/bin/mount-product-files.sh"} | del(.process.rlimits)\' '
    "> /etc/containerd/cri-base.json",
    "ENV container=docker",
    "STOPSIGNAL SIGRTMIN+3",
    containers.entrypoint(["/usr/local/bin/entrypoint", "/sbin/init"]),
]


def build(table: Table, restricted: bool) -> str:
    """The node image's local name. `restricted`: the machine lacks CAP_SYS_RESOURCE."""
    kubernetes = table.modules["kubernetes"]
    own = digest(Path(__file__), registry.hosts_files(), restricted)
    bits = digest(kubernetes, table.modules["kind"], debian.NODE, own)
    image = f"{NAME}:{kubernetes.version}-{bits}"
    if containers.exists(image):
        return image
    tar = debian.root_tar("node", debian.NODE)
    base = containers.imported(f"{PROJECT}/debian-node", tar, digest(debian.SUITE, debian.NODE))
    binaries = golang.programs(kubernetes)
    source = golang.folder(table.modules["kind"]) / "images" / "base" / "files"

    def lay(root: Path) -> None:
        shutil.copytree(source, root, dirs_exist_ok=True, copy_function=_writable)
        (root / "usr" / "bin").mkdir(parents=True, exist_ok=True)
        for program in _ON_NODE:
            shutil.copy2(binaries / program, root / "usr" / "bin" / program)
        for path, text in registry.hosts_files().items():
            _write(root / path.lstrip("/"), text)
        _write(root / "etc/cni/net.d/10-bridge.conflist", json.dumps(_CNI))
        _write(root / "kind/version", kubernetes.version)
        if restricted:
            config = root / "etc/containerd/config.toml"
            text = config.read_text()
            asked = "restrict_oom_score_adj = false"
            _write(config, text.replace(asked, asked.replace("false", "true")))

    with step(f"build the node image {kubernetes.version}"):
        containers.build(image, base, lay, _LINES)
    return image


def _writable(source: str, target: str) -> None:
    """Modules' files are read-only, and so would their copies be."""
    shutil.copyfile(source, target)
    Path(target).chmod(0o644)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
