"""Refuses the live connection to pages of other sites."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send


class SameOrigin:
    """Middleware: closes websockets whose page comes from another host.

    Streamlit refuses them too, but compares them with the public address of this machine, for which it asks a host
    outside, and the event loop waits for the answer.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on, or refuses it."""
        if scope["type"] == "websocket":
            headers = Headers(scope=scope)
            origin = headers.get("origin")
            host = urlsplit(f"//{headers.get('host', '')}").hostname  # without the port, which some proxies leave out
            if origin and urlsplit(origin).hostname != host:
                return await send({"type": "websocket.close", "code": 1008})
        return await self.app(scope, receive, send)
