"""Where a cluster keeps its files, and how others find it.

`$EMBEDDED_HOME` (default: a folder of the user's below the temporary folder) holds one
folder per cluster name. It is gone after `down`.
"""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path


def home() -> Path:
    """The folder of all clusters of this user."""
    default = Path(tempfile.gettempdir()) / f"embedded-{os.getuid()}"
    return Path(os.environ.get("EMBEDDED_HOME", default))


@dataclass(frozen=True)
class Info:
    """What a running cluster tells of itself: where it is, what it was made of (`origin.made_of`),
    and the identities of what it deployed itself."""

    pid: int
    started: str  # see `started`
    server: str
    dns: str
    domain: str
    made_of: dict[str, str] = field(default_factory=dict)
    deployed: list[list[str]] = field(default_factory=list)


@dataclass(frozen=True)
class State:
    """The folder of one cluster."""

    name: str

    @property
    def folder(self) -> Path:
        return home() / self.name

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    @property
    def ca(self) -> Path:
        return self.folder / "ca.crt"

    @property
    def signing_key(self) -> Path:
        return self.folder / "sa.key"

    @property
    def curlrc(self) -> Path:
        return self.folder / ".curlrc"

    @property
    def log(self) -> Path:
        return self.folder / "cluster.log"

    @property
    def lost_log(self) -> Path:
        """The log of a cluster that ended by itself, beside the clusters' folders."""
        return home() / f"{self.name}.lost.log"

    @property
    def info_file(self) -> Path:
        return self.folder / "cluster.json"

    @property
    def unfinished(self) -> Path:
        """There while a run uses the cluster, and after one that did not come to its end."""
        return self.folder / "unfinished"

    @property
    def lock(self) -> Path:
        """Held by whoever uses the cluster; beside the clusters' folders."""
        return home() / f"{self.name}.lock"

    def write_info(self, info: Info) -> None:
        part = self.info_file.with_suffix(".part")
        part.write_text(json.dumps(asdict(info)))
        part.rename(self.info_file)

    def info(self) -> Info | None:
        """None unless the cluster is running."""
        try:
            info = Info(**json.loads(self.info_file.read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None
        # The number of one that was killed may have gone to another program since.
        return info if info.started == started(info.pid) and alive(info.pid) else None


def started(pid: int) -> str:
    """When a process began, in ticks since the machine did (proc(5)); "" for none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[19]


def alive(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in ("Z", "X")
