"""Streamlit's page with our stylesheet in it. A stylesheet that comes later would move what is already drawn."""

from __future__ import annotations

import gzip
from pathlib import Path

import streamlit
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PAGE = (Path(streamlit.__file__).parent / "static" / "index.html").read_bytes()
_CSS = (Path(__file__).parent / "style.css").read_bytes()
# At the end of the page, so that it takes precedence over the styles that Streamlit adds to the head.
STYLED_PAGE = PAGE.replace(b"</body>", b"<style>" + _CSS + b"</style></body>")


class InjectCss:
    """Middleware: sends STYLED_PAGE in place of PAGE."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

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
                    body = _styled(start, body)
                    await send(start)
                    await send({"type": "http.response.body", "body": body})

        await self._app(scope, receive, send_styled)


def _is_html(start: Message) -> bool:
    headers = MutableHeaders(scope=start)
    return start["status"] == 200 and headers.get("content-type", "").startswith("text/html")


def _styled(start: Message, body: bytes) -> bytes:
    """The body to send: STYLED_PAGE for PAGE, whose headers are changed to fit; any other body as it is."""
    headers = MutableHeaders(scope=start)
    zipped = headers.get("content-encoding") == "gzip"
    if not body or (gzip.decompress(body) if zipped else body) != PAGE:
        return body
    for name in ("content-encoding", "etag", "last-modified"):  # those of PAGE
        del headers[name]
    headers["content-length"] = str(len(STYLED_PAGE))
    return STYLED_PAGE
