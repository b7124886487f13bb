"""The node's processes, probes and files, the controllers' loop, and a cluster's own number."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from embedded.gatewayapi.backends import Backends
from embedded.node import container, logs, probes
from embedded.node.services import Forwarder
from embedded.node.volumes import Volumes
from embedded.running.state import Info, State, started
from embedded.running.zygote import Process, Zygote


def test_process_that_ends_at_once() -> None:
    """Its start and its end may be heard of in one go."""

    async def run() -> int:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        zygote = Zygote(ours, 0)
        zygote.attach(lambda: None)
        process = Process(["true"], {}, Path("/"), Path("/dev/null"))
        starting = asyncio.create_task(zygote.start(process))
        await asyncio.sleep(0)
        asked = json.loads(theirs.recv(4096))
        theirs.send(json.dumps({"id": asked["id"], "pid": 7}).encode())
        theirs.send(json.dumps({"exited": 7, "code": 3}).encode())
        running = await starting
        asyncio.get_running_loop().remove_reader(ours)
        return await running.exit_code

    assert asyncio.run(run()) == 3


def test_a_part_that_raises_starts_again(caplog: pytest.LogCaptureFixture) -> None:
    """What it raised is logged, and the others do not hear of it."""
    from embedded.running import cluster

    begun: list[int] = []

    async def part() -> None:
        begun.append(1)
        if len(begun) < 3:
            raise RuntimeError("late event")
        await asyncio.Event().wait()

    async def run() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(cluster.keep_running("node", part), 1)

    asyncio.run(run())
    assert len(begun) == 3
    assert caplog.text.count("node failed; it starts again") == 2
    assert "late event" in caplog.text


@pytest.mark.parametrize("turns", range(8))
def test_a_probe_ends_when_it_is_cancelled(turns: int) -> None:
    """In whichever turn of the loop: a container that has ended is waited for until it does."""

    async def long() -> None:
        for _ in range(2000):
            await probes.probe(cast(Any, None), {"tcpSocket": {"port": 1}}, "127.0.0.1", {})

    async def run() -> bool:
        probing = asyncio.create_task(long())
        for _ in range(turns):
            await asyncio.sleep(0)
        probing.cancel()
        await asyncio.wait([probing], timeout=0.5)
        return probing.cancelled()

    assert asyncio.run(run())


def test_a_number_that_went_to_another_program_is_no_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMBEDDED_HOME", str(tmp_path))
    state = State("gone")
    state.folder.mkdir()
    for began, found in ((started(os.getpid()), True), ("12", False)):
        state.write_info(Info(os.getpid(), began, "https://127.1.1.1:6443", "127.1.1.1:53", "test"))
        assert (state.info() is not None) is found


def test_a_port_that_needs_privileges_is_shifted_behind_a_service_too() -> None:
    """Whoever listens at a Pod's port 80 listens at 10080: a Service whose controller knows nothing
    of that, as wg-ai-gateway's, leads there all the same. So it is for the gateway's Envoys."""
    found = {
        "metadata": {"namespace": "n", "labels": {"kubernetes.io/service-name": "web"}},
        "endpoints": [{"addresses": ["127.1.2.3"]}],
        "ports": [{"name": "http", "port": 80}],
    }
    api: Any = SimpleNamespace(
        resource=lambda *_: None, store=SimpleNamespace(objects=lambda *_: [found])
    )
    assert Forwarder(api).endpoint(("n", "web", "http")) == ("127.1.2.3", 10080)
    backends = Backends([], [found], [], [])
    assert backends._endpoints("n", "web", "http") == [("127.1.2.3", 10080)]


class Objects:
    """An API that has these, by plural and name."""

    def __init__(self, **found: dict[str, Any]) -> None:
        self.found: dict[str, dict[str, Any]] = found

    def find(self, _: str, plural: str, __: str, name: str) -> Any:
        return self.found.get(f"{plural}_{name}")


def volumes(api: Objects, folder: Path, **volume: Any) -> Volumes:
    spec = {"volumes": [{"name": "v", **volume}], "serviceAccountName": "a"}
    pod = {"metadata": {"name": "p", "namespace": "n", "labels": {"app": "x"}}, "spec": spec}
    return Volumes(cast(Any, api), cast(Any, None), pod, folder)


def shown(folder: Path) -> dict[str, str]:
    """What a program sees there: name → content or `folder`."""
    names = [name for name in os.listdir(folder) if not name.startswith("..")]
    return {n: (folder / n).read_text() if (folder / n).is_file() else "folder" for n in names}


def test_files_of_a_volume_lie_as_a_kubelet_lays_them(tmp_path: Path) -> None:
    """Links through `..data`, which is swapped by a rename; nothing happens without a change."""
    api = Objects(configmaps_c={"data": {"a": "1", "gone": "2"}})
    made = volumes(api, tmp_path, configMap={"name": "c"})
    made.write()
    folder = tmp_path / "v"
    assert shown(folder) == {"a": "1", "gone": "2"}
    assert os.readlink(folder / "a") == "..data/a"
    first = os.readlink(folder / "..data")
    assert first.startswith("..2")
    assert (folder / first / "a").is_file()
    before = sorted(os.listdir(folder)), (folder / "..data").lstat().st_ino
    made.write()
    assert (sorted(os.listdir(folder)), (folder / "..data").lstat().st_ino) == before
    reading = (folder / "a").open()
    api.found["configmaps_c"] = {"data": {"a": "3", "new": "4"}}
    made.write()
    assert shown(folder) == {"a": "3", "new": "4"}
    second = os.readlink(folder / "..data")
    assert second != first
    assert sorted(os.listdir(folder)) == sorted([second, "..data", "a", "new"])
    with reading:
        assert reading.read() == "1"


@pytest.mark.parametrize(
    ("volume", "found"),
    [
        ({"secret": {"secretName": "s"}}, {"key": "b"}),
        ({"configMap": {"name": "c", "items": [{"key": "a", "path": "d/e"}]}}, {"d": "folder"}),
        ({"downwardAPI": {"items": [{"path": "app", "fieldRef": {
            "fieldPath": "metadata.labels['app']"}}]}}, {"app": "x"}),
        ({"projected": {"sources": [{"secret": {"name": "s"}}, {"configMap": {"name": "c"}}]}},
         {"key": "b", "a": "1"}),
        ({"configMap": {"name": "none", "optional": True}}, {}),
    ],
)  # fmt: skip
def test_every_kind_of_volume_is_laid_out(
    tmp_path: Path, volume: dict[str, Any], found: dict[str, str]
) -> None:
    secret = {"data": {"key": base64.b64encode(b"b").decode()}}
    api = Objects(configmaps_c={"data": {"a": "1"}}, secrets_s=secret)
    volumes(api, tmp_path, **volume).write()
    assert shown(tmp_path / "v") == found
    assert (tmp_path / "v" / "..data").is_symlink()


def test_a_sub_path_stays_what_it_was_when_the_container_started(tmp_path: Path) -> None:
    api = Objects(configmaps_c={"data": {"a": "1"}})
    made = volumes(api, tmp_path / "volumes", configMap={"name": "c"})
    made.write()
    mount = {"name": "v", "mountPath": "/etc/a", "subPath": "a"}
    for now in ("1", "2"):  # it is started twice
        container._mount({"volumeMounts": [mount]}, made, tmp_path / "root")
        assert (tmp_path / "root/etc/a").read_text() == now
        api.found["configmaps_c"] = {"data": {"a": "2"}}
        made.write()
        assert (tmp_path / "root/etc/a").read_text() == now


def test_a_log_is_cut_to_its_last_whole_lines(tmp_path: Path) -> None:
    """While the process that writes it goes on, at the end."""
    path = tmp_path / "c.log"
    writer = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        line = b"x" * 1023 + b"\n"
        for _ in range(3):
            os.write(writer, line * 1024)
        logs.cut(path)
        os.write(writer, b"after\n")
    finally:
        os.close(writer)
    first, *lines = path.read_bytes().splitlines(keepends=True)
    cut = 3 * 2**20 - 1023 * 1024
    assert first.startswith(f"[{cut} bytes before were cut".encode())
    assert lines == [line] * 1023 + [b"after\n"]


def test_logs_are_bounded_while_they_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "MOST_BYTES", 1000)
    monkeypatch.setattr(logs, "KEPT_BYTES", 100)
    monkeypatch.setattr(logs, "EVERY_SECONDS", 0.01)
    full, short = tmp_path / "full.log", tmp_path / "short.log"
    full.write_bytes(b"line\n" * 1000)
    short.write_bytes(b"line\n")

    async def watch() -> None:
        watching = asyncio.create_task(logs.bounded(lambda: [tmp_path / "none", full, short]))
        async with asyncio.timeout(10):
            while full.stat().st_size > 1000:
                await asyncio.sleep(0.01)
        watching.cancel()

    asyncio.run(watch())
    assert full.read_bytes().endswith(b"line\n" * 10)
    assert short.read_bytes() == b"line\n"
