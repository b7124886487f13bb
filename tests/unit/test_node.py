"""The node's processes and probes, the controllers' loop, and a cluster's own number."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from embedded.gatewayapi.backends import Backends
from embedded.node import probes
from embedded.node.services import Forwarder
from embedded.state import Info, State, started
from embedded.zygote import Process, Zygote


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
    from embedded import cluster

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
