"""From a container's spec to a process: command, arguments, environment, paths.

Upstream: `k8s.io/kubernetes/pkg/kubelet/kubelet_pods.go` (environment, `$(VAR)`
expansion), `third_party/forked/golang/expansion`.
"""

from __future__ import annotations

import base64
import json
import os
import re
from pathlib import Path
from typing import Any

from embedded.apiserver.admission import TOKEN_MOUNT
from embedded.apiserver.api import Api
from embedded.images import Catalogue
from embedded.node.volumes import MountError, Volumes, field_value
from embedded.running.zygote import Process
from embedded.shared.net import unprivileged

Object = dict[str, Any]
_VARIABLE = re.compile(r"\$\(([A-Za-z_][A-Za-z0-9_.-]*)\)")


def process(
    api: Api,
    catalogue: Catalogue,
    pod: Object,
    container: Object,
    volumes: Volumes,
    root: Path,
    log: Path,
    cluster_env: dict[str, str],
) -> Process:
    """The process of one container; raises ImageError or MountError."""
    image = catalogue.find(container["image"])
    root.mkdir(parents=True, exist_ok=True)
    mounts = _mount(container, volumes, root)
    env = _service_links(api, pod) | cluster_env
    env |= {"CONTAINER_ROOT": str(root), "POD_IP": pod["status"]["podIP"]}
    env |= _environment(api, pod, container)
    if image.is_foreign and TOKEN_MOUNT in mounts:
        env["KUBECONFIG"] = str(_kubeconfig(root, Path(mounts[TOKEN_MOUNT]), pod, cluster_env))
    expanded = {name: _expand(value, env) for name, value in env.items()}
    command = [_expand(word, expanded) for word in container.get("command", [])]
    arguments = [_expand(word, expanded) for word in container.get("args", [])]
    argv = image.argv(command, arguments)
    if image.is_foreign:
        argv = [_expand(word, expanded) for word in argv]
    return Process(
        argv=[_inside(word, mounts) for word in argv],
        env={name: _inside(value, mounts) for name, value in expanded.items()},
        cwd=root,
        log=log,
        module=image.module,
    )


def _mount(container: Object, volumes: Volumes, root: Path) -> dict[str, str]:
    """Link every mount below `root`; mounted path → real path, the longest first."""
    mounts = {}
    for mount in container.get("volumeMounts", []):
        target = root / mount["mountPath"].strip("/")
        source = volumes.path(mount["name"])
        if not source.exists():
            raise MountError(f'volume "{mount["name"]}" is mounted but not defined')
        target.parent.mkdir(parents=True, exist_ok=True)
        if mount.get("subPath"):
            _bind(target, source / mount["subPath"])
        elif not target.is_symlink():
            target.symlink_to(source)
        mounts[mount["mountPath"].rstrip("/")] = str(target)
    return dict(sorted(mounts.items(), key=lambda item: -len(item[0])))


def _bind(target: Path, source: Path) -> None:
    """A subPath: a file stays what it is when the container starts, whatever its volume becomes."""
    target.unlink(missing_ok=True)
    if source.is_file():
        target.hardlink_to(source.resolve())
    else:
        target.symlink_to(source)


def _kubeconfig(root: Path, mount: Path, pod: Object, cluster_env: dict[str, str]) -> Path:
    """A kubeconfig of the Pod's ServiceAccount, whose token is read anew when it is renewed."""
    host, port = (cluster_env[f"KUBERNETES_SERVICE_{what}"] for what in ("HOST", "PORT"))
    cluster = {"server": f"https://{host}:{port}", "certificate-authority": str(mount / "ca.crt")}
    context = {"cluster": "cluster", "user": "account", "namespace": pod["metadata"]["namespace"]}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "cluster",
        "clusters": [{"name": "cluster", "cluster": cluster}],
        "users": [{"name": "account", "user": {"tokenFile": str(mount / "token")}}],
        "contexts": [{"name": "cluster", "context": context}],
    }
    path = root / "kubeconfig"
    path.write_text(json.dumps(config))  # JSON is YAML
    return path


def _inside(word: str, mounts: dict[str, str]) -> str:
    """`word` with mounted paths replaced by the real ones."""
    for path, real in mounts.items():
        pattern = rf"(?<![\w./-]){re.escape(path)}(?=$|[/\s:,;\"'])"
        word, count = re.subn(pattern, lambda _, real=real: real, word)  # type: ignore[misc]
        if count:
            break
    return word


def _service_links(api: Api, pod: Object) -> dict[str, str]:
    """`<NAME>_SERVICE_HOST` and `_PORT` of the Services of the Pod's namespace; the port is the
    one that really listens (`embedded.shared.net`)."""
    env: dict[str, str] = {}
    if pod["spec"].get("enableServiceLinks", True):
        for service in api.store.objects(("", "services"), pod["metadata"]["namespace"]):
            address, ports = service["spec"].get("clusterIP"), service["spec"].get("ports")
            if address and address != "None" and ports:
                name = service["metadata"]["name"].upper().replace("-", "_")
                env[f"{name}_SERVICE_HOST"] = address
                env[f"{name}_SERVICE_PORT"] = str(unprivileged(ports[0]["port"]))
    return env


def _environment(api: Api, pod: Object, container: Object) -> dict[str, str]:
    namespace = pod["metadata"]["namespace"]
    env: dict[str, str] = {}
    for source in container.get("envFrom", []):
        prefix = source.get("prefix", "")
        for kind in ("configMap", "secret"):
            if reference := source.get(f"{kind}Ref"):
                data = _data(api, namespace, f"{kind.lower()}s", reference)
                env |= {prefix + name: value for name, value in data.items()}
    for entry in container.get("env", []):
        source = entry.get("valueFrom")
        if source is None:
            env[entry["name"]] = _expand(entry.get("value", ""), env)
        elif "fieldRef" in source:
            env[entry["name"]] = field_value(pod, source["fieldRef"]["fieldPath"])
        elif "configMapKeyRef" in source or "secretKeyRef" in source:
            kind = "configmaps" if "configMapKeyRef" in source else "secrets"
            reference = source.get("configMapKeyRef") or source["secretKeyRef"]
            data = _data(api, namespace, kind, reference)
            if reference["key"] in data:
                env[entry["name"]] = data[reference["key"]]
            elif not reference.get("optional"):
                raise MountError(f"couldn't find key {reference['key']} in {reference['name']}")
        else:
            raise MountError(f"environment variable {entry['name']}: unsupported valueFrom")
    return env


def _data(api: Api, namespace: str, plural: str, reference: Object) -> dict[str, str]:
    found = api.find("", plural, namespace, reference["name"])
    if found is None:
        if reference.get("optional"):
            return {}
        raise MountError(f'{plural.removesuffix("s")} "{reference["name"]}" not found')
    data: dict[str, str] = found.get("data") or {}
    if plural == "secrets":
        return {k: base64.b64decode(v).decode() for k, v in data.items()}
    return data


def _expand(word: str, env: dict[str, str]) -> str:
    return _VARIABLE.sub(lambda found: env.get(found[1], found[0]), word)


def base_environment() -> dict[str, str]:
    """What every process needs of the machine's environment, and nothing more."""
    kept = ("PATH", "LANG", "TMPDIR", "SSL_CERT_FILE", "PYTHONPATH", "PYTHONPYCACHEPREFIX")
    return {name: os.environ[name] for name in kept if name in os.environ}
