"""Relative addresses in `Location`, for an API whose proxy strips a path (PUBLIC_PATH)."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class RelativeLocations:
    """Middleware: makes `Location` relative, so that it holds with and without the proxy, and under `/v1`.

    Args:
        app: What answers. Its locations begin with a slash.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        to_root = "../" * (scope["path"].count("/") - 1)

        async def send_relative(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if "location" in headers:
                    headers["location"] = to_root + headers["location"].removeprefix("/")
            await send(message)

        return await self._app(scope, receive, send_relative)
