"""GET /report: the page that the visitor comes from, as PDF.

The link is the same on every page. The browser says in `Referer` which page it is on, with all that was chosen there.
Our own Chromium opens this page in the session of the visitor, so it shows no more than the visitor sees.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from datetime import datetime
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from cache.machine.browsers import installed_browser
from cache.machine.memory import available_memory
from dashboard.auth.identity import Identities
from dashboard.web.page_printer import PrintFailed, print_page
from dashboard.web.sub_path import name_below

PATH = "/report"
TIMEOUT = 60  # seconds
MAX_WAITING = 3  # reports that wait for the one that is made
MEMORY = 250 << 20  # bytes that Chromium takes
USER_AGENT = f"phpmyadmin-orders-report/{secrets.token_hex(16)}"
"""Of our own Chromium. Nobody else knows it."""


def can_print() -> bool:
    """Whether this machine has a browser that prints."""
    return installed_browser() is not None


class Reports:
    """Makes reports, one at a time."""

    def __init__(self, identities: Identities, public_path: str, pages: Callable[[], frozenset[str]]) -> None:
        """Makes no report yet.

        Args:
            identities: Recognises visitors.
            public_path: PUBLIC_PATH.
            pages: Returns the addresses of the pages, below the path.
        """
        self._identities = identities
        self._path = public_path
        self._pages = pages
        self._making = asyncio.Lock()
        self._waiting = 0

    async def get(self, request: Request) -> Response:
        """Sends the page as PDF."""
        if self._identities.identify(request.cookies) is None:
            return PlainTextResponse("Sign in first.", 401)
        page = urlsplit(request.headers.get("referer", ""))
        path = page.path.removeprefix(self._path) or "/"
        if not page.path.startswith(self._path) or path not in self._pages():
            return PlainTextResponse("The browser does not say of which page. Print the page instead.", 400)
        browser = installed_browser()
        if browser is None:
            return PlainTextResponse("There is no Chromium on the server. Print the page instead.", 503)
        if self._waiting >= MAX_WAITING or available_memory() < MEMORY:
            return PlainTextResponse("The server is busy. Try again in a moment.", 503, {"Retry-After": "30"})
        host, port = request.scope["server"]
        server = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        url = f"{server}{self._path}{path}?{page.query}"
        cookies = {name_below(self._path, name): value for name, value in request.cookies.items()}
        self._waiting += 1
        try:
            async with asyncio.timeout(TIMEOUT), self._making:
                pdf = await print_page(browser, url, cookies, USER_AGENT)
        except TimeoutError:
            return PlainTextResponse("The report took too long. Print the page instead.", 504)
        except PrintFailed:
            return PlainTextResponse("Chromium failed on the server. Print the page instead.", 503)
        finally:
            self._waiting -= 1
        name = f"report-{datetime.now():%Y-%m-%d}.pdf"
        headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
        return Response(pdf, headers=headers, media_type="application/pdf")
