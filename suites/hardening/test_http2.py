"""What HTTP/2 lets a client do (RFC 9113), and one of it that must harm nobody."""

import ssl
import uuid

import pytest
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import ConnectionTerminated, ResponseReceived, StreamReset

from fixtures.clusters import Access
from fixtures.evidence import BACKEND, CLIENT, ID_HEADER, expect
from fixtures.evidence.requirements import requirement
from fixtures.kube import Kube
from fixtures.stack import CHAT, Identity, Provider, Stack
from fixtures.stack.gateways import MAAS_GATEWAY, endpoint
from suites.hardening.wire import ENDED, connect

RESETS = 300  # Envoy ends a connection whose first five hundred streams were mostly reset


class Http2:
    """One connection to the MaaS gateway."""

    def __init__(self, kube: Kube, access: Access) -> None:
        target = endpoint(kube, access, *MAAS_GATEWAY, "https")
        self._host = target.host
        self._socket = connect(target, access, protocol="h2")
        if self._socket.selected_alpn_protocol() != "h2":
            pytest.skip("the gateway offers no HTTP/2")
        self._state = H2Connection()
        self._state.initiate_connection()

    def close(self) -> None:
        self._socket.close()

    def begin(self, path: str, method: str, more: dict[str, str], ends: bool) -> int:
        """The headers of a request; its stream."""
        stream = int(self._state.get_next_available_stream_id())
        names = {":method": method, ":scheme": "https", ":authority": self._host, ":path": path}
        self._state.send_headers(stream, [*names.items(), *more.items()], end_stream=ends)
        return stream

    def reset(self, stream: int) -> None:
        self._state.reset_stream(stream, ErrorCodes.CANCEL)
        self.flush()

    def flush(self) -> None:
        self._socket.sendall(self._state.data_to_send())

    def status(self, stream: int) -> int:
        """Of a request that has been sent; ENDED when the gateway ends the connection, or it."""
        self.flush()
        while raw := self._socket.recv(65_536):
            for event in self._state.receive_data(raw):
                if isinstance(event, ResponseReceived) and event.stream_id == stream:
                    return int(dict(event.headers)[b":status"])
                ended = isinstance(event, StreamReset) and event.stream_id == stream
                if ended or isinstance(event, ConnectionTerminated):
                    return ENDED
            self.flush()
        return ENDED


@requirement("HD-40")
def test_resets_harm_nobody(
    kube: Kube, access: Access, stack: Stack, heavy_user: Identity, external: Provider
) -> None:
    """Requests that are taken back at once, before anybody can have asked who sent them."""
    token = {"authorization": f"Bearer {heavy_user.token.reveal()}"}
    ids = [f"conformance-{uuid.uuid4()}" for _ in range(RESETS)]
    connection = Http2(kube, access)
    try:
        for one in ids:
            path = f"{external.path}{CHAT}"
            connection.reset(connection.begin(path, "POST", {ID_HEADER: one}, ends=False))
        listing = f"{external.path}/v1/models"
        status = connection.status(connection.begin(listing, "GET", token, ends=True))
    except (ConnectionError, ssl.SSLError):
        status = ENDED
    finally:
        connection.close()
    expect(status in (200, ENDED), CLIENT, "an answer, or the connection's end", f"status {status}")
    stack.models(external, heavy_user).expect_status(200)
    received = [one for id_ in ids[:: RESETS // 5] for one in stack.records(id_)]
    expect(received == [], BACKEND, "no request that was taken back", f"{len(received)} of them")
