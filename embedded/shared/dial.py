"""An HTTP client for stand-ins that finds hosts through the cluster's DNS."""

from __future__ import annotations

import httpx

from embedded.node.dns import UnknownHost, resolve


class ClusterTransport(httpx.AsyncHTTPTransport):
    """Connects to what cluster DNS says, with the URL's own host in Host and SNI."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        host, default = request.url.host, 443 if request.url.scheme == "https" else 80
        try:
            address, port = resolve(host, request.url.port or default)
        except (UnknownHost, TimeoutError) as error:
            raise httpx.ConnectError(str(error), request=request) from error
        request.extensions["sni_hostname"] = host
        request.url = request.url.copy_with(host=address, port=port)
        return await super().handle_async_request(request)


def client() -> httpx.AsyncClient:
    """Certificates inside the cluster are not verified, as with the components' defaults."""
    return httpx.AsyncClient(transport=ClusterTransport(verify=False), timeout=5, trust_env=False)
