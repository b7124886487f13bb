"""A SOCKS5 proxy (RFC 1928): CONNECT without authentication, to addresses of the cluster."""

import asyncio
import contextlib
import ipaddress
import struct

PORT = 1080
CONNECT_SECONDS = 5
SUCCEEDED, UNREACHABLE, NOT_SUPPORTED = 0, 4, 7


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Everything that one side sends, until it ends its half; a connection that it breaks off is
    broken off on the other side too."""
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except OSError:
        writer.transport.abort()


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection of a client."""
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        _, count = await reader.readexactly(2)
        await reader.readexactly(count)
        writer.write(b"\x05\x00")
        _, command, _, kind = await reader.readexactly(4)
        if kind == 3:
            (length,) = await reader.readexactly(1)
            host = (await reader.readexactly(length)).decode()
        else:
            host = str(ipaddress.ip_address(await reader.readexactly(4 if kind == 1 else 16)))
        (port,) = struct.unpack("!H", await reader.readexactly(2))
        if command != 1:
            writer.write(answer(NOT_SUPPORTED))
        else:
            await connect(host, port, reader, writer)
    writer.close()


async def connect(
    host: str, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Connect, and pass on what both sides say."""
    try:
        opened = asyncio.open_connection(host, port)
        there, back = await asyncio.wait_for(opened, CONNECT_SECONDS)
    except (OSError, TimeoutError):
        writer.write(answer(UNREACHABLE))
        return
    writer.write(answer(SUCCEEDED))
    await asyncio.gather(copy(reader, back), copy(there, writer))
    back.close()


def answer(code: int) -> bytes:
    """The reply to a request; the bound address is not told."""
    return bytes([5, code, 0, 1, 0, 0, 0, 0, 0, 0])


async def main() -> None:
    server = await asyncio.start_server(serve, "0.0.0.0", PORT)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
