"""Streamlit's page with our stylesheet and our script in it.

A stylesheet that comes later would move what is already drawn. The script makes steps of the browser's history.

Below a path, the page also says where the server is. Otherwise Streamlit's script would try the address of the page
first, and get an error.
"""

from __future__ import annotations

import gzip
from pathlib import Path

import streamlit
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PAGE = (Path(streamlit.__file__).parent / "static" / "index.html").read_bytes()
_CSS = (Path(__file__).parent / "style.css").read_bytes()
_SCRIPT = (Path(__file__).parent / "history.js").read_bytes()
# The style is at the end of the page, so that it takes precedence over the styles that Streamlit adds to the head.
STYLED_PAGE = PAGE.replace(b"</body>", b"<style>" + _CSS + b"</style></body>").replace(
    b"<head>", b"<head><script>" + _SCRIPT + b"</script>", 1
)


def styled_page(public_path: str) -> bytes:
    """The page that is sent in place of PAGE: STYLED_PAGE, below a path with the address of the server."""
    if not public_path:
        return STYLED_PAGE
    script = f'<script>window.__streamlit = {{ BACKEND_BASE_URL: location.origin + "{public_path}" }}</script>'
    return STYLED_PAGE.replace(b"<head>", b"<head>" + script.encode(), 1)


class InjectCss:
    """Middleware: sends the page with our stylesheet in place of PAGE."""

    def __init__(self, app: ASGIApp, public_path: str = "") -> None:
        """Makes the page.

        Args:
            app: What sends PAGE.
            public_path: PUBLIC_PATH.
        """
        self._app = app
        self._page = styled_page(public_path)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on, and holds back an answer with HTML until it is complete."""
        start: Message | None = None  # the start of an answer with HTML, held back until its body is complete
        body = b""

        async def send_styled(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start" and _is_html(message):
                start = message
            elif start is None:
                await send(message)
            else:
                body += message.get("body", b"")
                if not message.get("more_body"):
                    body = self._styled(start, body)
                    await send(start)
                    await send({"type": "http.response.body", "body": body})

        await self._app(scope, receive, send_styled)

    def _styled(self, start: Message, body: bytes) -> bytes:
        """The body to send: our page for PAGE, whose headers are changed to fit; any other body as it is."""
        headers = MutableHeaders(scope=start)
        zipped = headers.get("content-encoding") == "gzip"
        if not body or (gzip.decompress(body) if zipped else body) != PAGE:
            return body
        for name in ("content-encoding", "etag", "last-modified"):  # those of PAGE
            del headers[name]
        headers["content-length"] = str(len(self._page))
        return self._page


def _is_html(start: Message) -> bool:
    headers = MutableHeaders(scope=start)
    return start["status"] == 200 and headers.get("content-type", "").startswith("text/html")
