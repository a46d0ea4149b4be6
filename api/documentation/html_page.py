"""Pages that are one file: they load nothing, and only their own script and style may run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from cache.access.content_security import inline_hashes

Endpoint = Callable[[Request], Awaitable[Response]]


def page_endpoint(page: str) -> Endpoint:
    """The endpoint of a page."""
    headers = {"Content-Security-Policy": _policy(page.encode()), "Cache-Control": "no-cache"}

    async def endpoint(_: Request) -> Response:
        return HTMLResponse(page, headers=headers)

    return endpoint


def _policy(page: bytes) -> str:
    """The content security policy of a page."""
    directives = (
        "default-src 'none'",
        f"script-src {inline_hashes(page, 'script')}",
        f"style-src {inline_hashes(page, 'style')}",
        "connect-src 'self'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
    return "; ".join(directives)
