"""Container probes over HTTP, TCP and exec.

Upstream: `k8s.io/kubernetes/pkg/probe`. Until the first success the node probes every
50 ms and waits for no `initialDelaySeconds`: a cluster that is up in seconds cannot wait
for a period that was chosen for image pulls. After it, the probe's own period holds.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import aiohttp

Object = dict[str, Any]
EAGER_SECONDS = 0.05


async def probe(
    client: aiohttp.ClientSession, spec: Object, address: str, ports: dict[str, int]
) -> str:
    """ "" on success, or why it failed, in kubelet's words."""
    seconds = float(spec.get("timeoutSeconds", 1))
    if "httpGet" in spec:
        return await _http(client, spec["httpGet"], address, ports, seconds)
    if "tcpSocket" in spec or "grpc" in spec:
        target = spec.get("tcpSocket") or spec["grpc"]
        port = _number(target["port"], ports)
        return await _tcp(target.get("host", address), port, seconds)
    return await _exec(spec["exec"]["command"], seconds) if "exec" in spec else ""


def _number(port: int | str, ports: dict[str, int]) -> int:
    return ports.get(port, 0) if isinstance(port, str) else port


async def _http(
    client: aiohttp.ClientSession, get: Object, address: str, ports: dict[str, int], seconds: float
) -> str:
    scheme = get.get("scheme", "HTTP").lower()
    host, port = get.get("host", address), _number(get["port"], ports)
    url = f"{scheme}://{host}:{port}{get.get('path', '/')}"
    headers = {h["name"]: h["value"] for h in get.get("httpHeaders", [])}
    limit = aiohttp.ClientTimeout(seconds)
    try:
        async with client.get(url, headers=headers, timeout=limit, allow_redirects=False) as answer:
            code = answer.status
    except (aiohttp.ClientError, OSError) as error:
        return f'Get "{url}": {error or "context deadline exceeded"}'
    return "" if 200 <= code < 400 else f"HTTP probe failed with statuscode: {code}"


async def _tcp(host: str, port: int, seconds: float) -> str:
    try:
        # Python 3.11's wait_for forgets that it was cancelled when its time is up or its work done
        # in the same turn of the loop: a container that ended would be probed for ever.
        async with asyncio.timeout(seconds):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError) as error:
        return f"dial tcp {host}:{port}: {error}"
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return ""


async def _exec(command: list[str], seconds: float) -> str:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        async with asyncio.timeout(seconds):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        return f"command {command} timed out"
    return "" if process.returncode == 0 else output.decode(errors="replace")
