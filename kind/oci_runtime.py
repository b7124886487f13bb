#!/usr/bin/env python3
# ruff: noqa: SIM905
"""runc for machines that lack CAP_SYS_RESOURCE: asks for nothing that the machine may not give.

`docker run --privileged` asks for every capability, and runc refuses all of them when one is
missing. So the missing ones and a negative `oomScoreAdj` are taken out of the container's
configuration (OCI runtime specification, `config.md`: process) before runc reads it.
`kind.engine` registers it with an engine that it starts itself, and only where it is needed.
"""

import json
import os
import sys
from pathlib import Path


def held() -> set[str]:
    """The capabilities that this process may pass on: its bounding set, by name."""
    status = Path("/proc/self/status").read_text()
    (line,) = (one for one in status.splitlines() if one.startswith("CapBnd:"))
    bits = int(line.split()[1], 16)
    return {name for number, name in enumerate(NAMES) if bits >> number & 1}


# include/uapi/linux/capability.h, in the order of their numbers.
NAMES = [
    f"CAP_{name}"
    for name in (
        "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP "
        "LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER "
        "SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE "
        "SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP "
        "MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF "
        "CHECKPOINT_RESTORE"
    ).split()
]


def _mend(path: Path, process_of: str) -> None:
    document = json.loads(path.read_text())
    process = document[process_of] if process_of else document
    mine = held()
    for kind, names in (process.get("capabilities") or {}).items():
        process["capabilities"][kind] = [name for name in names if name in mine]
    if process.get("oomScoreAdj", 0) < 0:
        del process["oomScoreAdj"]
    path.write_text(json.dumps(document))


def _value(arguments: list[str], *flags: str) -> str:
    """The value of a flag, as `--flag value` or `--flag=value`; "" without it."""
    for place, argument in enumerate(arguments):
        name, given, value = argument.partition("=")
        if name in flags:
            return value if given else arguments[place + 1]
    return ""


def main(arguments: list[str]) -> None:
    """Mend what runc is about to read, then become runc."""
    if {"create", "run"} & set(arguments):
        _mend(Path(_value(arguments, "--bundle", "-b") or ".") / "config.json", "process")
    elif "exec" in arguments and (process := _value(arguments, "--process", "-p")):
        _mend(Path(process), "")
    os.execvp("runc", ["runc", *arguments])


if __name__ == "__main__":
    main(sys.argv[1:])
