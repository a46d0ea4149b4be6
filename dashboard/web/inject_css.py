"""Streamlit's page with our stylesheet and our scripts in it.

A stylesheet that comes later would move what is already drawn, and so would the parts of Streamlit that draw the top of
each page, which it would load one by one when they are needed: the browser asks for them with the page. Until its
script runs, the page says that it loads, in the colours of the browser's theme: over a slow line that takes seconds.
The scripts make steps of the browser's history, say where there is no live connection, print, and copy figures.

Below a path, the page also says where the server is. Otherwise Streamlit's script would try the address of the page
first, and get an error. Its calendars begin the week as WEEK_START says. Otherwise they would ask the browser, whose
language says nothing about the shop.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Mapping
from html import escape
from pathlib import Path

import streamlit
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cache.accept_encoding import accepts_gzip
from cache.settings import WeekStart
from dashboard.shop import UNNAMED, Shop

_STATIC = Path(streamlit.__file__).parent / "static"
PAGE = (_STATIC / "index.html").read_bytes()
_PARTS = ("Html", "BidiComponent", "Button", "ButtonGroup", "PageLink")
"""Parts of Streamlit that draw the top of each page; their files in static/js have a hash in their names."""
_SCRIPTS_OF_STREAMLIT = _STATIC / "static/js"
_IMPORT = re.compile(rb'(?:from|import) ?[`"\']\./([\w.-]+\.js)[`"\']')
_CSS = b"".join((Path(__file__).parent / name).read_bytes() for name in ("style.css", "cards.css", "print.css"))
_SCRIPTS = tuple(
    (Path(__file__).parent / name).read_bytes() for name in ("history.js", "connection.js", "print.js", "cards.js")
)
_FIRST_DAYS: Mapping[WeekStart, int] = {"monday": 1, "sunday": 7}  # as Intl.Locale numbers them


def styled_page(public_path: str = "", week_start: WeekStart = "monday", shop: Shop = UNNAMED) -> bytes:
    """The page that is sent in place of PAGE.

    Args:
        public_path: PUBLIC_PATH; "" for none.
        week_start: WEEK_START.
        shop: Its name and logo.
    """
    # At the end of the page, so that it takes precedence over the styles that Streamlit adds to the head.
    page = PAGE.replace(b"</body>", b"<style>" + shop.css(public_path) + _CSS + b"</style></body>")
    page = page.replace(
        b'<div id="root"></div>', b'<div id="root"><p class="loading">Loading \xe2\x80\xa6</p></div>', 1
    )
    page = page.replace(b"<title>Streamlit</title>", f"<title>{escape(shop.title)}</title>".encode(), 1)
    script = f"Intl.Locale.prototype.getWeekInfo = () => ({{ firstDay: {_FIRST_DAYS[week_start]} }});"
    if public_path:
        script += f' window.__streamlit = {{ BACKEND_BASE_URL: location.origin + "{public_path}" }};'
    scripts = b"".join(b"<script>" + each + b"</script>" for each in (script.encode(), *_SCRIPTS))
    page = page.replace(b"<head>", b"<head>" + scripts, 1)
    links = "".join(f'<link rel="modulepreload" crossorigin href="./static/js/{name}">' for name in _preloaded())
    return page.replace(b"</head>", links.encode() + b"</head>", 1)


def _preloaded() -> list[str]:
    """The files of _PARTS, and those that they import, which a browser would ask for only after it has them."""
    files = [file.name for part in _PARTS for file in _SCRIPTS_OF_STREAMLIT.glob(f"{part}.*.js")]
    for name in files:  # grows
        imported = _IMPORT.findall((_SCRIPTS_OF_STREAMLIT / name).read_bytes())
        files += dict.fromkeys(each.decode() for each in imported if each not in PAGE and each.decode() not in files)
    return files


STYLED_PAGE = styled_page()


class InjectCss:
    """Middleware: sends the page with our stylesheet in place of PAGE."""

    def __init__(
        self, app: ASGIApp, public_path: str = "", week_start: WeekStart = "monday", shop: Shop = UNNAMED
    ) -> None:
        """Makes the page.

        Args:
            app: What sends PAGE.
            public_path: PUBLIC_PATH.
            week_start: WEEK_START.
            shop: Its name and logo.
        """
        self._app = app
        self._page = styled_page(public_path, week_start, shop)
        self._compressed = gzip.compress(self._page, mtime=0)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on, and holds back an answer with HTML until it is complete."""
        compressed = scope["type"] == "http" and accepts_gzip(Headers(scope=scope).get("accept-encoding", "").encode())
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
                    body = self._styled(start, body, compressed)
                    await send(start)
                    await send({"type": "http.response.body", "body": body})

        await self._app(scope, receive, send_styled)

    def _styled(self, start: Message, body: bytes, compressed: bool) -> bytes:
        """The body to send: our page for PAGE, whose headers are changed to fit; any other body as it is."""
        headers = MutableHeaders(scope=start)
        zipped = headers.get("content-encoding") == "gzip"
        if not body or (gzip.decompress(body) if zipped else body) != PAGE:
            return body
        for name in ("content-encoding", "etag", "last-modified"):  # those of PAGE
            del headers[name]
        page = self._page
        if compressed:
            page = self._compressed
            headers["content-encoding"] = "gzip"
        headers.add_vary_header("Accept-Encoding")
        headers["content-length"] = str(len(page))
        return page


def _is_html(start: Message) -> bool:
    headers = MutableHeaders(scope=start)
    return start["status"] == 200 and headers.get("content-type", "").startswith("text/html")
