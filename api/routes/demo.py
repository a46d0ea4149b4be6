"""`GET /demo`: the interactive page, one file that loads nothing from anywhere else."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

_PAGE = Path(__file__).with_name("demo.html")


Endpoint = Callable[[Request], Awaitable[Response]]


def demo_page() -> Endpoint:
    """The endpoint."""
    page = _PAGE.read_text(encoding="utf-8")
    headers = {"Content-Security-Policy": policy(page), "Cache-Control": "no-cache"}

    async def demo(_: Request) -> Response:
        return HTMLResponse(page, headers=headers)

    return demo


def policy(page: str) -> str:
    """Lets the page's own script and style run, told by their digests, and nothing else."""
    return "; ".join([
        "default-src 'none'",
        f"script-src {_digest(page, 'script')}",
        f"style-src {_digest(page, 'style')}",
        "connect-src 'self'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ])  # fmt: skip


def _digest(page: str, tag: str) -> str:
    found = re.search(f"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
    return f"'sha256-{base64.b64encode(hashlib.sha256(found[1].encode()).digest()).decode()}'" if found else "'none'"
