"""Streamlit's page with our stylesheet in it: what is drawn before a stylesheet is there jumps when it comes."""

from __future__ import annotations

import gzip
from pathlib import Path

import streamlit
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PAGE = (Path(streamlit.__file__).parent / "static" / "index.html").read_bytes()
_STYLE = (Path(__file__).parent / "style.css").read_bytes()
# At the end, so that it counts more than the styles that Streamlit adds to the head.
STYLED = PAGE.replace(b"</body>", b"<style>" + _STYLE + b"</style></body>")


class Styled:
    """Middleware: sends STYLED in place of PAGE."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        start: Message | None = None  # of a page, whose body is awaited
        body = b""

        async def sending(message: Message) -> None:
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

        await self._app(scope, receive, sending)


def _is_html(start: Message) -> bool:
    headers = MutableHeaders(scope=start)
    return start["status"] == 200 and headers.get("content-type", "").startswith("text/html")


def _styled(start: Message, body: bytes) -> bytes:
    """The body to send; where it is another than came, the headers are made to fit it."""
    headers = MutableHeaders(scope=start)
    zipped = headers.get("content-encoding") == "gzip"
    if not body or (gzip.decompress(body) if zipped else body) != PAGE:
        return body
    for name in ("content-encoding", "etag", "last-modified"):  # those of PAGE
        del headers[name]
    headers["content-length"] = str(len(STYLED))
    return STYLED
